"""A client with quick settings that records all that it is told, and how it has to stop."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wsresilient import Gap, ReconnectPolicy, ResilientWebSocket, StateChange

from .servers import PATIENCE, wait_until

__all__ = [
    "QUICK",
    "SLOW_RETRY",
    "STOP_BOUND",
    "Seen",
    "Session",
    "chain",
    "is_held_back",
    "is_sending",
    "is_served",
    "library_threads",
    "quick",
    "running",
    "started",
    "stop_in_time",
]

QUICK = ReconnectPolicy(initial_delay=0.01, max_delay=0.05, jitter=0.0)
#: For what must not be retried within a test.
SLOW_RETRY = ReconnectPolicy(initial_delay=60.0, max_delay=60.0, jitter=0.0)

CLOSE_TIMEOUT = 0.5
#: Seconds within which stop() returns, in every phase, on a busy machine. It is less than the
#: shortest of the deadlines that a stop must not wait for.
STOP_BOUND = CLOSE_TIMEOUT + 8.0


@dataclass
class Seen:
    """What a client was told, by kind and, in ``log``, in one order."""

    messages: list[str | bytes] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    opens: list[ResilientWebSocket] = field(default_factory=list)
    closes: list[tuple[int | None, str]] = field(default_factory=list)
    states: list[StateChange] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def handlers(self) -> dict[str, Callable[..., None]]:
        """The arguments of a connection."""

        def on_close(code: int | None, reason: str) -> None:
            self.closes.append((code, reason))
            self.log.append(f"close {code}")

        return {
            "on_message": self._recorder(self.messages, str),
            "on_error": self._recorder(self.errors, lambda error: f"error {type(error).__name__}"),
            "on_open": self._recorder(self.opens, lambda _: "open"),
            "on_close": on_close,
            "on_state_change": self._recorder(self.states, lambda change: str(change.state)),
            "on_gap": self._recorder(self.gaps, lambda gap: f"gap {gap.reason}"),
        }

    def _recorder(self, kept: list[Any], name: Callable[[Any], str]) -> Callable[[Any], None]:
        def record(value: Any) -> None:
            kept.append(value)
            self.log.append(name(value))

        return record

    def wait_for_messages(self, count: int) -> list[str | bytes]:
        """Wait for so many messages; returns all."""
        wait_until(lambda: len(self.messages) >= count, PATIENCE, f"{count} messages")
        return self.messages

    def wait_for_errors(self, count: int = 1) -> list[Exception]:
        """Wait for so many errors; returns all."""
        wait_until(lambda: len(self.errors) >= count, PATIENCE, f"{count} errors")
        return self.errors

    def wait_for_closes(self, count: int = 1) -> list[tuple[int | None, str]]:
        """Wait for so many on_close; returns all."""
        wait_until(lambda: len(self.closes) >= count, PATIENCE, f"{count} closes")
        return self.closes

    def wait_for_opens(self, count: int = 1) -> None:
        """Wait for so many on_open."""
        wait_until(lambda: len(self.opens) >= count, PATIENCE, f"{count} opens")


def quick(url: Any, **settings: Any) -> ResilientWebSocket:
    """Make a connection with settings that suit a test; it is not started."""
    usual = {
        "reconnect": QUICK,
        "close_timeout": CLOSE_TIMEOUT,
        "check_interval": 0.05,
        "name": "test",
    }
    return ResilientWebSocket(url, **{**usual, **settings})


class Session(NamedTuple):
    """A client and what it was told."""

    ws: ResilientWebSocket
    seen: Seen


@contextlib.contextmanager
def running(url: Any, *, connected: bool = True, **settings: Any) -> Iterator[Session]:
    """Start a client that records; at the end it must stop cleanly.

    :param connected: wait first for the connection, and for all that is told before its on_open.
    """
    seen = Seen()
    ws = quick(url, **{**seen.handlers(), **settings})
    try:
        ws.start()
        if connected:
            assert ws.wait_until_connected(PATIENCE), f"not connected: {ws.last_error}"
            if "on_open" not in settings:
                seen.wait_for_opens(1)
        yield Session(ws, seen)
    finally:
        stopped = ws.stop(timeout=PATIENCE)
    assert stopped, f"threads left: {library_threads()}"


def library_threads() -> list[str]:
    """Name the threads that connections of this process have now."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("wsr-") or "_send_ping" in name]


def stop_in_time(ws: ResilientWebSocket) -> None:
    """Stop; and nothing of it may be left at the moment at which that returns."""
    before = time.monotonic()
    assert ws.stop(timeout=PATIENCE)
    assert time.monotonic() - before < STOP_BOUND
    assert library_threads() == []
    assert ws.state == "disconnected"
    assert not ws.is_running


@contextlib.contextmanager
def started(url: Any, **settings: Any) -> Iterator[Session]:
    """Start a client that records, for a test that stops it in its own way."""
    seen = Seen()
    ws = quick(url, **{**seen.handlers(), **settings}).start()
    try:
        yield Session(ws, seen)
    finally:
        ws.stop(PATIENCE)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Walk over an error and all that it came from."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        link = waiting.pop()
        if link is not None and link not in found:
            found.append(link)
            waiting += [link.__cause__, link.__context__]
            yield link


# What no member of a connection tells, since only tests have to know it.


def is_sending(ws: ResilientWebSocket) -> bool:
    """Tell whether a send is under way that the peer has not taken yet."""
    attempt = ws._life.attempt if ws._life is not None else None
    return attempt is not None and attempt.sender.due is not None


def is_held_back(ws: ResilientWebSocket) -> bool:
    """Tell whether the reader waits for room in the lane."""
    return ws._life is not None and ws._life.delivery.held_back_since is not None


def is_served(ws: ResilientWebSocket) -> bool:
    """Tell whether handlers have been called for all that has happened so far."""
    return ws._life is not None and ws._life.delivery.idle and ws._life.has_greeted
