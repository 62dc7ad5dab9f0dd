"""Waiting for a condition instead of for a time, which is what keeps tests fast and never flaky.

It knows nothing of sockets, exchanges or connections: only a function that says whether it is so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["wait_until"]

_Value = TypeVar("_Value")

_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05


def wait_until(
    condition: Callable[[], _Value],
    timeout: float = 30.0,
    description: str = "",
) -> _Value:
    """Call ``condition`` again and again until it returns something true.

    >>> wait_until(lambda: 3)
    3

    :param condition: called without arguments, at first every millisecond, later every 50 ms;
        what it raises is not caught.
    :param timeout: seconds until it gives up; 0 asks exactly once.
    :param description: what is waited for, in the words of the message; "" takes the name and
        the place of ``condition``.
    :returns: the first true value that ``condition`` returned.
    :raises AssertionError: it was never true; the text names what was waited for, for how long,
        and the last value.
    """
    started = time.monotonic()
    pause = _FIRST_PAUSE
    while True:
        value = condition()
        if value:
            return value
        remaining = started + timeout - time.monotonic()
        if remaining <= 0:
            what = description or _name(condition)
            raise AssertionError(f"waited {timeout:g} s in vain for {what}; last value: {value!r}")
        time.sleep(min(pause, remaining))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _name(condition: Callable[[], object]) -> str:
    """Name a function with its file and line, because most conditions are lambdas."""
    name = getattr(condition, "__qualname__", None) or repr(condition)
    code = getattr(condition, "__code__", None)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"
