"""The half of a pool that places topics: on which connection each of them is.

It decides with ``core/placement.py``, all of a change or nothing of it, and makes connections as
they are needed. Starting them is the keeper's business (``pool_keeper.py``).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Hashable, Iterable
from hashlib import blake2b
from typing import Any

from ..config import check_callable
from ..core.events import Message, StateChange
from ..core.failure import Failure
from ..core.following import Following
from ..core.placement import Load, Move, Placement, TopicTraits, place, rebalance
from ..core.pool_settings import PoolSettings
from ..errors import ConfigurationError, SubscriptionError, SubscriptionLimitError
from ..venues.base import Venue, check_told_apart
from .logs import Log
from .pool_connection import PoolConnection
from .pool_keeper import PoolKeeper
from .pool_member import PoolMember
from .pool_moves import PoolMoves
from .pool_roster import PoolRoster
from .redundancy import RedundancyGate
from .rotation_plan import RotationPlan
from .subscriber import TopicHandler, checked_topics, spelled_topics

__all__ = ["PoolTopics"]

log = Log("wsresilient.pool")

#: Makes a connection: its name, whether it carries private topics, whether it is seen already.
MakeConnection = Callable[[str, bool, bool], PoolConnection]


class PoolTopics:
    """The topics of a pool and the connections that carry them.

    :param name: of the pool.
    :param venue: the exchange.
    :param settings: of the pool.
    :param channels: what :meth:`add_pair` subscribes of a symbol.
    :param private: topics that need credentials on a connection of their own.
    :param make: ``(name, private, seen)``: makes a connection.
    :param rotation_plan: tells which connection is to be rotated.
    :param message_key: names a message, or None.
    :param on_state_change: is told of all connections, or None.
    """

    def __init__(
        self,
        *,
        name: str,
        venue: Venue,
        settings: PoolSettings,
        channels: Iterable[str],
        private: Iterable[str],
        has_credentials: bool,
        make: MakeConnection,
        rotation_plan: RotationPlan,
        message_key: Callable[[Message], Hashable] | None,
        on_state_change: Callable[[StateChange], object] | None,
    ) -> None:
        self.name = name
        self._venue = venue
        self._settings = settings
        self._limits = settings.limits_with(venue.limits)
        self._most = settings.connections_with(venue.limits)
        self._channels = tuple(channels)
        self._private = frozenset(private)
        self._has_credentials = has_credentials
        self._make = make
        self._message_key = message_key
        self._has_complained = False  # of message_key
        self._on_state_change = on_state_change
        self._traits = TopicTraits(self._group_of, venue.symbol_of)
        self._redundancy = RedundancyGate() if settings.redundancy > 1 else None
        self._roster = PoolRoster()
        self._moves = PoolMoves(
            name, self._roster, self._subscribe_on, timeout=settings.handover_timeout
        )
        self._keeper = PoolKeeper(
            name,
            settings,
            self._roster,
            self._moves,
            make=self._successor_of,
            plan=self._planned_moves,
            rotation_plan=rotation_plan,
            has_spare=self._has_spare,
        )
        # Guarded by the roster's lock:
        self._is_started = False
        self._topic_handlers: dict[str, tuple[TopicHandler, ...]] = {}
        self._following = Following()
        self._last_number = 0  # of a connection's name

    # What is seen.

    @property
    def subscriptions(self) -> frozenset[str]:
        """The topics that are wanted."""
        with self._roster.hold():
            return frozenset(
                itertools.chain(*(member.topics() for member in self._roster.members()))
            )

    @property
    def failed_subscriptions(self) -> dict[str, SubscriptionError]:
        """The topics that were refused or never answered, and why."""
        with self._roster.hold():
            failed = dict(self._roster.failed_before)
            for member in self._roster.members():
                failed |= member.ws.failed_subscriptions
            return failed

    def free_slots(self) -> int:
        """Tell how many more topics fit, each on as many connections as redundancy asks for."""
        capacity = self._connections_per_plane * (self._limits.topics_per_connection or 0)
        return max(0, capacity - len(self.subscriptions))

    @property
    def _connections_per_plane(self) -> int:
        return self._most // self._settings.redundancy

    # Changes.

    def subscribe(self, *topics: Any, handler: TopicHandler | None = None) -> None:
        """Want these topics too; connections are opened as they are needed. Idempotent.

        :param topics: in the venue's notation, or pairs ``(channel, symbol)``.
        :param handler: ``(message: Message)`` for just these topics, beside on_data.
        :raises ConfigurationError: one is no topic of the venue.
        :raises SubscriptionLimitError: not all of them fit; nothing has changed.
        """
        check_callable("handler", handler)
        wanted = self._checked(topics)
        with self._roster.hold():
            self._want(wanted, handler)
            self._following.taken(wanted)

    def unsubscribe(self, *topics: Any) -> None:
        """Want these topics no more; connections that have none left are closed. Idempotent.

        :raises ConfigurationError: one is no topic of the venue.
        """
        gone = spelled_topics(self._venue, topics)
        with self._roster.hold():
            self._drop(gone)
            self._following.left_out(gone)
        self._keeper.close_empty()

    def set_subscriptions(self, topics: Iterable[Any]) -> None:
        """Make these the topics that are wanted; only the difference goes out.

        :raises ConfigurationError: one is no topic of the venue.
        :raises SubscriptionLimitError: not all of them fit; nothing has changed.
        """
        wanted = self._checked(topics)
        with self._roster.hold():
            check_told_apart(self._venue, wanted)
            removed = self.subscriptions.difference(wanted)
            placements = self._places(wanted, self._loads(without=removed))
            self._drop(removed)
            self._carry_out(placements)
            self._following.left_out(removed)
            self._following.taken(wanted)
        self._keeper.close_empty()

    def add_pair(self, symbol: str) -> None:
        """Subscribe the configured channels of a symbol.

        :raises ConfigurationError: there are no ``channels``, or the symbol is none.
        :raises SubscriptionLimitError: not all of them fit; nothing has changed.
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
                "add_pair(), remove_pair() and follow() need channels=[...], the channels of each "
                "symbol"
            )
        if not symbol or not isinstance(symbol, str):
            raise ConfigurationError(f"symbol is {symbol!r:.60}; allowed: a str, such as 'BTCUSDT'")
        return [self._venue.topic(channel, symbol) for channel in self._channels]

    def rebalance(self) -> int:
        """Move topics so that connections differ by one at most; without a hole.

        Returns at once; the moves go on by themselves, see :attr:`is_moving`. From now on the
        metrics count a topic where it moves to; while connections are replaced, from then on.

        :returns: how many topics move.
        """
        with self._roster.hold():
            count = len(self._planned_moves())
            if count:
                self._keeper.even_out()
            return count

    @property
    def is_moving(self) -> bool:
        """Whether connections are being replaced, or topics are on their way to others."""
        return self._keeper.is_moving

    # How it is done; the roster's lock is held.

    def _checked(self, topics: Iterable[Any]) -> tuple[str, ...]:
        return checked_topics(self._venue, topics, has_credentials=self._has_credentials)

    def _want(self, wanted: tuple[str, ...], handler: TopicHandler | None = None) -> None:
        """Place what is not there.

        :raises SubscriptionLimitError: not all of it fits; nothing has changed.
        """
        check_told_apart(self._venue, (*self.subscriptions, *wanted))
        placements = self._places(wanted, self._loads())
        if handler is None:
            self._carry_out(placements)
            return
        present = self.subscriptions.intersection(wanted)
        for topic in wanted:
            before = self._topic_handlers.get(topic, ())
            if handler not in before:
                self._topic_handlers[topic] = (*before, handler)
        self._carry_out(placements)
        for member in self._roster.members():
            mine = present.intersection(member.topics())
            if mine:
                member.subscribe(mine, dict.fromkeys(mine, (handler,)))

    def _drop(self, topics: Iterable[str]) -> None:
        gone = frozenset(topics)
        for topic in gone:
            self._topic_handlers.pop(topic, None)
        self._roster.forget_failed(gone)
        self._moves.forget(gone)
        for member in self._roster.everybody():
            member.unsubscribe(gone)

    def _loads(self, without: frozenset[str] = frozenset()) -> list[list[Load]]:
        """Say what the members of each plane carry, if some topics were gone."""
        by_rate = self._settings.balance == "rate"
        loads = [
            self._plane_loads(plane, by_rate=by_rate) for plane in range(self._settings.redundancy)
        ]
        if without:
            for load in itertools.chain(*loads):
                load.topics = [topic for topic in load.topics if topic not in without]
        return loads

    def _plane_loads(self, plane: int, *, by_rate: bool = False) -> list[Load]:
        loads = self._roster.loads(plane, by_rate=by_rate)
        if self._private:
            for load in loads:
                load.group = self._group_of(load.topics[0]) if load.topics else None
        return loads

    def _group_of(self, topic: str) -> str | None:
        """Tell which kind of connection a topic needs; one that logs in carries nothing else."""
        group = self._venue.group_of(topic)
        return "" if group is None and self._private else group

    def _places(self, wanted: tuple[str, ...], planes: list[list[Load]]) -> list[Placement]:
        """Find places on each plane for what is not there.

        :raises SubscriptionLimitError: there are not enough.
        """
        numbers = itertools.count(self._last_number + 1)
        placements = []
        for loads in planes:
            present = set(itertools.chain(*(load.topics for load in loads)))
            added = [topic for topic in wanted if topic not in present]
            placement = place(
                added,
                loads,
                limits=self._limits,
                max_connections=self._connections_per_plane,
                traits=self._traits,
                new_name=lambda: f"{self.name}-{next(numbers)}",
            )
            if placement.fit < len(added):
                raise self._limit_error(added, placement.fit, len(present))
            placements.append(placement)
        return placements

    def _limit_error(self, added: list[str], fit: int, present: int) -> SubscriptionLimitError:
        redundancy = self._settings.redundancy
        planes = "" if redundancy == 1 else f" for each of {redundancy} planes (redundancy)"
        return SubscriptionLimitError(
            f"{len(added)} more topics were asked for and {fit} fit: "
            f"{self._connections_per_plane} connections{planes} may have "
            f"{self._limits.topics_text} each, and {present} topics are there; nothing was "
            "changed. Allowed: fewer topics, or more connections (max_connections, "
            "max_subscriptions_per_connection) where the exchange has no such limit",
            topic=added[fit],
        )

    def _carry_out(self, placements: list[Placement]) -> None:
        for plane, placement in enumerate(placements):
            for name in placement.opened:
                self._last_number += 1
                self._roster.add(self._new_member(plane, name, placement.assigned[name]))
            for name, topics in placement.assigned.items():
                member = self._roster.get(name)
                assert member is not None, "a placement names members"
                self._roster.forget_failed(topics)
                self._subscribe_on(member, topics)
            if self._is_started:
                for name in placement.opened:
                    opened = self._roster.get(name)
                    assert opened is not None, "it was added above"
                    self._keeper.start_later(opened)

    def _subscribe_on(self, member: PoolMember, topics: Iterable[str]) -> None:
        member.subscribe(topics, self._topic_handlers)

    def _planned_moves(self) -> list[Move]:
        return [
            move
            for plane in range(self._settings.redundancy)
            for move in rebalance(self._plane_loads(plane), traits=self._traits)
        ]

    # Members.

    def _new_member(
        self, plane: int, name: str, topics: Iterable[str], *, is_seen: bool = True
    ) -> PoolMember:
        is_private = not self._private.isdisjoint(topics)
        ws = self._make(name, is_private, is_seen)
        member = PoolMember(ws, plane, key_of=self._key_of, redundancy=self._redundancy)
        if self._settings.rotation == "make_before_break":
            ws.set_rotation(lambda reason: self._take_over(member, reason))
        if self._on_state_change is not None:
            ws.on("state", _unless_hidden(member, self._on_state_change))
        return member

    def _successor_of(self, member: PoolMember) -> PoolMember:
        return self._new_member(member.plane, member.name, member.topics(), is_seen=False)

    def _take_over(self, member: PoolMember, reason: Failure) -> bool:
        """Replace a member that is to be rotated; it need not do that itself. Must not wait."""
        self._keeper.rotate_soon(member, reason.text)
        return True

    def _has_spare(self) -> bool:
        """Whether the exchange allows one connection more; the roster's lock is held."""
        most = self._venue.limits.connections
        if most is None:
            return True
        open_ones = sum(
            one.ws.is_running or not self._roster.has_left(one) for one in self._roster.everybody()
        )
        return open_ones < most

    def _key_of(self, message: Message) -> Hashable:
        """Name a message, so that the same one over two connections is known."""
        try:
            key = None if self._message_key is None else self._message_key(message)
            if key is None:
                key = self._venue.identity(message)
            if key is not None:
                hash(key)
                return key
        except BaseException:  # a user's function may raise anything
            if not self._has_complained:
                self._has_complained = True
                log.exception("%s: message_key failed; the data itself is taken instead", self.name)
        return blake2b(repr(message.data).encode("utf-8", "replace"), digest_size=16).digest()


def _unless_hidden(
    member: PoolMember, handler: Callable[[StateChange], object]
) -> Callable[[StateChange], None]:
    """Let users see one connection under each name, while one is being replaced."""

    @functools.wraps(handler)
    def tell(change: StateChange) -> None:
        if not member.is_hidden:
            handler(change)

    return tell
