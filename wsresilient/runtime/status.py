"""Where a connection stands: its state, its counters, and what is derived from them.

The supervisor writes, on the connection's thread; everybody else reads or waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from ..config import ConnectionConfig
from ..core.events import Gap, StateChange
from ..core.failure import Failure, FailureKind
from ..core.health import is_healthy, rate_stats
from ..core.history import ConnectionHistory, SlowNote
from ..core.metrics import Carried, ConnectionCounters, RateWindow, Traffic
from ..core.samples import Totals
from ..core.state import ConnectionState, transition
from .clock import monotonic, wall_clock
from .delivery import Delivery
from .handlers import HandlerSet, SlowCall
from .transport import Attempt

__all__ = ["Status"]

#: Stats that go on when another connection takes the place of one.
_CARRIED = (
    "message_count",
    "bytes_received",
    "error_count",
    "callback_errors",
    "connection_failures",
    "reconnect_count",
    "rotations",
    "dropped_messages",
    "unrouted_messages",
    "generation",
)


class Status:
    """State, counters and history of one connection, over all its lives.

    It knows nothing of the user's handlers, so that it may outlive the connection's object.

    :param name: the connection's.
    :param url: shown until an attempt knows better.
    """

    def __init__(self, name: str, url: str, config: ConnectionConfig) -> None:
        self.name = name
        self.url = url
        self._stale_after = config.stale_after
        self._slow_handler_after = config.slow_handler_after
        # Guards state; told about every change of it, and of what supervisors wait for.
        self.changed = threading.Condition(threading.RLock())
        self.state = ConnectionState.DISCONNECTED
        self.counters = ConnectionCounters()
        # Of all that have ended, and of each connection that counts now. Replaced, never changed,
        # so that a reader never sees a connection twice; the lock is held for that.
        self._traffic: tuple[Carried, ...] = (Traffic(),)
        self._beside = 0  # messages delivered while there were two; the lock is held to write it
        self.rate = RateWindow()
        self.generation = 0  # of the running connection, or the latest
        self.attempts = 0  # the highest number that a connection has got
        self.retry_count = 0
        self.last_error = ""
        self.connected_at: float | None = None  # monotonic
        self.connected_wall: float | None = None
        self.endpoint = ""
        self.expects_data = True  # written by the watchdog: whether silence means something
        #: What was counted by the connection whose place this one has taken; by the keys of stats.
        self.carried: dict[str, int] = dict.fromkeys(_CARRIED, 0)
        self._last_message_before: float | None = None  # likewise, monotonic
        self.dropped_before = 0  # in earlier lives
        self.unrouted_before = 0
        self.history = ConnectionHistory()
        self._noting = threading.Lock()  # guards the gaps of the history
        #: When the latest life ended (monotonic); None while it lasts, and before the first.
        self.ended_at: float | None = None
        self._last_stats: dict[str, Any] = {}  # of the life that ended then

    def advance(self, new: ConnectionState, message: str) -> StateChange:
        """Take one step; the one place that writes the state.

        :raises IllegalTransitionError: it may not follow.
        """
        with self.changed:
            previous = self.state
            self.state = transition(previous, new)
            self.changed.notify_all()
        return StateChange(
            state=new,
            message=message,
            retry_count=self.retry_count,
            previous=previous,
            connection=self.name,
            at=wall_clock(),
        )

    def take_over(self, other: Status, stats: Mapping[str, Any]) -> None:
        """Go on where another connection ends, whose place this one takes.

        Its history is this one's from now on, and its counts move here, so that nothing seems to
        be lost and nothing is counted twice.

        :param stats: of the other one.
        """
        history, other.history = other.history, ConnectionHistory()
        self._last_message_before = other.last_message_at
        for key in _CARRIED:
            self.carried[key] += stats[key]
            other.carried[key] -= stats[key]
        now = monotonic()
        history.succeed(self.history, now, wall_clock())
        self.history = history
        # Read last: the connection's own thread may have opened it just now.
        if self.connected_at is not None:
            history.opened(now)
        self.last_error = self.last_error or other.last_error

    # What has come.

    def count(self, connection: Carried) -> None:
        """Count what comes over a connection from now on, and what has come already."""
        with self.changed:
            self._traffic = (*self._traffic, connection)

    def count_beside(self, messages: int) -> None:
        """Count messages of one of two connections, where they are delivered.

        They are not its own to count: it may have ended, and be settled, by then.
        """
        with self.changed:
            self._beside += messages

    def settle(self, connection: Carried) -> None:
        """Keep the count of a connection that has ended; nothing where it was not counted."""
        with self.changed:
            ended = Traffic()
            for one in self._traffic:
                if isinstance(one, Traffic) or one is connection:
                    ended = ended.plus(one)
            rest = (
                one
                for one in self._traffic
                if not isinstance(one, Traffic) and one is not connection
            )
            self._traffic = (ended, *rest)

    @property
    def messages(self) -> int:
        """Data messages so far; each counts once, also if it came over two connections."""
        return sum(one.messages for one in self._traffic) + self._beside

    @property
    def bytes_received(self) -> int:
        """Bytes so far."""
        return sum(one.bytes_received for one in self._traffic)

    # What becomes history.

    def begin_life(self) -> None:
        """Note that the connection is started, on the thread that does it."""
        self.retry_count = 0
        self.ended_at = None
        self.history.begin(monotonic())

    def note_opened(self) -> None:
        """Note that there is a connection, on its thread."""
        self.history.opened(monotonic())

    def note_end(self, failure: Failure, close_code: int | None, *, was_open: bool) -> None:
        """Note the end of an attempt or a connection, on its thread.

        :param was_open: whether the attempt had become a connection.
        """
        self.history.ended(
            monotonic(),
            wall_clock(),
            kind=str(failure.kind),
            text=failure.text,
            close_code=failure.close_code if close_code is None else close_code,
            planned=failure.planned,
            was_open=was_open,
            is_error=failure.is_error,
        )

    def note_rotation(self, text: str) -> None:
        """Note that a connection was replaced as planned, without a moment between the two."""
        planned = Failure(FailureKind.ROTATION, text, is_error=False)
        self.note_end(planned, 1000, was_open=True)
        self.note_opened()

    def note_error(self, text: str) -> None:
        """Count and keep a failure, on the connection's thread."""
        self.last_error = text
        self.history.add_error(wall_clock(), text)
        with self.changed:  # for a moment two connections may fail
            self.counters.errors += 1  # who sees the count finds the text

    def note_handler_error(self, text: str) -> None:
        """Keep what a handler raised, on the thread that called it."""
        self.history.add_handler_error(wall_clock(), text)

    def note_gap(self, gap: Gap) -> None:
        """Count and keep a gap, on any thread."""
        with self._noting:
            self.history.add_gap(gap)

    def note_slow_call(self, call: SlowCall, now: float, *, is_new: bool) -> None:
        """Keep a handler call that lasts too long, on the watchdog's thread."""
        note = SlowNote(now, call.event, call.where, call.seconds)
        self.history.note_slow_call(note, is_new=is_new)

    def sample(
        self, now: float, *, attempt: Attempt | None, delivery: Delivery, handlers: HandlerSet
    ) -> None:
        """Sample the counters, on the watchdog's thread."""
        messages, carried = self.messages, self.carried
        self.rate.sample(now, messages)
        totals = Totals(
            now,
            messages + carried["message_count"],
            self.counters.errors + carried["error_count"],
            handlers.counters.callback_errors + carried["callback_errors"],
            self.dropped_before + delivery.dropped + carried["dropped_messages"],
            self.history.holes,
            self.history.link_errors,
        )
        self.history.sample(totals, wall_clock(), attempt.ping_rtt if attempt else None)

    def end_life(self, stats: dict[str, Any]) -> None:
        """Keep the last stats of a life, for those who ask when the object is gone."""
        self._last_stats = stats
        self.ended_at = monotonic()

    def last_stats(self) -> dict[str, Any]:
        """The stats as they were when the latest life ended; empty before that."""
        stats, ended_at = dict(self._last_stats), self.ended_at
        if stats and ended_at is not None:
            stats["state"] = self.state.value
            stats["messages_per_minute"], stats["queue_depth"] = 0.0, 0
            if stats["last_message_age"] is not None:
                stats["last_message_age"] += monotonic() - ended_at
        return stats

    def keep_counts(self, delivery: Delivery) -> None:
        """Add up what an ended life counted for itself."""
        self.dropped_before += delivery.dropped
        self.unrouted_before += delivery.unpulled

    def forget_after_fork(self) -> None:
        """In a child: nothing of the parent's connection is left."""
        self.changed = threading.Condition(threading.RLock())
        self._noting = threading.Lock()
        self.state = ConnectionState.DISCONNECTED
        self.connected_at = self.connected_wall = None

    def wait_for(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until a condition holds.

        :param timeout: seconds; None waits for ever. It is waited in short pieces, so that
            Ctrl-C is heard on every system.
        """
        deadline = None if timeout is None else monotonic() + timeout
        with self.changed:
            while not condition():
                rest = 1.0 if deadline is None else min(1.0, deadline - monotonic())
                if rest <= 0.0:
                    return False
                self.changed.wait(rest)
        return True

    @property
    def last_message_at(self) -> float | None:
        """When the latest data message came (monotonic), or None before the first."""
        times = (self._last_message_before, *(one.last_message_at for one in self._traffic))
        return max((at for at in times if at is not None), default=None)

    @property
    def last_message_age(self) -> float | None:
        """Seconds since the latest data message, or None before the first."""
        at = self.last_message_at
        return None if at is None else max(0.0, monotonic() - at)

    def is_healthy(self) -> bool:
        """Whether it is connected and its feed alive."""
        connected_at = self.connected_at
        return is_healthy(
            connected=self.state is ConnectionState.CONNECTED,
            last_message_age=self.last_message_age,
            duration=0.0 if connected_at is None else monotonic() - connected_at,
            stale_after=self._stale_after if self.expects_data else None,
        )

    def stats(
        self,
        *,
        attempt: Attempt | None,
        delivery: Delivery | None,
        handlers: HandlerSet,
        extra: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Everything in one dict of plain values; the keys are part of the API.

        :param extra: what others know, such as the number of subscriptions.
        """
        now = monotonic()
        stats = {
            **self._standing(attempt, now),
            **self._counts(delivery, handlers, now),
            **self.history.stats(now),
            "expects_data": self.expects_data,
            "stale_after": self._stale_after,
            "slow_handler": self._slow_handler(handlers, now),
            "endpoints": [],
            "subscribed_pairs": 0,
            "confirmed_subscriptions": 0,
            "failed_subscriptions": 0,
            "subscription_limit": None,
            **extra,
        }
        stats["quality_score"] = rate_stats(stats, self.history.hour_ago)
        return stats

    def _standing(self, attempt: Attempt | None, now: float) -> dict[str, Any]:
        """Where it stands at this moment."""
        state, connected_at = self.state, self.connected_at
        last_message_at = self.last_message_at
        duration = 0.0 if connected_at is None else now - connected_at
        age = None if last_message_at is None else max(0.0, now - last_message_at)
        return {
            "name": self.name,
            "url": self.url,
            "state": state.value,
            "is_healthy": is_healthy(
                connected=state is ConnectionState.CONNECTED,
                last_message_age=age,
                duration=duration,
                stale_after=self._stale_after if self.expects_data else None,
            ),
            "retry_count": self.retry_count,
            "connect_time": self.connected_wall,
            "connection_duration": duration,
            "last_message_time": None if age is None else wall_clock() - age,
            "last_message_age": age,
            "last_error": self.last_error,
            "ping_rtt": None if attempt is None else attempt.ping_rtt,
            "endpoint": self.endpoint,
            "address": None if attempt is None else attempt.address,
            "generation": self.generation + self.carried["generation"],
        }

    def _counts(
        self,
        delivery: Delivery | None,
        handlers: HandlerSet,
        now: float,
    ) -> dict[str, Any]:
        """What was counted up to this moment."""
        counters, messages = self.counters, self.messages
        dropped, unrouted = self.dropped_before, self.unrouted_before + handlers.counters.unrouted
        if delivery is not None:
            dropped, unrouted = dropped + delivery.dropped, unrouted + delivery.unpulled
        carried = self.carried
        return {
            "message_count": messages + carried["message_count"],
            "bytes_received": self.bytes_received + carried["bytes_received"],
            "messages_per_minute": round(self.rate.per_minute(now, messages), 1),
            "unrouted_messages": unrouted + carried["unrouted_messages"],
            "dropped_messages": dropped + carried["dropped_messages"],
            "queue_depth": 0 if delivery is None else delivery.queue_depth,
            "error_count": counters.errors + carried["error_count"],
            "callback_errors": handlers.counters.callback_errors + carried["callback_errors"],
            "connection_failures": counters.failures + carried["connection_failures"],
            "reconnect_count": counters.reconnects + carried["reconnect_count"],
            "rotations": counters.rotations + carried["rotations"],
        }

    def _slow_handler(self, handlers: HandlerSet, now: float) -> dict[str, Any] | None:
        slow = handlers.slow_call(self._slow_handler_after, now)
        return None if slow is None else slow.as_dict()
