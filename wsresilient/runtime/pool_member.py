"""One connection of a pool, with what the pool knows of it beside."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..core.events import Message
from ..core.frames import Payload
from ..core.placement import Load
from ..core.state import ConnectionState
from ..errors import AuthenticationError, NotConnectedError
from .carrier import Gate
from .handover import Handover, Phase
from .lanes import Batch
from .pool_connection import PoolConnection
from .redundancy import RedundancyGate
from .subscriber import TopicHandler

__all__ = ["ConnectionMetrics", "Handlers", "PoolMember", "Replacement"]

#: Handlers of single topics.
Handlers = Mapping[str, tuple[TopicHandler, ...]]

#: The longest pause, in seconds, between two restarts of a connection that fails again and again.
LONGEST_REST = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionMetrics:
    """How one connection of a pool is.

    :ivar messages_received: data messages.
    :ivar subscriptions_count: topics that are wanted on it.
    :ivar is_healthy: whether it is up and its feed alive.
    :ivar state: see :class:`~wsresilient.ConnectionState`.
    :ivar messages_per_minute: over the last minute.
    :ivar last_message_age: seconds, or None before the first.
    :ivar age: seconds since it connected, or None.
    :ivar reconnect_count: how often it came back.
    :ivar error_count: failures.
    :ivar quality_score: 0 to 100.
    :ivar endpoint: the URL in use, without secrets.
    """

    messages_received: int
    subscriptions_count: int
    is_healthy: bool
    state: ConnectionState
    messages_per_minute: float
    last_message_age: float | None
    age: float | None
    reconnect_count: int
    error_count: int
    quality_score: int
    endpoint: str


class Replacement(NamedTuple):
    """The connection that is about to take a member's place, and how far that is."""

    member: PoolMember
    handover: Handover


class PoolMember:
    """A connection and its place in the pool; the pool's lock guards the fields.

    :param ws: the connection; it has a venue.
    :param plane: with redundancy, each topic is on one member of each plane.
    :param key_of: names a message.
    :param redundancy: lets each message through once; None: there is one plane.
    :ivar outgoing: topics that are moving away from it.
    :ivar is_started: whether its turn in the warm-up has come.
    :ivar is_hidden: whether it stands behind another one of its name, so that its state is not
        the state that users see.
    :ivar incoming: topics that are on their way to it and not wanted on it yet.
    :ivar replacement: while it is being replaced.
    :ivar unhealthy_since: monotonic time, or None.
    :ivar restarted_at: monotonic time, or None.
    :ivar restarts: how often its pool has restarted it since it was last healthy for min_uptime.
    """

    def __init__(
        self,
        ws: PoolConnection,
        plane: int,
        *,
        key_of: Callable[[Message], Hashable],
        redundancy: RedundancyGate | None = None,
    ) -> None:
        self.ws = ws
        self.plane = plane
        self.is_started = False
        self.is_hidden = False
        self.incoming: set[str] = set()
        self.outgoing: set[str] = set()
        self.replacement: Replacement | None = None
        self.unhealthy_since: float | None = None
        self.restarted_at: float | None = None
        self.restarts = 0
        self._key_of = key_of
        self._subscriber = ws.subscriber
        self._subscriber.shown_limit = None  # a pool fills its connections on purpose
        self._subscriber.follows_url = False  # and knows alone what is on them
        self._gating = threading.Lock()  # guards the writing of _gates; the tuple is read freely
        self._gates: tuple[Gate, ...] = ()
        self._last_gate: Gate | None = None
        if redundancy is not None:
            self._last_gate = redundancy.of(self.identify, ws.deliver_now)
        ws.set_gate(self._pass)

    def __repr__(self) -> str:
        return f"<PoolMember {self.name} {self.ws.state} topics={len(self.ws.subscriptions)}>"

    @property
    def name(self) -> str:
        """The connection's name."""
        return self.ws.name

    @property
    def group(self) -> str | None:
        """The group of its topics."""
        return self._subscriber.group

    @property
    def age(self) -> float | None:
        """Seconds since it connected, or None while it is not."""
        return self.ws.connection_age

    def leave(self, why: str) -> None:
        """Ask it to end; returns at once. Its monitor sees it as any that was stopped."""
        self.ws.request_stop(why)

    # Topics. The pool's lock is held.

    def topics(self) -> list[str]:
        """Give its topics in the order in which they came."""
        with self._subscriber.registry() as registry:
            own = registry.wanted_in_order
        if self.replacement is None:
            return list(own)
        return list(dict.fromkeys((*own, *self.replacement.member.topics())))

    def load(self, *, by_rate: bool) -> Load:
        """Say what it carries and is about to carry, for placement."""
        rate = self.ws.get_stats()["messages_per_minute"] if by_rate else None
        topics = list(dict.fromkeys((*self.topics(), *self.incoming)))
        return Load(self.name, topics, self.group, rate, is_usable=not self.is_given_up)

    def subscribe(self, topics: Iterable[str], handlers: Handlers) -> None:
        """Want topics on it, and on the connection that is about to replace it."""
        wanted = tuple(topics)
        if self.replacement is None:
            self._want(wanted, handlers)
            return
        successor, handover = self.replacement
        # Before the handover hears of them: it takes for confirmed what is not asked for.
        if successor.is_started:  # else it gets them with all others
            successor.subscribe(wanted, handlers)
        if handover.include(wanted) or handover.phase is Phase.FAILED:
            self._want(wanted, handlers)
        elif not successor.is_started:
            successor.subscribe(wanted, handlers)  # it has taken over

    def give_up_replacement(self) -> None:
        """Let go of the connection that was to replace it; what that one alone wanted is kept."""
        replacement, self.replacement = self.replacement, None
        if replacement is not None:
            mine = self.ws.subscriptions
            left = tuple(topic for topic in replacement.member.topics() if topic not in mine)
            self._want(left, replacement.member.ws.subscriber.handlers)

    def _want(self, topics: tuple[str, ...], handlers: Handlers) -> None:
        alike: dict[tuple[TopicHandler, ...], list[str]] = {}
        for topic in topics:
            alike.setdefault(handlers.get(topic, ()), []).append(topic)
        for those, some in alike.items():
            for handler in those:
                self.ws.subscribe(*some, handler=handler)
            if not those:
                self.ws.subscribe(*some)

    def unsubscribe(self, topics: Iterable[str]) -> None:
        """Want topics no more; the connection that is about to replace it is asked by itself."""
        gone = set(topics)
        self.incoming -= gone
        self.outgoing -= gone
        mine = gone.intersection(self.ws.subscriptions)
        mine.update(gone.intersection(self.ws.failed_subscriptions))
        if mine:
            self.ws.unsubscribe(*mine)

    # As a handover sees it.

    @property
    def generation(self) -> int:
        """The number of its attempt."""
        return self.ws.generation

    @property
    def is_connected(self) -> bool:
        """Whether there is an open connection."""
        return self.ws.is_connected

    def has_confirmed(self, topics: frozenset[str]) -> bool:
        """Whether the server has confirmed, or refused, all of these topics."""
        with self._subscriber.registry() as registry:
            return (topics & registry.wanted) <= registry.confirmed

    def has_left(self, topics: frozenset[str]) -> bool:
        """Whether the server has none of these topics any more."""
        if not self.is_connected:
            return True
        with self._subscriber.registry() as registry:
            return registry.is_gone(topics)

    def add_gate(self, gate: Gate) -> None:
        """Let all batches go through one function more, behind those that there are."""
        with self._gating:
            self._gates = (*self._gates, gate)

    def remove_gate(self, gate: Gate) -> None:
        """Let them go through one function less, if it is there."""
        with self._gating:
            self._gates = tuple(kept for kept in self._gates if kept != gate)

    def replace_gate(self, gate: Gate, other: Gate) -> None:
        """Let them go through another function in the place of one, if it is there."""
        with self._gating:
            self._gates = tuple(other if kept == gate else kept for kept in self._gates)

    def _pass(self, batch: Batch) -> list[Payload]:
        """Say what is left of a batch for the handlers; on the serving thread."""
        for gate in self._gates:
            payloads = gate(batch)
            if payloads is not batch.messages:
                batch = Batch(payloads, batch.size, batch.generation, batch.received_at)
        return batch.messages if self._last_gate is None else self._last_gate(batch)

    def after_queued(self, call: Callable[[], object]) -> None:
        """Make a call on the serving thread, behind all that is queued."""
        self.ws.after_queued(call)

    def deliver_now(self, payloads: list[Payload], received_at: float) -> None:
        """Give messages to the handlers, past the gates; on the serving thread."""
        if self._last_gate is None:
            self.ws.deliver_now(payloads, received_at)
        else:
            size = sum(map(len, payloads))
            self._last_gate(Batch(payloads, size, self.generation, received_at))

    def identify(self, payload: Payload) -> tuple[str | None, Hashable]:
        """Give topic and identity of a payload; (None, None) where it has no topic."""
        message = self.ws.message_of(payload)
        if message is None or message.topic is None:
            return None, None
        return message.topic, self._key_of(message)

    # Health.

    @property
    def is_given_up(self) -> bool:
        """Whether it has ended by itself and could be started again.

        One whose credentials were refused is not among them: starting it again is no help.
        """
        refused = isinstance(self.ws.fatal_error, AuthenticationError)
        return self.ws.state is ConnectionState.FAILED and not refused

    def note_health(self, now: float) -> float:
        """Look whether it is healthy; returns seconds for which it has not been."""
        if self.ws.is_healthy:
            self.unhealthy_since = None
            if (self.age or 0.0) >= self.ws.config.min_uptime:
                self.restarts = 0
            return 0.0
        if self.unhealthy_since is None:
            self.unhealthy_since = now
        return now - self.unhealthy_since

    def rested_for(self, now: float) -> float:
        """Seconds since it was restarted."""
        return float("inf") if self.restarted_at is None else now - self.restarted_at

    def restart_pause(self, first: float) -> float:
        """Seconds to rest before it is restarted by itself: longer each time it was in vain."""
        return min(max(first, LONGEST_REST), first * 2.0 ** min(self.restarts, 100))

    def begin(self) -> bool:
        """Start it, unless it runs.

        :returns: False: its last life has not ended yet, ask again later.
        """
        if self.ws.is_ending:
            return False
        self.ws.start()
        if not self.is_started or self.ws.is_retired:
            # Another thread has stopped the pool, or let this one go, while it was being started.
            self.ws.request_stop("its pool was stopped meanwhile")
        return True

    def restart(self, now: float) -> bool:
        """Begin a new connection: start one that has ended, hurry one that waits.

        :returns: False: its last life has not ended yet.
        """
        self.restarted_at = now
        if self.ws.is_running and not self.ws.is_ending:
            try:
                self.ws.reconnect("unhealthy: restarted by its pool")
            except NotConnectedError:
                return False  # it has come to its end just now
            return True
        return self.begin()

    def metrics(self) -> ConnectionMetrics:
        """Say how it is."""
        stats = self.ws.get_stats()
        return ConnectionMetrics(
            messages_received=stats["message_count"],
            subscriptions_count=len({*self.topics(), *self.incoming} - self.outgoing),
            is_healthy=stats["is_healthy"],
            state=ConnectionState(stats["state"]),
            messages_per_minute=stats["messages_per_minute"],
            last_message_age=stats["last_message_age"],
            age=stats["connection_duration"] if stats["state"] == "connected" else None,
            reconnect_count=stats["reconnect_count"],
            error_count=stats["error_count"],
            quality_score=stats["quality_score"],
            endpoint=stats["endpoint"],
        )

    def forget_threads(self) -> None:
        """In a child after a fork: nothing of it is under way any more."""
        self._gating = threading.Lock()
        self._gates = ()
        self.is_started = False
        self.incoming, self.outgoing = set(), set()
        self.give_up_replacement()
