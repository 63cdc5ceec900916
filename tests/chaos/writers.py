"""Writers: each changes values of its own all the time and remembers what it was told, so that a lost write shows."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence

from tests.chaos.client import Client, Outcome
from tests.chaos.history import History

PAUSE = 0.25
"""Seconds between two writes of one writer."""

Write = Callable[[Client, int], Outcome]
"""(manager, value) → what became of it."""


class Register:
    """A value that one writer counts up. `lost` compares what is there at the end with what was acknowledged."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.acknowledged = 0
        self.tried = 0

    def lost(self, value: int) -> str:
        """Empty when `value` may be what is there: the last acknowledged, or a later one whose answer was lost."""
        if self.acknowledged <= value <= self.tried:
            return ""
        return f"{self.name} is {value}; {self.acknowledged} was acknowledged and {self.tried} the last that was tried"


class Writer:
    """A thread. `write` is tried at a random one of the managers; a value that was refused is not tried again."""

    def __init__(
        self, register: Register, write: Write, managers: Sequence[Client], seed: str, history: History
    ) -> None:
        self.register = register
        self.counts: Counter[str] = Counter()
        self._write = write
        self._managers = managers
        self._random = random.Random(seed)
        self._history = history
        self._ending = threading.Event()
        self._quiet = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._thread = threading.Thread(target=self._run, name=register.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        """Returns once no write is on its way."""
        self._going.clear()
        self._quiet.wait(30)

    def resume(self) -> None:
        self._going.set()

    def stop(self) -> None:
        self._ending.set()
        self._going.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.is_set():
            if not self._going.is_set():
                self._quiet.set()
                self._going.wait()
                self._quiet.clear()
            self._once()
            self._ending.wait(PAUSE)

    def _once(self) -> None:
        register = self.register
        value = register.tried + 1
        register.tried = value
        outcome = self._write(self._random.choice(self._managers), value)
        if outcome is Outcome.DONE:
            register.acknowledged = value
        self.counts[outcome.value] += 1
        self._history.write("write", register=register.name, value=value, outcome=outcome.value)
