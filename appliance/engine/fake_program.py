"""What runs in the containers of the fake engine: functions in the place of programs.

A program is looked up by the whole command line, or else by its first word. Those in `PROGRAMS` are every shell's;
a test adds its own: ``PROGRAMS | {"sh -c greet": lambda process: process.print("hello")}``.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Literal

from appliance.engine.engine import ContainerSettings
from appliance.errors import EngineError

log = logging.getLogger(__name__)

KILLED = 137
"""Exit code of what SIGKILL ended."""
NOT_RUNNABLE = 126

Stream = Literal["stdout", "stderr"]
Program = Callable[["Process"], int | None]
"""Runs in a thread of its own and returns the exit code, None : 0."""


class Killed(BaseException):
    """Raised inside a program, by whatever it asks of its process, once it was killed. Programs let it pass."""


class Process:
    """A program under way. `settings` are those of its container, `env` is what it was started with.

    `turn` guards everything and is told of every change; `written` and `ended` are called while it is held.
    """

    def __init__(
        self,
        turn: threading.Condition,
        settings: ContainerSettings,
        command: tuple[str, ...],
        env: Mapping[str, str],
        written: Callable[[Stream, bytes], None],
        ended: Callable[[int], None] = lambda code: None,
    ) -> None:
        self.settings = settings
        self.command = command
        self.env = env
        self.exit_code: int | None = None
        self.size: tuple[int, int] | None = None
        """Rows and columns of its terminal, once somebody said."""
        self._turn = turn
        self._written = written
        self._ended = ended
        self._over = threading.Event()
        self._input = bytearray()
        self._input_ended = False

    # -- for the program ---------------------------------------------------------------------------------------------

    def print(self, line: str, stream: Stream = "stdout") -> None:
        with self._turn:
            self._check()
            self._written(stream, f"{line}\n".encode())
            self._turn.notify_all()

    def read_line(self) -> str:
        """Waits for a whole line; "" at the end of the input."""
        with self._turn:
            self._turn.wait_for(lambda: self._over.is_set() or self._input_ended or b"\n" in self._input)
            self._check()
            line, newline, rest = self._input.partition(b"\n")
            self._input = rest
            return (line + newline).decode()

    def wait(self, seconds: float) -> None:
        if self._over.wait(min(seconds, threading.TIMEOUT_MAX)):
            raise Killed

    def _check(self) -> None:
        if self._over.is_set():
            raise Killed

    # -- for the engine ----------------------------------------------------------------------------------------------

    def start(self, program: Program) -> None:
        name = f"fake {self.settings.name}: {' '.join(self.command)}"
        threading.Thread(target=self._run, args=(program,), name=name, daemon=True).start()

    def end(self, code: int) -> None:
        """It is over when this returns, whatever the program does; the first exit code counts."""
        with self._turn:
            if self.exit_code is None:
                self.exit_code = code
                self._over.set()
                self._ended(code)
                self._turn.notify_all()

    def give(self, data: bytes) -> None:
        with self._turn:
            self._input += data
            self._turn.notify_all()

    def close_input(self) -> None:
        with self._turn:
            self._input_ended = True
            self._turn.notify_all()

    def _run(self, program: Program) -> None:
        code: int | None = 1
        with contextlib.suppress(Killed):
            try:
                code = program(self)
            except Exception:
                log.exception("the program %s of the fake engine", self.command)
            self.end(code or 0)


class FakeExec:
    """Closing it ends the command's input, not the command."""

    def __init__(self, turn: threading.Condition, process: Process, pieces: list[tuple[Stream, bytes]]) -> None:
        self.process = process
        self.pieces = pieces
        self._turn = turn
        self._read = 0
        self._closed = False

    def read(self) -> tuple[Stream, bytes] | None:
        with self._turn:
            self._turn.wait_for(
                lambda: self._closed or self._read < len(self.pieces) or self.process.exit_code is not None
            )
            if self._closed or self._read == len(self.pieces):
                return None
            self._read += 1
            return self.pieces[self._read - 1]

    def write(self, data: bytes) -> None:
        self.process.give(data)

    def close_input(self) -> None:
        self.process.close_input()

    def resize(self, rows: int, columns: int) -> None:
        self.process.size = (rows, columns)

    def exit_code(self) -> int:
        if self.process.exit_code is None:
            raise EngineError("The command has not ended yet.")
        return self.process.exit_code

    def close(self) -> None:
        with self._turn:
            self._closed = True
        self.process.close_input()


def _sleep(process: Process) -> None:
    process.wait(float(process.command[1]))


def _shell(process: Process) -> int:
    match process.command:
        case (_, "-c", script) if (words := script.split())[:1] == ["exit"] and len(words) == 2:
            return int(words[1])
    process.print("the fake engine's shell knows `exit NUMBER` only; give it a program for this", "stderr")
    return 127


def not_found(process: Process) -> int:
    """What an engine runs in the place of a program that its container does not have."""
    process.print(f'exec: "{process.command[0]}": executable file not found')
    return NOT_RUNNABLE


PROGRAMS: Mapping[str, Program] = {
    "sleep": _sleep,
    "true": lambda process: 0,
    "false": lambda process: 1,
    "sh": _shell,
}


def find(programs: Mapping[str, Program], command: tuple[str, ...]) -> Program | None:
    return programs.get(" ".join(command)) or programs.get(command[0])
