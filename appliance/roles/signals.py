"""How a process of ours is told to end."""

import contextlib
import select
import signal
import socket


class Signals:
    """SIGTERM and SIGINT ask to end, SIGCHLD says that a child has ended; all of them end a wait."""

    def __init__(self) -> None:
        self.asked_to_end = False
        self._woken, self._wakes = socket.socketpair()
        self._woken.setblocking(False)
        self._wakes.setblocking(False)
        signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def wait(self, seconds: float) -> None:
        select.select([self._woken], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)

    def _end(self, *_: object) -> None:
        self.asked_to_end = True
