"""What the tests share: bounds, threads whose errors are not lost, a look at what is left over.

Nothing here sleeps in order to synchronise: a test waits for an event, a barrier or a condition,
with a bound so generous that only a bug reaches it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Seconds after which something that has to happen has not happened.
BOUND = 20.0

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05


def eventually(condition: Callable[[], object], *, within: float = BOUND) -> bool:
    """Tell whether a condition comes true, for what gives no signal when it does."""
    deadline = time.monotonic() + within
    pause = _FIRST_PAUSE
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return True


class Gate:
    """Where a thread stays until the test lets it go on.

    ``pass_through`` is what a handler calls: it tells that it has arrived and waits.
    """

    def __init__(self) -> None:
        self._arrived = threading.Semaphore(0)
        self._open = threading.Event()

    def pass_through(self, *_args: object) -> None:
        self._arrived.release()
        if not self._open.wait(BOUND):
            raise AssertionError("nobody opened the gate")

    def wait_for_arrival(self) -> None:
        """Wait for the next arrival, each of which counts once."""
        assert self._arrived.acquire(timeout=BOUND), "nobody came to the gate"

    def open(self) -> None:
        self._open.set()


class Running:
    """A function on a thread of its own; what it returns or raises comes out of ``result``."""

    def __init__(self, function: Callable[..., Any], *args: object) -> None:
        self._value: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(function, args), daemon=True)
        self._thread.start()

    def _run(self, function: Callable[..., Any], args: tuple[object, ...]) -> None:
        try:
            self._value = function(*args)
        except BaseException as error:
            self._error = error

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def result(self) -> Any:
        """Wait for the end, and return or raise what came of it."""
        self._thread.join(BOUND)
        assert self.is_over, f"it does not end:\n{stack_of(self._thread)}"
        if self._error is not None:
            raise self._error
        return self._value

    def waits_in(self, function: str) -> bool:
        """Tell whether it comes to stand still inside of a function of that name."""
        return eventually(lambda: function in names_on_stack(self._thread))


def names_on_stack(thread: threading.Thread) -> list[str]:
    frame = sys._current_frames().get(thread.ident or 0)
    return [place.name for place in traceback.extract_stack(frame)] if frame is not None else []


def stack_of(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None:
        return f"{thread.name}: has ended"
    return f"{thread.name}:\n{''.join(traceback.format_stack(frame))}"


def sockets_and_eventfds() -> Counter[str]:
    """Count the open descriptors that a connection might leave behind; empty without /proc."""
    found: Counter[str] = Counter()
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return found
    for descriptor in os.listdir(folder):
        try:
            target = os.readlink(folder / descriptor)
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
        if target.startswith("socket:") or target == "anon_inode:[eventfd]":
            found[target] += 1
    return found


class Leftovers:
    """What was there before, to tell what has been added since."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._descriptors = sockets_and_eventfds()

    def threads(self) -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread not in self._threads]

    def descriptors(self) -> Counter[str]:
        return sockets_and_eventfds() - self._descriptors

    def describe(self, *, within: float = BOUND) -> str:
        """Say what is left over, once it had time to go; "" when nothing is."""
        if eventually(lambda: not self.threads() and not self.descriptors(), within=within):
            return ""
        stacks = [stack_of(thread) for thread in self.threads()]
        descriptors = [f"{count} x {target}" for target, count in self.descriptors().items()]
        title = f"left over: {len(stacks)} threads, {len(descriptors)} kinds of descriptors"
        return "\n".join([title, *descriptors, *stacks])
