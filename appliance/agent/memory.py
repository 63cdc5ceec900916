"""What is remembered, while the agent runs, of a container that does not stay up or cannot be made."""

from dataclasses import dataclass

BACKOFF = (0.0, 0.2, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds before the n-th start in a row of what does not stay up."""


@dataclass(frozen=True)
class Memory:
    """`failures` in a row. `not_before` is in seconds of the supervisor's clock."""

    failures: int = 0
    not_before: float = 0.0
    restarts: int = 0

    def after_end(self, now: float, lasted: float, stable_after: float) -> "Memory":
        """It ended after `lasted` seconds: at once again if it was stable, else later and later."""
        failures = 0 if lasted > stable_after else self.failures
        return Memory(failures + 1, now + pause_after(failures), self.restarts + 1)

    def after_refusal(self, now: float) -> "Memory":
        """It never came to run."""
        return Memory(self.failures + 1, now + pause_after(self.failures), self.restarts)


def pause_after(failures: int) -> float:
    """Seconds to wait once so many have come before this one."""
    return BACKOFF[min(failures, len(BACKOFF) - 1)]


def pause_left(failures: int, failed_at: float, wall: float) -> float:
    """Seconds still to wait after the last of `failures`, by the same wall clock; never more than the whole pause."""
    pause = pause_after(failures)
    return min(pause, max(0.0, failed_at + pause - wall)) if failures else 0.0
