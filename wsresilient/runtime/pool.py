"""ConnectionPool: many connections that look like one.

It places topics (``core/placement.py``), makes connections for them and tells how they are. What
takes time (warm-up, rotation, moving topics, restarts) is done by its keeper
(``pool_keeper.py``), on a thread of its own.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Hashable, Iterable
from types import SimpleNamespace
from typing import Any, TypeVar

from ..config import check_callable, check_seconds
from ..core.events import Gap, Message, StateChange
from ..core.failure import Failure
from ..core.frames import Payload
from ..core.placement import Load, Placement, TopicTraits, place, rebalance
from ..core.pool_settings import PoolSettings
from ..errors import ConfigurationError, SubscriptionError, SubscriptionLimitError
from ..venues.base import Venue
from .budget import ConnectLimiter
from .clock import monotonic
from .connection import ResilientWebSocket
from .pool_keeper import PoolKeeper
from .pool_member import ConnectionMetrics, PoolMember
from .pool_roster import PoolRoster
from .redundancy import RedundancyGate
from .registry import ConnectionRegistry
from .rotation_plan import RotationPlan
from .subscriber import TopicHandler

__all__ = ["ConnectionPool"]

Self = TypeVar("Self", bound="ConnectionPool")

#: In place of a monitor, for a connection that is made only to check its settings.
_UNSEEN = SimpleNamespace(registry=ConnectionRegistry())


def _budget_of(venue: Venue) -> ConnectLimiter | None:
    """Give what the exchange allows of new connections, where it tells that."""
    rate = venue.limits.connects
    return None if rate is None else ConnectLimiter(rate.count, rate.seconds)


class ConnectionPool:
    """Keeps many topics on as many connections as they need.

    Connections are opened as topics come, a few at a time, and closed when they have none left.
    Handlers are shared by all connections: those of one connection are called one after the
    other, those of different connections side by side.

    :param url_or_venue: a :class:`~wsresilient.venues.Venue`, or a URL (then with ``venue=``).
    :param name: of the pool; connections are called "name-1", "name-2", ...
    :param max_connections: how many there may be; the venue's own limit counts too.
    :param max_subscriptions_per_connection: topics of one; the venue's own limit counts too.
    :param connect_batch_size: so many connections are opened at once,
    :param connect_batch_interval: and the next ones so many seconds later.
    :param connect_limiter: a :class:`~wsresilient.ConnectLimiter` that is shared with other
        pools or processes; None: one of its own, where the venue limits connects.
    :param on_data: ``(message: Message)``.
    :param on_message: ``(payload: str | bytes)``.
    :param on_state_change: ``(change: StateChange)``, of every connection.
    :param on_gap: ``(gap: Gap)``.
    :param redundancy: each topic on so many connections; the first to bring a message counts.
    :param channels: what :meth:`add_pair` subscribes of a symbol.
    :param rotation: "break_before_make", or "make_before_break": before ``max_age`` the topics
        of a connection move to a new one without a hole and without a duplicate.
    :param rotate_window: ``("03:00", "04:00")``, local time of the host: when planned rotations
        happen. None: at any time, spread over the connections.
    :param may_rotate: ``(connection_name) -> bool``: a veto.
    :param message_key: ``(message) -> hashable``: a message's identity, where the venue knows
        none. None: the venue's, else the data itself.
    :param auto_restart: restart connections that stay unhealthy.
    :param unhealthy_after: seconds after which :attr:`auto_restart` acts.
    :param balance: "topics" or "rate": by what connections are compared.
    :param connection_settings: everything else that a ResilientWebSocket takes.
    :raises ConfigurationError: an argument is wrong.
    """

    def __init__(
        self,
        url_or_venue: Any,
        *,
        name: str | None = None,
        venue: Venue | None = None,
        max_connections: int = 10,
        max_subscriptions_per_connection: int = 100,
        connect_batch_size: int = 20,
        connect_batch_interval: float = 2.0,
        connect_limiter: Any = None,
        on_data: Callable[[Message], object] | None = None,
        on_message: Callable[[Payload], object] | None = None,
        on_state_change: Callable[[StateChange], object] | None = None,
        on_gap: Callable[[Gap], object] | None = None,
        redundancy: int = 1,
        channels: Iterable[str] | None = None,
        rotation: str = "break_before_make",
        rotate_window: tuple[str, str] | None = None,
        may_rotate: Callable[[str], bool] | None = None,
        message_key: Callable[[Message], Hashable] | None = None,
        auto_restart: bool = False,
        unhealthy_after: float = 30.0,
        balance: str = "topics",
        **connection_settings: Any,
    ) -> None:
        url = None if isinstance(url_or_venue, Venue) else url_or_venue
        chosen = url_or_venue if url is None else venue
        if not isinstance(chosen, Venue):
            raise ConfigurationError(
                "a pool places topics, so it needs a venue: ConnectionPool(Binance(), ...), or "
                "ConnectionPool(url, venue=Binance(), ...)"
            )
        check_callable("may_rotate", may_rotate)
        check_callable("message_key", message_key)
        self.name = name or chosen.name
        self._venue = chosen
        self._settings = PoolSettings(
            max_connections=max_connections,
            max_subscriptions_per_connection=max_subscriptions_per_connection,
            connect_batch_size=connect_batch_size,
            connect_batch_interval=connect_batch_interval,
            redundancy=redundancy,
            rotation=rotation,
            auto_restart=auto_restart,
            unhealthy_after=unhealthy_after,
            balance=balance,
        )
        self._limits = self._settings.limits_with(chosen.limits)
        self._most = self._settings.connections_with(chosen.limits)
        self._message_key = message_key
        self._traits = TopicTraits(chosen.group_of, chosen.symbol_of)
        self._numbers = itertools.count(1)
        self._roster = PoolRoster()
        self._redundancy = RedundancyGate() if redundancy > 1 else None
        self._topic_handlers: dict[str, tuple[TopicHandler, ...]] = {}  # guarded by the roster
        self._is_started = False
        self._make = functools.partial(
            ResilientWebSocket,
            url,
            venue=chosen,
            on_data=on_data,
            on_message=on_message,
            on_state_change=on_state_change,
            on_gap=on_gap,
            connect_limiter=connect_limiter or _budget_of(chosen),
            **connection_settings,
        )
        # Wrong settings are told now and not with the first topic.
        config = self._make(name=f"{self.name}-0", monitor=_UNSEEN).config
        self._channels = tuple(channels or ())
        self._plan = RotationPlan(config.max_age, window=rotate_window, may_rotate=may_rotate)
        self._keeper = PoolKeeper(
            self.name,
            self._settings,
            self._roster,
            make=self._successor_of,
            subscribe=self._subscribe_on,
            key_of=self._key_of,
            is_due=self._plan.is_due,
            has_spare=self._has_spare,
        )

    def __repr__(self) -> str:
        members = self._roster.members()
        connected = sum(member.is_connected for member in members)
        return (
            f"<ConnectionPool {self.name!r} {self._venue!r} {connected} of {len(members)} "
            f"connections up, {len(self.subscriptions)} topics>"
        )

    # Members.

    def _new_member(self, plane: int, name: str) -> PoolMember:
        member = PoolMember(self._make(name=name), plane)
        if self._settings.rotation == "make_before_break":

            def rotate(reason: Failure) -> bool:
                return self._take_over(member, reason)

            member.ws.set_rotation(rotate)
        if self._redundancy is not None:
            identify = functools.partial(member.identify, key_of=self._key_of)
            member.add_gate(self._redundancy.of(identify))
        return member

    def _successor_of(self, member: PoolMember) -> PoolMember:
        return self._new_member(member.plane, member.name)

    def _take_over(self, member: PoolMember, reason: Failure) -> bool:
        """Replace a member that is to be rotated; False: it has to do that itself."""
        if self._roster.get(member.name) is not member:
            return True  # it is being replaced, or has been
        self._keeper.rotate_soon(member.name, reason.text)
        return True

    def _has_spare(self, extra: int) -> bool:
        """Whether so many connections more may be open for a while."""
        most = self._venue.limits.connections
        return most is None or len(self._roster.members()) + extra <= most

    def _key_of(self, message: Message) -> Hashable:
        """Name a message, so that the same one over two connections is known."""
        if self._message_key is not None:
            return self._message_key(message)
        identity = self._venue.identity(message)
        return repr(message.data) if identity is None else identity

    def _subscribe_on(self, member: PoolMember, topics: Iterable[str]) -> None:
        wanted = tuple(topics)
        member.ws.subscribe(*wanted)
        for topic in wanted:
            for handler in self._topic_handlers.get(topic, ()):
                member.ws.subscribe(topic, handler=handler)

    # Lifecycle.

    def start(self: Self) -> Self:
        """Start the connections that there are, and from now on those that come. Idempotent."""
        with self._roster.hold():
            if self._is_started:
                return self
            self._is_started = True
            self._keeper.start()
            for member in self._roster.members():
                self._keeper.start_later(member)
        return self

    def stop(self, timeout: float = 5.0) -> bool:
        """Stop all connections; idempotent, from any thread.

        :param timeout: seconds for all of it.
        :returns: whether every thread of the pool has ended, but for the caller's.
        """
        check_seconds("timeout", timeout)
        deadline = monotonic() + timeout
        with self._roster.hold():
            self._is_started = False
            self._keeper.request_stop()
            everybody = self._roster.everybody()
        for member in everybody:
            member.ws.request_stop("the pool was stopped")
        ended = self._keeper.join(timeout=deadline - monotonic())
        for member in self._roster.everybody():
            ended = member.ws.stop(max(0.0, deadline - monotonic())) and ended
        self._roster.forget_ended()
        return ended

    def __enter__(self: Self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def wait_until_ready(self, timeout: float) -> bool:
        """Wait until all connections are up and all topics confirmed or refused.

        :param timeout: seconds.
        :returns: whether they are.
        """
        check_seconds("timeout", timeout)
        deadline = monotonic() + timeout
        while not self._is_ready():
            rest = deadline - monotonic()
            if rest <= 0.0:
                return False
            self._keeper.wait_for_progress(min(rest, 0.05))
        return True

    def _is_ready(self) -> bool:
        members = self._roster.members()
        return all(
            one.is_connected and one.has_confirmed(frozenset(one.topics())) for one in members
        )

    # Topics.

    @property
    def subscriptions(self) -> frozenset[str]:
        """The topics that are wanted."""
        return frozenset(itertools.chain(*(member.topics() for member in self._roster.members())))

    @property
    def failed_subscriptions(self) -> dict[str, SubscriptionError]:
        """The topics that were refused or never answered, and why."""
        failed: dict[str, SubscriptionError] = {}
        for member in self._roster.members():
            failed |= member.ws.failed_subscriptions
        return failed

    def free_slots(self) -> int:
        """Tell how many more topics fit, each on as many connections as redundancy asks for."""
        most = self._limits.topics_per_connection or 0
        planes = self._settings.redundancy
        capacity = (self._most // planes) * most
        return max(0, capacity - len(self.subscriptions))

    def subscribe(self, *topics: Any, handler: TopicHandler | None = None) -> None:
        """Want these topics too; connections are opened as they are needed. Idempotent.

        :param topics: in the venue's notation, or pairs ``(channel, symbol)``.
        :param handler: ``(message: Message)`` for just these topics, beside on_data.
        :raises ConfigurationError: one is no topic of the venue.
        :raises SubscriptionLimitError: not all of them fit; nothing has changed.
        """
        check_callable("handler", handler)
        wanted = tuple(dict.fromkeys(self._venue.checked(topic) for topic in topics))
        with self._roster.hold():
            present = self.subscriptions
            added = [topic for topic in wanted if topic not in present]
            placements = self._places(added, self._roster_loads())
            if handler is not None:
                for topic in wanted:
                    before = self._topic_handlers.get(topic, ())
                    if handler not in before:
                        self._topic_handlers[topic] = (*before, handler)
            for plane, placement in enumerate(placements):
                self._carry_out(plane, placement)
            if handler is not None:
                for member in self._roster.members():
                    mine = present.intersection(wanted).intersection(member.topics())
                    if mine:
                        member.ws.subscribe(*mine, handler=handler)

    def _roster_loads(self) -> list[list[Load]]:
        by_rate = self._settings.balance == "rate"
        planes = range(self._settings.redundancy)
        return [self._roster.loads(plane, by_rate=by_rate) for plane in planes]

    def _places(self, added: list[str], planes: list[list[Load]]) -> list[Placement]:
        """Find places on each plane; the roster's lock is held.

        :raises SubscriptionLimitError: there are not enough.
        """
        placements = [
            place(
                added,
                loads,
                limits=self._limits,
                max_connections=self._most // len(planes),
                traits=self._traits,
                new_name=lambda: f"{self.name}-{next(self._numbers)}",
            )
            for loads in planes
        ]
        fit = min(placement.fit for placement in placements)
        if fit < len(added):
            most = self._most // len(planes)
            raise SubscriptionLimitError(
                f"{len(added)} more topics were asked for and {fit} fit: {most} connections may "
                f"have {self._limits.topics_text} each, and {len(self.subscriptions)} topics are "
                "there; nothing was subscribed. Allowed: fewer topics, or more connections "
                "(max_connections, max_subscriptions_per_connection) where the exchange has no "
                "such limit",
                topic=added[fit],
            )
        return placements

    def _carry_out(self, plane: int, placement: Placement) -> None:
        for name in placement.opened:
            member = self._new_member(plane, name)
            self._roster.add(member)
        for name, topics in placement.assigned.items():
            found = self._roster.get(name)
            assert found is not None, "a placement names members"
            self._subscribe_on(found, topics)
        if self._is_started:
            for name in placement.opened:
                opened = self._roster.get(name)
                if opened is not None:
                    self._keeper.start_later(opened)

    def unsubscribe(self, *topics: Any) -> None:
        """Want these topics no more; connections that have none left are closed. Idempotent.

        :raises ConfigurationError: one is no topic of the venue.
        """
        gone = {self._venue.checked(topic) for topic in topics}
        with self._roster.hold():
            for topic in gone:
                self._topic_handlers.pop(topic, None)
            for member in self._roster.everybody():
                mine = gone.intersection(member.topics())
                if mine:
                    member.ws.unsubscribe(*mine)
        self._keeper.close_empty()

    def set_subscriptions(self, topics: Iterable[Any]) -> None:
        """Make these the topics that are wanted; only the difference goes out.

        :raises ConfigurationError: one is no topic of the venue.
        :raises SubscriptionLimitError: not all of them fit; nothing has changed.
        """
        wanted = dict.fromkeys(self._venue.checked(topic) for topic in topics)
        with self._roster.hold():
            removed = [topic for topic in self.subscriptions if topic not in wanted]
            loads = self._roster_loads()
            for load in itertools.chain(*loads):
                load.topics = [topic for topic in load.topics if topic in wanted]
            present = self.subscriptions
            self._places([topic for topic in wanted if topic not in present], loads)
            self._unsubscribe_quietly(removed)
            self.subscribe(*wanted)
        self._keeper.close_empty()

    def _unsubscribe_quietly(self, topics: list[str]) -> None:
        """Unsubscribe without closing what is empty for a moment."""
        gone = set(topics)
        for member in self._roster.everybody():
            mine = gone.intersection(member.topics())
            if mine:
                member.ws.unsubscribe(*mine)

    def add_pair(self, symbol: str) -> None:
        """Subscribe the configured channels of a symbol.

        :raises ConfigurationError: there are no ``channels``, or the symbol is none.
        """
        self.subscribe(*self._pair_topics(symbol))

    def remove_pair(self, symbol: str) -> None:
        """Unsubscribe the configured channels of a symbol.

        :raises ConfigurationError: as :meth:`add_pair`.
        """
        self.unsubscribe(*self._pair_topics(symbol))

    def _pair_topics(self, symbol: str) -> list[str]:
        if not self._channels:
            raise ConfigurationError(
                "add_pair() and remove_pair() need channels=[...], the channels of each symbol"
            )
        return [self._venue.topic(channel, symbol) for channel in self._channels]

    def rebalance(self) -> int:
        """Move topics so that connections differ by one at most; without a hole.

        Returns at once; the moves go on by themselves.

        :returns: how many topics move.
        """
        with self._roster.hold():
            under_way = self._keeper.topics_under_way()
            moves = [
                move
                for plane in range(self._settings.redundancy)
                for move in rebalance(self._roster.loads(plane), traits=self._traits)
                if move.topic not in under_way
            ]
            self._keeper.move(moves)
        return len(moves)

    def rotate(self, *names: str) -> None:
        """Replace connections now, as :attr:`rotation` says; without names, all of them."""
        for name in names or [member.name for member in self._roster.members()]:
            self._keeper.rotate_soon(name, "rotate() was called")

    @property
    def is_moving(self) -> bool:
        """Whether topics are on their way from one connection to another."""
        return self._keeper.is_moving

    # Health.

    def get_connection_metrics(self) -> dict[str, ConnectionMetrics]:
        """Say how each connection is, by its name."""
        return {member.name: member.metrics() for member in self._roster.members()}

    def check_health(self) -> dict[str, Any]:
        """Say which connections are not healthy.

        :returns: all_healthy, unhealthy (names), healthy and total (numbers), waiting (those whose
            turn in the warm-up has not come; they are neither), and reasons {name: last error}.
        """
        members = self._roster.members()
        started = [member for member in members if member.is_started]
        unhealthy = [member for member in started if not member.ws.is_healthy]
        return {
            "all_healthy": not unhealthy,
            "unhealthy": [member.name for member in unhealthy],
            "healthy": len(started) - len(unhealthy),
            "total": len(members),
            "waiting": len(members) - len(started),
            "reasons": {
                member.name: member.ws.last_error or f"it is {member.ws.state}"
                for member in unhealthy
            },
        }

    def restart_unhealthy_connections(self) -> list[str]:
        """Restart the connections that are not healthy.

        :returns: their names.
        """
        restarted = []
        for member in self._roster.members():
            if member.is_started and not member.ws.is_healthy:
                member.restart()
                restarted.append(member.name)
        return restarted

    def get_statistics(self) -> dict[str, Any]:
        """Say how the pool is, in plain values that JSON can hold."""
        members = self._roster.members()
        stats = [member.ws.get_stats() for member in members]
        redundancy = self._redundancy
        return {
            "name": self.name,
            "total_connections": len(members),
            "active_connections": sum(one["state"] == "connected" for one in stats),
            "healthy_connections": sum(one["is_healthy"] for one in stats),
            "waiting_connections": sum(not member.is_started for member in members),
            "total_subscriptions": len(self.subscriptions),
            "confirmed_subscriptions": sum(one["confirmed_subscriptions"] for one in stats),
            "failed_subscriptions": len(self.failed_subscriptions),
            "free_slots": self.free_slots(),
            "messages_per_minute": round(sum(one["messages_per_minute"] for one in stats), 1),
            "total_messages": self._roster.messages_before
            + sum(one["message_count"] for one in stats),
            "reconnects": self._roster.reconnects_before
            + sum(one["reconnect_count"] for one in stats),
            "rotations": self._keeper.rotations,
            "duplicates_dropped": self._keeper.duplicates_dropped()
            + (0 if redundancy is None else redundancy.duplicates),
            "endpoints": {one["name"]: one["endpoints"] for one in stats},
        }
