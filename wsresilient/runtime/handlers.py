"""The user's handlers: who is called for what, isolated from each other and from the stream.

An exception of a handler, BaseException included, is counted, logged with its traceback (not
more than a few a minute) and given to on_error once; the next message is delivered as if
nothing had been. How far a batch has got is read off its iterator by the watchdog, so that
slow handlers are found without any work per message.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NamedTuple

from ..config import check_callable, unknown_name
from ..core.metrics import HandlerCounters
from ..core.redact import Redactor, shorten
from ..errors import ConfigurationError, as_exception, describe
from .clock import monotonic
from .logs import Log

__all__ = ["EVENTS", "HandlerSet", "SlowCall"]

log = Log("wsresilient.handlers")

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
#: Seconds between two errors whose texts are kept.
NOTE_EVERY = 1.0
#: Places of a slow call's stack that are told at either end.
MOST_PLACES = 3


class SlowCall(NamedTuple):
    """A handler call that lasts too long.

    :ivar event: what it was called for.
    :ivar where: "function (file:line)" where it stands, and the handler's own line.
    :ivar seconds: how long it has lasted at least.
    :ivar stack: "function (file:line)" from the handler inwards, shortened.
    """

    event: str
    where: str
    seconds: float
    stack: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "event": self.event,
            "where": self.where,
            "seconds": round(self.seconds, 3),
            "stack": list(self.stack),
        }


class _Progress:
    """Where delivery stands on one thread; written by it, read by the watchdog.

    :param thread_id: of that thread.
    """

    __slots__ = ("event", "pending", "started", "thread_id", "watched")

    def __init__(self, thread_id: int) -> None:
        self.thread_id = thread_id
        self.event = "?"
        self.pending: Iterator[Any] | None = None
        self.started = 0.0
        self.watched = _Watched()  # the watchdog's own

    def begin(self, event: str, pending: Iterator[Any] | None) -> None:
        # In this order: an old start without a batch would look like a call that lasts.
        self.event = event
        self.started = monotonic()
        self.pending = pending

    def save(self) -> tuple[str, Iterator[Any] | None, float]:
        return self.event, self.pending, self.started

    def restore(self, saved: tuple[str, Iterator[Any] | None, float]) -> None:
        self.event, self.pending, self.started = saved  # the batch before its start, likewise

    def key(self) -> tuple[float, int]:
        """A value that stays the same as long as the same handler call lasts."""
        pending = self.pending
        # The list iterator knows how many are left: no counter has to be kept per message.
        return self.started, pending.__length_hint__() if pending is not None else -1  # type: ignore[attr-defined]


class _Watched:
    """What the watchdog remembers of one delivery, from look to look."""

    __slots__ = ("key", "reported", "since")

    def __init__(self) -> None:
        self.key: tuple[float, int] | None = None
        self.since = 0.0
        self.reported = False


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
        # By thread: after a restart from inside a handler, the old lane still runs beside the
        # new one. An entry is there only while a handler is being called.
        self._running: dict[int, _Progress] = {}
        self._tracebacks_from = 0.0
        self._tracebacks = 0
        #: Is given the text of an error of a handler, once a second at most.
        self.note_error: Callable[[str], object] = _keep_nothing
        self._noted_at = -NOTE_EVERY

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
        progress, outer = self._enter()
        try:
            for handler in handlers:
                progress.begin(event, None)
                try:
                    handler(*args)
                except BaseException as error:
                    self.failed(event, handler, error)
        finally:
            self._leave(progress, outer)

    def deliver(self, event: str, items: list[Any]) -> None:
        """Give each item of a list to the handlers of an event; what messages run through.

        Emptying the list ends it behind the call that is running.
        """
        handlers = self._handlers[event]
        if len(handlers) == 1:
            self.run(event, handlers[0], items)
        elif handlers:
            self.run(event, lambda item: self.call_each(event, handlers, item), items)

    def run(self, event: str, handler: Handler, items: list[Any]) -> None:
        """Give each item of a list to one handler; see :meth:`deliver`."""
        pending = iter(items)
        progress, outer = self._enter()
        try:
            progress.begin(event, pending)
            while True:
                try:
                    for item in pending:
                        handler(item)
                    break
                except BaseException as error:
                    self.failed(event, handler, error)
        finally:
            self._leave(progress, outer)

    def _enter(self) -> tuple[_Progress, tuple[str, Iterator[Any] | None, float] | None]:
        """Note that this thread is calling handlers, perhaps inside of another call."""
        thread_id = threading.get_ident()
        progress = self._running.get(thread_id)
        if progress is not None:
            return progress, progress.save()
        progress = _Progress(thread_id)
        self._running[thread_id] = progress
        return progress, None

    def _leave(
        self, progress: _Progress, outer: tuple[str, Iterator[Any] | None, float] | None
    ) -> None:
        if outer is None:
            del self._running[progress.thread_id]
        else:
            progress.restore(outer)

    @contextlib.contextmanager
    def calling(self, what: str) -> Iterator[None]:
        """Note that another function of the user's is running, such as the decoder."""
        progress, outer = self._enter()
        progress.begin(what, None)
        try:
            yield
        finally:
            self._leave(progress, outer)

    def call_each(self, event: str, handlers: tuple[Handler, ...], item: object) -> None:
        """Give one item to several handlers, each isolated."""
        for handler in handlers:
            try:
                handler(item)
            except BaseException as error:
                self.failed(event, handler, error)

    @property
    def any_running(self) -> bool:
        """Whether a handler is being called right now."""
        return bool(self._running)

    def is_calling(self) -> bool:
        """Whether the calling thread is inside one of these handlers."""
        return threading.get_ident() in self._running

    def fail(self, error: Exception) -> None:
        """Count and tell an error that is a message's fault rather than a handler's."""
        self._note(error, "")
        self.counters.callback_errors += 1  # who sees the count finds the text
        if self._may_log():
            log.warning("%s: %s%s", self._owner, error, self._and_no_more())
        self.call("error", error)

    def failed(self, event: str, handler: Handler, error: BaseException) -> None:
        """Count and tell what a function of the user's has raised.

        :param event: what it was called for.
        """
        self._note(error, f"{_name_of(handler)}, for {event!r}: ")
        self.counters.callback_errors += 1  # who sees the count finds the text
        self._log(event, handler, error)
        if event != "error":
            self.call("error", as_exception(error, "a handler"))

    def _note(self, error: BaseException, what: str) -> None:
        now = monotonic()
        if now - self._noted_at >= NOTE_EVERY:
            self._noted_at = now
            self.note_error(shorten(f"{what}{self.redact(describe(error))}"))

    def _may_log(self) -> bool:
        """Count something to log; False: there was enough of it in this minute."""
        now = monotonic()
        if now - self._tracebacks_from > 60.0:
            self._tracebacks_from, self._tracebacks = now, 0
        self._tracebacks += 1
        return self._tracebacks <= TRACEBACKS_PER_MINUTE

    def _and_no_more(self) -> str:
        last = self._tracebacks == TRACEBACKS_PER_MINUTE
        return "; more in this minute not logged" if last else ""

    def _log(self, event: str, handler: Handler, error: BaseException) -> None:
        if not self._may_log() or not log.logger.isEnabledFor(logging.ERROR):
            return
        record = log.logger.makeRecord(
            log.logger.name,
            logging.ERROR,
            __file__,
            0,
            "%s: handler %s for %r raised %s; the stream goes on%s",
            (
                self._owner,
                _name_of(handler),
                event,
                type(error).__name__,
                self._and_no_more(),
            ),
            (type(error), error, error.__traceback__),
        )
        # What formatters show in place of exc_info: the text of an exception may hold a secret.
        record.exc_text = self._traceback(error)
        log.handle(record)

    def _traceback(self, error: BaseException) -> str:
        # Places stay as they are: a word of the URL's query may be the name of a function.
        return "".join(
            part if part.startswith('  File "') else self.redact(part)
            for part in traceback.TracebackException.from_exception(error).format()
        ).rstrip()

    # From the watchdog's thread.

    def find_slow_call(self, limit: float, now: float) -> SlowCall | None:
        """Tell of a handler call that lasts longer than ``limit`` seconds, once for each."""
        for progress in list(self._running.values()):
            key, watched = progress.key(), progress.watched
            if key != watched.key:
                watched.reported = False
                # Without a batch the start of the call itself is known.
                watched.since = key[0] if key[1] < 0 else now
                watched.key = key  # last: slow_call() on another thread looks at it first
            lasted = now - watched.since
            if lasted >= limit and not watched.reported:
                watched.reported = True
                return _slow_call(progress, lasted)
        return None

    # From any thread.

    def slow_call(self, limit: float, now: float) -> SlowCall | None:
        """Tell of a handler call that lasts longer than ``limit`` seconds, as long as it does.

        Calls of messages are known to the second look of the watchdog, and those after it.
        """
        if not self._running:
            return None
        for progress in list(self._running.values()):
            key, watched = progress.key(), progress.watched
            if key == watched.key and now - watched.since >= limit:
                return _slow_call(progress, now - watched.since)
        return None


def _keep_nothing(_text: str) -> None:
    """Nobody keeps the texts of errors."""


def _name_of(handler: Handler) -> str:
    try:
        return str(getattr(handler, "__qualname__", type(handler).__qualname__))
    except Exception:  # an object of the user's may do anything
        return type(handler).__qualname__


def _slow_call(progress: _Progress, seconds: float) -> SlowCall:
    """Say where a call stands: the handler's own line, and the innermost one."""
    stack = _stack_inside(progress.thread_id)
    if not stack:
        where = "a place that cannot be told"
    else:
        where = stack[0] if len(stack) == 1 else f"{stack[0]}, in {stack[-1]}"
    if len(stack) > 2 * MOST_PLACES:
        stack[MOST_PLACES:-MOST_PLACES] = ["..."]
    return SlowCall(progress.event, where, seconds, tuple(stack))


def _stack_inside(thread_id: int) -> list[str]:
    """Say where a thread is, from the handler inwards."""
    frame = sys._current_frames().get(thread_id)
    frames: list[FrameType] = []
    while frame is not None and frame.f_code.co_filename != __file__:
        frames.append(frame)
        frame = frame.f_back
    return [_place(frame) for frame in reversed(frames)]


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_name} ({frame.f_code.co_filename}:{frame.f_lineno})"
