"""Which topics go on which connection of a pool; pure decisions over how full they are.

Topics of one symbol stay together where they can, the least loaded connection is taken, and a new
one is opened only when the others are full. Connections of different groups (the routes of one
exchange) never share topics.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .limits import Limits

__all__ = ["Load", "Move", "Placement", "TopicTraits", "place", "rebalance"]


@dataclass(frozen=True, slots=True)
class TopicTraits:
    """How topics are told apart.

    :ivar group_of: which kind of connection a topic needs, or None: any.
    :ivar symbol_of: what it is about, or None.
    """

    group_of: Callable[[str], str | None]
    symbol_of: Callable[[str], str | None]


@dataclass(slots=True)
class Load:
    """What a connection carries.

    :ivar name: the connection's.
    :ivar topics: in order.
    :ivar group: of its topics; None: it has none yet, or they need none.
    :ivar rate: messages a minute, where connections are compared by it; else None.
    :ivar is_usable: False: it has given up; it gets a topic only where no other has room.
    """

    name: str
    topics: list[str] = field(default_factory=list)
    group: str | None = None
    rate: float | None = None
    is_usable: bool = True

    @property
    def weight(self) -> tuple[float, int]:
        """What is compared: the measured rate if there is one, then the number of topics."""
        return self.rate or 0.0, len(self.topics)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where topics go.

    :ivar assigned: new topics by the name of the connection, those to be opened included.
    :ivar opened: names of the connections to be opened, in order.
    :ivar fit: how many of the topics found a place; less than all: nothing may be done.
    """

    assigned: Mapping[str, tuple[str, ...]]
    opened: tuple[str, ...]
    fit: int


@dataclass(frozen=True, slots=True)
class Move:
    """A topic that changes its connection."""

    topic: str
    source: str
    target: str


def place(
    topics: Sequence[str],
    loads: Iterable[Load],
    *,
    limits: Limits,
    max_connections: int,
    traits: TopicTraits,
    new_name: Callable[[], str],
) -> Placement:
    """Find places for new topics.

    :param loads: the connections that there are; not changed.
    :param limits: ``topics_per_connection`` and ``topics_size`` of one connection.
    :param max_connections: how many there may be.
    :param new_name: gives the name of a connection to be opened.
    """
    placing = _Placing(
        [dataclasses.replace(one, topics=list(one.topics)) for one in loads],
        limits,
        max_connections,
        traits,
        new_name,
    )
    fit = sum(placing.place(bundle) for bundle in _bundles(topics, traits))
    assigned = {name: tuple(those) for name, those in placing.assigned.items()}
    return Placement(assigned, tuple(placing.opened), fit)


def _bundles(topics: Sequence[str], traits: TopicTraits) -> list[list[str]]:
    """Put topics of one group and one symbol together; topics without a symbol stand alone."""
    bundles: dict[tuple[object, object], list[str]] = defaultdict(list)
    for topic in topics:
        symbol = traits.symbol_of(topic)
        key = traits.group_of(topic), (topic,) if symbol is None else symbol
        bundles[key].append(topic)
    return list(bundles.values())


class _Placing:
    """The state of one placement."""

    def __init__(
        self,
        loads: list[Load],
        limits: Limits,
        max_connections: int,
        traits: TopicTraits,
        new_name: Callable[[], str],
    ) -> None:
        self._loads = loads
        self._limits = limits
        self._max_connections = max_connections
        self._traits = traits
        self._new_name = new_name
        self._home: dict[str, Load] = {}  # the connection that carries a symbol
        self._sizes = {one.name: sum(map(len, one.topics)) for one in loads}
        for load in loads:
            for topic in load.topics:
                symbol = traits.symbol_of(topic)
                if symbol is not None:
                    self._home[symbol] = load
        self.assigned: dict[str, list[str]] = defaultdict(list)
        self.opened: list[str] = []

    def place(self, bundle: list[str]) -> int:
        """Place topics that belong together, apart if need be; returns how many had room."""
        load = self._best_for(bundle)
        if load is not None:
            self._put(bundle, load)
            return len(bundle)
        if len(bundle) == 1:
            return 0
        return sum(self.place([topic]) for topic in bundle)

    def _best_for(self, bundle: list[str]) -> Load | None:
        group = self._traits.group_of(bundle[0])
        home = self._home.get(self._traits.symbol_of(bundle[0]) or "")
        if (
            home is not None
            and home.is_usable
            and self._suits(home, group)
            and self._has_room(home, bundle)
        ):
            return home
        open_ones = [
            load
            for load in self._loads
            if self._suits(load, group) and self._has_room(load, bundle)
        ]
        usable = [load for load in open_ones if load.is_usable]
        empty = Load("", [], group)
        may_open = len(self._loads) < self._max_connections and self._has_room(empty, bundle)
        if not usable and may_open:
            return self._open(group)
        return min(usable or open_ones, key=lambda load: load.weight, default=None)

    def _suits(self, load: Load, group: str | None) -> bool:
        return not load.topics or group is None or load.group in (None, group)

    def _has_room(self, load: Load, bundle: list[str]) -> bool:
        most, size = self._limits.topics_per_connection, self._limits.topics_size
        if most is not None and len(load.topics) + len(bundle) > most:
            return False
        return size is None or self._sizes.get(load.name, 0) + sum(map(len, bundle)) <= size

    def _open(self, group: str | None) -> Load:
        load = Load(self._new_name(), [], group)
        self._loads.append(load)
        self._sizes[load.name] = 0
        self.opened.append(load.name)
        return load

    def _put(self, bundle: list[str], load: Load) -> None:
        group = self._traits.group_of(bundle[0])
        if not load.topics:
            load.group = group
        load.group = load.group if group is None else group
        load.topics += bundle
        self._sizes[load.name] += sum(map(len, bundle))
        self.assigned[load.name] += bundle
        symbol = self._traits.symbol_of(bundle[0])
        if symbol is not None:
            self._home[symbol] = load


def rebalance(loads: Iterable[Load], *, traits: TopicTraits) -> list[Move]:
    """Find the moves after which connections of one group differ by at most one topic.

    No topic moves that need not, and whole symbols move where they fit.

    :param loads: the connections that there are, empty ones too; not changed.
    """
    by_group: dict[str | None, list[Load]] = defaultdict(list)
    for load in loads:
        if load.is_usable:  # one that has given up keeps what it has
            by_group[load.group if load.topics else None].append(load)
    if len(by_group) > 1 and None in by_group:
        # Empty connections may serve any group: the one with the most topics for each of them.
        spare = by_group.pop(None)
        heaviest = max(by_group.values(), key=lambda some: sum(len(one.topics) for one in some))
        heaviest += spare
    moves: list[Move] = []
    for some in by_group.values():
        moves += _even_out(some, traits)
    return moves


def _even_out(loads: list[Load], traits: TopicTraits) -> list[Move]:
    least, extra = divmod(sum(len(load.topics) for load in loads), len(loads))
    # The fullest ones keep the odd topics: that moves the fewest.
    ranked = sorted(loads, key=lambda load: -len(load.topics))
    target = {load.name: least + (rank < extra) for rank, load in enumerate(ranked)}
    room = {load.name: target[load.name] - len(load.topics) for load in ranked}
    moves: list[Move] = []
    for donor in ranked:
        leaving = _leaving(donor, -room[donor.name], traits)
        for topics in leaving:
            moves += _spread(topics, donor.name, room)
    return moves


def _leaving(donor: Load, count: int, traits: TopicTraits) -> list[list[str]]:
    """Choose so many topics, whole symbols first and the largest of them first."""
    chosen: list[list[str]] = []
    for bundle in sorted(_bundles(donor.topics, traits), key=len, reverse=True):
        if len(bundle) <= count:
            chosen.append(bundle)
            count -= len(bundle)
    if count > 0:  # only parts of symbols are left
        taken = {topic for part in chosen for topic in part}
        rest = [topic for topic in reversed(donor.topics) if topic not in taken]
        chosen.append(rest[:count])
    return chosen


def _spread(topics: list[str], source: str, room: dict[str, int]) -> list[Move]:
    """Put topics where there is room, all in one place if it holds them."""
    moves: list[Move] = []
    while topics:
        target = max(room, key=lambda name: room[name])
        count = min(room[target], len(topics))
        if count <= 0:
            break
        moves += [Move(topic, source, target) for topic in topics[:count]]
        room[target] -= count
        topics = topics[count:]
    return moves
