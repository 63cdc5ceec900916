"""Waiting for a condition with a deadline: the only way a test here waits."""

import time
from collections.abc import Callable


def eventually[T](check: Callable[[], T], timeout: float, *, every: float = 0.1) -> T:
    """The first truthy value of `check`, tried every `every` seconds, or after as long as it takes itself.

    An AssertionError in `check` counts as "not yet". When `timeout` seconds are over the last AssertionError is
    raised as it is, or a TimeoutError naming the last value. Other exceptions pass through at once.
    """
    deadline = time.monotonic() + timeout
    while True:
        began = time.monotonic()
        failure: AssertionError | None = None
        value: T | None = None
        try:
            value = check()
            if value:
                return value
        except AssertionError as error:
            failure = error
        if time.monotonic() > deadline:
            raise failure or TimeoutError(f"not so within {timeout:g} s; the last value was {value!r}")
        # Several commands that wait in this way must not take from each other the processor they wait for.
        time.sleep(max(every, min(1.0, time.monotonic() - began)))
