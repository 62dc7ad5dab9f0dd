"""The user's handlers: who is called for what, isolated from each other and from the stream.

An exception of a handler, BaseException included, is counted, logged with its traceback (not
more than a few a minute) and given to on_error once; the next message is delivered as if
nothing had been. How far a batch has got is read off its iterator by the watchdog, so that
slow handlers are found without any work per message.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NamedTuple

from ..config import check_callable, unknown_name
from ..core.metrics import HandlerCounters
from ..core.redact import Redactor
from ..errors import ConfigurationError
from .clock import monotonic

__all__ = ["EVENTS", "HandlerSet", "SlowCall"]

logger = logging.getLogger("wsresilient.handlers")

Handler = Callable[..., object]

EVENTS = (
    "message",
    "data",
    "open",
    "close",
    "error",
    "state",
    "stats",
    "gap",
    "unrouted",
    "ping",
    "pong",
)

#: Tracebacks logged a minute; beyond it handler errors are only counted.
TRACEBACKS_PER_MINUTE = 5


class SlowCall(NamedTuple):
    """A handler call that lasts too long.

    :ivar event: what it was called for.
    :ivar where: "function (file:line)" where it stands, and the handler's own line.
    :ivar seconds: how long it has lasted at least.
    """

    event: str
    where: str
    seconds: float


class _Progress:
    """Where delivery stands; written by the serving thread, read by the watchdog."""

    __slots__ = ("event", "pending", "started", "thread_id")

    def __init__(self) -> None:
        self.event: str | None = None
        self.pending: Iterator[Any] | None = None
        self.started = 0.0
        self.thread_id = 0

    def begin(self, event: str, pending: Iterator[Any] | None) -> None:
        self.pending = pending
        self.started = monotonic()
        self.thread_id = threading.get_ident()
        self.event = event

    def save(self) -> tuple[str | None, Iterator[Any] | None, float]:
        return self.event, self.pending, self.started

    def restore(self, saved: tuple[str | None, Iterator[Any] | None, float]) -> None:
        self.event, self.pending, self.started = saved

    def key(self) -> tuple[float, int] | None:
        """A value that stays the same as long as the same handler call lasts."""
        pending = self.pending
        if self.event is None:
            return None
        # The list iterator knows how many are left: no counter has to be kept per message.
        return self.started, pending.__length_hint__() if pending is not None else -1  # type: ignore[attr-defined]


class HandlerSet:
    """The handlers of one connection.

    :param owner: its name, for logs.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._lock = threading.Lock()  # guards the writing of _handlers; tuples are read freely
        self._handlers: dict[str, tuple[Handler, ...]] = dict.fromkeys(EVENTS, ())
        self.counters = HandlerCounters()
        self.redact = Redactor()
        self._progress = _Progress()
        self._tracebacks_from = 0.0
        self._tracebacks = 0
        self._watched_key: tuple[float, int] | None = None
        self._watched_since = 0.0
        self._reported = False

    def add(self, event: str, handler: Handler, *, argument: str | None = None) -> None:
        """Add a handler.

        :param argument: how to name it in an error.
        :raises ConfigurationError: there is no such event, or it cannot be called.
        """
        if event not in self._handlers:
            raise unknown_name("event", event, EVENTS)
        if handler is None:
            raise ConfigurationError(f"the handler for {event!r} is None; allowed: a function")
        check_callable(argument or f"the handler for {event!r}", handler)
        with self._lock:
            self._handlers[event] = (*self._handlers[event], handler)

    def has(self, event: str) -> bool:
        """Whether anybody listens."""
        return bool(self._handlers[event])

    # On the serving thread.

    def call(self, event: str, *args: object) -> None:
        """Call all handlers of an event, each isolated."""
        handlers = self._handlers[event]
        if not handlers:
            return
        outer = self._progress.save()
        for handler in handlers:
            self._progress.begin(event, None)
            try:
                handler(*args)
            except BaseException as error:
                self._failed(event, handler, error)
        self._progress.restore(outer)

    def deliver(self, event: str, items: list[Any]) -> None:
        """Give each item of a list to the handlers of an event; what messages run through.

        Emptying the list ends it behind the call that is running.
        """
        handlers = self._handlers[event]
        if not handlers:
            return
        handler = handlers[0] if len(handlers) == 1 else self._fan(event, handlers)
        pending = iter(items)
        outer = self._progress.save()
        self._progress.begin(event, pending)
        while True:
            try:
                for item in pending:
                    handler(item)
                break
            except BaseException as error:
                self._failed(event, handler, error)
        self._progress.restore(outer)

    def _fan(self, event: str, handlers: tuple[Handler, ...]) -> Handler:
        """Make one function that calls several, each isolated."""

        def call_all(item: object) -> None:
            for handler in handlers:
                try:
                    handler(item)
                except BaseException as error:
                    self._failed(event, handler, error)

        return call_all

    def is_calling(self) -> bool:
        """Whether the calling thread is inside one of these handlers."""
        progress = self._progress
        return progress.event is not None and progress.thread_id == threading.get_ident()

    def fail(self, error: Exception) -> None:
        """Count and tell an error that is a message's fault rather than a handler's."""
        self.counters.callback_errors += 1
        self.call("error", error)

    def _failed(self, event: str, handler: Handler, error: BaseException) -> None:
        self.counters.callback_errors += 1
        self._log(event, handler, error)
        if event != "error":
            shown = error if isinstance(error, Exception) else _as_exception(error)
            self.call("error", shown)

    def _log(self, event: str, handler: Handler, error: BaseException) -> None:
        now = monotonic()
        if now - self._tracebacks_from > 60.0:
            self._tracebacks_from, self._tracebacks = now, 0
        self._tracebacks += 1
        if self._tracebacks > TRACEBACKS_PER_MINUTE:
            return
        logger.error(
            "%s: handler %s for %r raised %s; the stream goes on%s",
            self._owner,
            getattr(handler, "__qualname__", repr(handler)),
            event,
            type(error).__name__,
            "" if self._tracebacks < TRACEBACKS_PER_MINUTE else "; more in this minute not logged",
            exc_info=(type(error), error, error.__traceback__),
        )

    # From the watchdog's thread.

    def find_slow_call(self, limit: float, now: float) -> SlowCall | None:
        """Tell of a handler call that lasts longer than ``limit`` seconds, once for each."""
        key = self._progress.key()
        if key is None or key != self._watched_key:
            self._watched_key, self._watched_since, self._reported = key, now, False
            if key is None:
                return None
            if key[1] < 0:  # no batch: the start of the call itself is known
                self._watched_since = key[0]
        lasted = now - self._watched_since
        if self._reported or lasted < limit:
            return None
        self._reported = True
        progress = self._progress
        where = _where_it_stands(progress.thread_id)
        return SlowCall(progress.event or "?", where, lasted)


def _as_exception(error: BaseException) -> Exception:
    """Wrap SystemExit, KeyboardInterrupt and the like, since on_error takes an Exception."""
    wrapped = RuntimeError(f"a handler raised {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def _where_it_stands(thread_id: int) -> str:
    """Say where a thread is: the innermost line, and the handler's own one."""
    innermost = sys._current_frames().get(thread_id)
    frame: FrameType | None = innermost
    handler: FrameType | None = None
    while frame is not None and frame.f_code.co_filename != __file__:
        handler, frame = frame, frame.f_back
    if innermost is None or handler is None:
        return "a place that cannot be told"
    place = _place(handler)
    return place if handler is innermost else f"{place}, in {_place(innermost)}"


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_name} ({frame.f_code.co_filename}:{frame.f_lineno})"
