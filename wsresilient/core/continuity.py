"""Whether a message is new, and whether one is missing before it. Pure; no clock, no lock.

:class:`Deduplicator` serves streams that come over two connections, by what names a message.
:class:`SequenceTracker` serves streams whose messages carry numbers.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Hashable
from typing import NamedTuple, Protocol

from ..config import check_integer

__all__ = ["Deduplicator", "Numbered", "Order", "SequenceTracker", "Verdict"]


class Deduplicator:
    """Remembers the latest messages by topic and identity.

    Whoever shares it between threads holds a lock: of two that ask at once, one must be first.

    :param capacity: how many are remembered, over all topics; then the oldest is forgotten.
        It must cover what all topics bring in the time that one connection lags behind the other.
    :raises ConfigurationError: it is no whole number >= 1.
    """

    __slots__ = ("_capacity", "_order", "_seen")

    def __init__(self, capacity: int) -> None:
        check_integer("capacity", capacity, minimum=1)
        self._capacity = capacity
        self._seen: set[tuple[Hashable, Hashable]] = set()
        # A dict would keep the order too, but finding its first key gets slow as keys are deleted.
        self._order: deque[tuple[Hashable, Hashable]] = deque()

    def __len__(self) -> int:
        return len(self._order)

    def __repr__(self) -> str:
        return f"<Deduplicator of {len(self)} of {self._capacity}>"

    def is_new(self, key: Hashable, identity: Hashable) -> bool:
        """Tell whether a message comes for the first time, and remember it.

        :param key: within which identities are unique: the topic.
        :param identity: names the message.
        """
        name = (key, identity)
        if name in self._seen:
            return False
        self._seen.add(name)
        self._order.append(name)
        if len(self._order) > self._capacity:
            self._seen.discard(self._order.popleft())
        return True

    def clear(self) -> None:
        """Forget all."""
        self._seen.clear()
        self._order.clear()


class Numbered(Protocol):
    """What carries numbers: :class:`wsresilient.venues.base.SequenceNumbers`."""

    @property
    def key(self) -> Hashable:
        """Of which stream."""

    @property
    def first(self) -> int:
        """The first number that the message covers."""

    @property
    def last(self) -> int:
        """The last one."""

    @property
    def previous(self) -> int | None:
        """The number that must have come before; None: ``first - 1``."""

    @property
    def restart(self) -> bool:
        """Whether it begins a new count."""


class Order(str, enum.Enum):
    """How a message stands to those before it."""

    STARTED = "started"  # the first of its stream, or of a new count
    IN_ORDER = "in order"
    REPEATED = "repeated"  # all of it has come before
    GAP = "gap"  # something between it and those before is missing


class Verdict(NamedTuple):
    """What the numbers of one message say.

    :ivar order: see :class:`Order`.
    :ivar last_seen: of a gap: the last number before it.
    :ivar first_seen: of a gap: the first number after it.
    """

    order: Order
    last_seen: int | None = None
    first_seen: int | None = None


_STARTED, _IN_ORDER, _REPEATED = map(Verdict, (Order.STARTED, Order.IN_ORDER, Order.REPEATED))


class SequenceTracker:
    """Follows the numbers of many streams. One thread uses it, or whoever holds a lock.

    A message that names its predecessor is in order behind just that one, whatever its own
    number: OKX counts from the beginning after a maintenance, and a message with a number below
    its predecessor's that is not the latest shows a gap. What begins before the latest number and
    goes beyond it leaves nothing out, and is in order.

    :param capacity: how many streams are followed; beyond it the one that began first is forgotten.
    :raises ConfigurationError: it is no whole number >= 1.
    """

    def __init__(self, capacity: int = 100_000) -> None:
        check_integer("capacity", capacity, minimum=1)
        self._capacity = capacity
        self._last: dict[Hashable, int] = {}
        #: Gaps found so far.
        self.gaps = 0
        #: Messages so far of which all had come before.
        self.repeated = 0

    def __len__(self) -> int:
        return len(self._last)

    def __repr__(self) -> str:
        return f"<SequenceTracker of {len(self)} streams, {self.gaps} gaps>"

    def check(self, numbers: Numbered) -> Verdict:
        """Take the numbers of the next message and say how it stands to those before it.

        After a gap the count goes on behind it: each gap is told once.
        """
        last = self._last.get(numbers.key)
        if last is None or numbers.restart:
            self._begin(numbers.key, numbers.last)
            return _STARTED
        previous = numbers.first - 1 if numbers.previous is None else numbers.previous
        follows, begins_anew = previous == last, numbers.last < previous
        if numbers.last <= last and not follows and not begins_anew:
            self.repeated += 1
            return _REPEATED
        self._last[numbers.key] = numbers.last
        if follows or (previous < last and not begins_anew):
            return _IN_ORDER
        self.gaps += 1
        return Verdict(Order.GAP, last, numbers.first)

    def last_seen(self, key: Hashable) -> int | None:
        """Return the latest number of a stream, or None."""
        return self._last.get(key)

    def forget(self, key: Hashable) -> None:
        """Forget a stream: its next message is the first."""
        self._last.pop(key, None)

    def _begin(self, key: Hashable, last: int) -> None:
        if key not in self._last and len(self._last) >= self._capacity:
            del self._last[next(iter(self._last))]
        self._last[key] = last
