"""Two streams of the same messages become one: the new one takes over from the old one. Pure.

While both bring the messages, those of the old stream are delivered and remembered and those of
the new one are held. Within a topic both are in order, so one message that has come over both
joins them: what the new stream brought before it is on its way to the user already, and what it
brought behind it, is not. A message that comes again and again (a heartbeat) joins nothing, as
nobody can tell which of them it is: the joint is one that each of the two has brought once, where
there is any, and behind it messages that look alike are counted.

Whoever delivers asks :meth:`Takeover.may_end`, then gives the user what :meth:`Takeover.settle`
leaves of the held messages, and from then on those of the new stream for which
:meth:`Takeover.is_repeated` says no: the old stream may have been ahead.

One thread at a time serves each of the two streams; :meth:`Takeover.may_end` may be asked from
any. It knows neither connections nor clocks: times are arguments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from typing import NamedTuple

from .coverage import Coverage
from .frames import Payload

__all__ = ["CATCH_UP", "Held", "Takeover"]

#: Seconds that both streams are kept after the new one is confirmed, for topics that are quiet.
SHORTEST = 0.5
#: Seconds after which an overlap that cannot be proved is taken for granted, or is given up where
#: it has to be proved.
LONGEST = 10.0
#: Seconds after the switch in which the new stream may bring what the old one was ahead with.
CATCH_UP = 10.0
#: Messages of each topic that are looked for in the other stream.
PROOFS = 50
#: Messages that may be held. At so many, those that the old stream has brought too are let go;
#: where that is not half of them, the overlap is over.
MOST_HELD = 100_000
MIB = 1024 * 1024
#: Messages of the old stream that are remembered: at least so many, at most twice as many.
MOST_REMEMBERED = 200_000

Name = tuple[str, Hashable]


class Held(NamedTuple):
    """A message of the new stream that waits.

    :ivar topic: and
    :ivar identity: by which it is known in both streams.
    :ivar payload: what came.
    :ivar received_at: wall clock.
    """

    topic: str
    identity: Hashable
    payload: Payload
    received_at: float


class Takeover:
    """What has come over both streams, and what of it the user gets.

    :param max_bytes: that may be held, as :data:`MOST_HELD` bounds the messages.
    :param is_lossy: whether messages of the old stream may be dropped before it delivers them, so
        that they must not come behind later ones.
    :param coverage: counts what of the old stream the new one brings, where that has to be proved;
        None: whoever confirmed the new stream is believed.
    :ivar is_full: whether so much is held that the overlap should not last any longer.
    :ivar repeated: messages of the new stream that were left out, since the old one had brought
        them, or what came behind them.
    """

    def __init__(
        self,
        *,
        max_bytes: int = 64 * MIB,
        is_lossy: bool = False,
        coverage: Coverage | None = None,
    ) -> None:
        # Messages without a topic may be of several, of which each is in order, and no more: what
        # the old stream has not delivered is not on its way because something behind it is.
        self._mixed = None if is_lossy else ""
        self._max_bytes = max_bytes
        self.coverage = coverage
        # In order, and how often. Two of them, so that the oldest can be forgotten at once.
        self._order: list[Name] = []
        self._order_before: list[Name] = []
        self._delivered: dict[Name, int] = {}
        self._delivered_before: dict[Name, int] = {}
        self._held: list[Held] = []
        self._held_bytes = 0
        self._most_held, self._most_bytes = MOST_HELD, max_bytes  # until the next look at them
        self._earliest: dict[str, list[Hashable]] = {}  # a few of each topic, for the proof
        self._lively: set[str] = set()  # topics of the old stream since the confirmation
        self._ahead: dict[Name, int] = {}  # and how often
        self.is_full = False
        self._confirmed_at: float | None = None
        self.repeated = 0

    def __repr__(self) -> str:
        return f"<Takeover held={len(self._held)} delivered={len(self._delivered)}>"

    # While both bring messages.

    def note_delivered(self, topic: str, identity: Hashable) -> None:
        """Remember a message that the old stream delivers."""
        delivered, name = self._delivered, (topic, identity)
        delivered[name] = delivered.get(name, 0) + 1
        self._order.append(name)
        if len(self._order) > MOST_REMEMBERED:
            self._delivered_before, self._delivered = delivered, {}
            self._order_before, self._order = self._order, []
        if self._confirmed_at is not None:
            self._lively.add(topic)
        if self.coverage is not None:
            self.coverage.note_old(name)

    def hold(self, held: Held) -> None:
        """Keep a message of the new stream."""
        earliest = self._earliest.setdefault(held.topic, [])
        if len(earliest) < PROOFS:
            earliest.append(held.identity)
        if self.coverage is not None:
            self.coverage.note_new((held.topic, held.identity))
        self._held.append(held)
        self._held_bytes += len(held.payload)
        if len(self._held) >= self._most_held or self._held_bytes >= self._most_bytes:
            self._let_go_of_repeated()

    def _let_go_of_repeated(self) -> None:
        joints, _ = self._join(mixed=None)
        # The joints stay: they tell where the old stream is.
        kept = [one for place, one in enumerate(self._held) if place >= joints.get(one.topic, 0)]
        self.repeated += len(self._held) - len(kept)
        self._held, self._held_bytes = kept, sum(len(one.payload) for one in kept)
        self.is_full = len(kept) > MOST_HELD // 2 or self._held_bytes > self._max_bytes // 2
        # Where little has gone, many more have to come first: a look goes through all of them.
        self._most_held = max(MOST_HELD, 2 * len(kept))
        self._most_bytes = max(self._max_bytes, 2 * self._held_bytes)

    def _join(self, *, mixed: str | None) -> tuple[dict[str, int], dict[Name, int]]:
        """Find where the two streams meet.

        :param mixed: a topic that is looked through from the earliest message that both have.
        :returns: the place of each topic's joint among the held messages, where there is one; and
            what the old stream has delivered behind the joints, with how often.
        """
        places = {(held.topic, held.identity): place for place, held in enumerate(self._held)}
        counts = Counter((held.topic, held.identity) for held in self._held)
        anchors: dict[str, Name] = {}  # of each topic, the latest of which there is one in each
        lookalikes: dict[str, Name] = {}  # or, where there is none, the latest that both have
        for name in self._backwards():
            if name in counts and (name[0] not in anchors or name[0] == mixed):
                if counts[name] == self._times_delivered(name) == 1:
                    anchors[name[0]] = name
                else:
                    lookalikes.setdefault(name[0], name)
        names = {**lookalikes, **anchors}
        behind: dict[Name, int] = {}
        joined: set[str] = set()
        for name in self._backwards():
            if names.get(name[0]) == name:
                joined.add(name[0])
            elif name[0] not in joined:
                behind[name] = behind.get(name, 0) + 1
        return {topic: places[name] for topic, name in names.items()}, behind

    def _backwards(self) -> Iterator[Name]:
        """Give what the old stream has delivered, the latest first."""
        yield from reversed(self._order)
        yield from reversed(self._order_before)

    def _times_delivered(self, name: Name) -> int:
        return self._delivered.get(name, 0) + self._delivered_before.get(name, 0)

    def confirm(self, now: float) -> None:
        """Note that the server has confirmed all topics of the new stream."""
        self._confirmed_at = now
        if self.coverage is not None:
            self.coverage.begin()

    def may_end(
        self, now: float, *, wanted: frozenset[str] | None = None, is_lacking: bool = False
    ) -> bool:
        """Tell whether the old stream can be done without.

        :param wanted: the topics that the new stream should bring; None: all.
        :param is_lacking: whether there are topics that only the old one has yet.
        """
        if self.is_full and self.coverage is None:
            return True  # memory is at stake
        if self._confirmed_at is None:
            return False
        age = now - self._confirmed_at
        if age >= LONGEST and (self.coverage is None or self.coverage.is_silent):
            return True
        return age >= SHORTEST and not is_lacking and self.have_met(wanted)

    def is_hopeless(self, now: float) -> bool:
        """Tell whether the new stream should be given up: it does not bring the same."""
        coverage = self.coverage
        if coverage is None or coverage.is_enough or self._confirmed_at is None:
            return False
        is_over = now - self._confirmed_at >= LONGEST and not coverage.is_silent
        return is_over or self.is_full

    def have_met(self, wanted: frozenset[str] | None = None) -> bool:
        """Whether of each topic one message has come over both.

        A snapshot that only the new one got is no hindrance, as long as others follow it.
        """
        if self.coverage is not None:
            return self.coverage.is_enough
        topics = {*tuple(self._lively), *tuple(self._earliest)}
        return all(self._has_met(one) for one in (topics if wanted is None else topics & wanted))

    def _has_met(self, topic: str) -> bool:
        times = [self._times_delivered((topic, one)) for one in self._earliest.get(topic, ())]
        # What the old stream brings again and again proves nothing, unless there is nothing else.
        return 1 in times or (bool(times) and 0 not in times)

    # The switch, and behind it.

    def settle(self) -> list[Held]:
        """Let the old stream go.

        :returns: the held messages that are to be delivered now, in order.
        """
        joints, behind = self._join(mixed=self._mixed)
        fresh = []
        for place, one in enumerate(self._held):
            if place > joints.get(one.topic, -1) and not _take_one(
                behind, (one.topic, one.identity)
            ):
                fresh.append(one)
        self.repeated += len(self._held) - len(fresh)
        self._ahead = behind  # what is left of it
        self._held = []
        self._order, self._order_before = [], []
        self._delivered, self._delivered_before = {}, {}
        return fresh

    def is_repeated(self, topic: str, identity: Hashable) -> bool:
        """Tell whether the old stream has brought a message of the new one, once for each."""
        if not _take_one(self._ahead, (topic, identity)):
            return False
        self.repeated += 1
        return True

    @property
    def is_caught_up(self) -> bool:
        """Whether the new stream has brought all that the old one was ahead with."""
        return not self._ahead


def _take_one(counts: dict[Name, int], name: Name) -> bool:
    """Take one of a name away; returns whether there was any."""
    count = counts.get(name, 0)
    if count > 1:
        counts[name] = count - 1
    elif count:
        del counts[name]
    return count > 0
