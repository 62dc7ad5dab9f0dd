"""One connection of a pool, with what the pool knows of it beside."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from ..core.events import Message
from ..core.frames import Payload
from ..core.placement import Load
from ..core.state import ConnectionState
from ..errors import AuthenticationError
from .clock import monotonic
from .connection import ResilientWebSocket
from .lanes import Batch

__all__ = ["ConnectionMetrics", "PoolMember"]

Gate = Callable[[Batch], list[Payload]]


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


class PoolMember:
    """A connection and its place in the pool; the pool's lock guards the fields.

    :param ws: the connection; it has a venue.
    :param plane: with redundancy, each topic is on one member of each plane.
    :ivar is_started: whether its turn in the warm-up has come.
    :ivar unhealthy_since: monotonic time, or None.
    """

    def __init__(self, ws: ResilientWebSocket, plane: int) -> None:
        self.ws = ws
        self.plane = plane
        self.is_started = False
        self.unhealthy_since: float | None = None
        self.restarted_at: float | None = None
        self._subscriber = ws.subscriber
        self._subscriber.shown_limit = None  # a pool fills its connections on purpose
        self._gates: tuple[Gate, ...] = ()

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

    def topics(self) -> list[str]:
        """Give its topics in the order in which they came."""
        with self._subscriber.registry() as registry:
            return list(registry.wanted_in_order)

    def load(self, *, by_rate: bool) -> Load:
        """Say what it carries, for placement."""
        rate = self.ws.get_stats()["messages_per_minute"] if by_rate else None
        return Load(self.name, self.topics(), self.group, rate)

    @property
    def age(self) -> float | None:
        """Seconds since it connected, or None while it is not."""
        return self.ws.connection_age

    @property
    def is_refused(self) -> bool:
        """Whether its credentials were refused: starting it again is no help."""
        return isinstance(self.ws.fatal_error, AuthenticationError)

    def leave(self, why: str) -> None:
        """Ask it to end, and take it out of its monitor; returns at once."""
        self.ws.retire(why)

    # As a handover sees it.

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
        with self._subscriber.registry() as registry:
            return registry.is_gone(topics)

    def add_gate(self, gate: Gate) -> None:
        """Let all batches go through one function more."""
        self._gates = (*self._gates, gate)
        self._apply_gates()

    def remove_gate(self, gate: Gate) -> None:
        """Let them go through one function less."""
        self._gates = tuple(kept for kept in self._gates if kept != gate)
        self._apply_gates()

    def replace_gate(self, gate: Gate, other: Gate) -> None:
        """Let them go through another function in the place of one."""
        self._gates = tuple(other if kept == gate else kept for kept in self._gates)
        self._apply_gates()

    def _apply_gates(self) -> None:
        gates = self._gates
        if len(gates) <= 1:
            self.ws.set_gate(gates[0] if gates else None)
            return

        def all_of_them(batch: Batch) -> list[Payload]:
            payloads = batch.messages
            for gate in gates:
                payloads = gate(Batch(payloads, batch.size, batch.generation, batch.received_at))
            return payloads

        self.ws.set_gate(all_of_them)

    def after_queued(self, call: Callable[[], object]) -> None:
        """Make a call on the serving thread, behind all that is queued."""
        self.ws.after_queued(call)

    def deliver_now(self, payloads: list[Payload], received_at: float) -> None:
        """Give messages to the handlers, past the gates; on the serving thread."""
        self.ws.deliver_now(payloads, received_at)

    def identify(
        self, payload: Payload, key_of: Callable[[Message], Hashable]
    ) -> tuple[str | None, Hashable]:
        """Give topic and identity of a payload; (None, None) where it has no topic."""
        message = self.ws.message_of(payload)
        if message is None or message.topic is None:
            return None, None
        return message.topic, key_of(message)

    # Health.

    def note_health(self, now: float) -> float:
        """Look whether it is healthy; returns seconds for which it has not been."""
        if self.ws.is_healthy:
            self.unhealthy_since = None
            return 0.0
        if self.unhealthy_since is None:
            self.unhealthy_since = now
        return now - self.unhealthy_since

    def restart(self) -> None:
        """Begin a new connection: start one that has failed or was never started."""
        self.restarted_at = monotonic()
        if self.ws.state in (ConnectionState.FAILED, ConnectionState.DISCONNECTED):
            self.ws.start()
        else:
            self.ws.reconnect("unhealthy: restarted by its pool")

    def metrics(self) -> ConnectionMetrics:
        """Say how it is."""
        stats = self.ws.get_stats()
        is_up = self.ws.is_connected
        return ConnectionMetrics(
            messages_received=stats["message_count"],
            subscriptions_count=stats["subscribed_pairs"],
            is_healthy=stats["is_healthy"],
            state=self.ws.state,
            messages_per_minute=stats["messages_per_minute"],
            last_message_age=stats["last_message_age"],
            age=stats["connection_duration"] if is_up else None,
            reconnect_count=stats["reconnect_count"],
            error_count=stats["error_count"],
            quality_score=stats["quality_score"],
            endpoint=stats["endpoint"],
        )
