"""Whose turn it is to be started: a few connections at a time, none of them twice.

The caller holds the pool's lock; time is an argument.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable

from ..core.warmup import start_delay, window_wait
from .pool_member import PoolMember

__all__ = ["WarmUp"]

#: The part of the interval over which a batch is spread.
SPREAD = 0.5
#: By how much the interval is longer, since connects arrive later than they begin, and some later
#: than others.
MARGIN = 0.05


class WarmUp:
    """The members that wait to be started.

    Whatever is added when: no stretch of ``batch_interval`` seconds sees more than ``batch_size``
    of them.

    :param batch_size: members in a batch.
    :param batch_interval: seconds from one batch to the next.
    :param chance: gives numbers from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        *,
        batch_size: int,
        batch_interval: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._batch_size = batch_size
        self._batch_interval = batch_interval
        self._chance = chance
        self._waiting: list[tuple[float, int, PoolMember]] = []  # a heap: when, in which order, who
        self._order = itertools.count()
        self._from = 0.0
        self._count = 0  # since then
        self._started: deque[float] = deque(maxlen=batch_size)

    def __len__(self) -> int:
        return len(self._waiting)

    def __repr__(self) -> str:
        return f"<WarmUp of {len(self)} members>"

    def add(self, member: PoolMember, now: float) -> None:
        """Let a member wait for its turn."""
        due = self._from + self._delay_of(self._count)
        if due < now and not self._waiting:
            self._from, self._count, due = now, 0, now
        elif self._count:
            due += self._chance() * SPREAD * self._batch_interval / self._batch_size
        self._count += 1
        self.postpone(member, due)

    def _delay_of(self, index: int) -> float:
        return start_delay(
            index,
            batch_size=self._batch_size,
            batch_interval=self._batch_interval,
            spread=SPREAD,
        )

    def take(self, now: float) -> PoolMember | None:
        """Take a member whose turn has come, or None."""
        if not self._waiting or self.wait(now) > 0.0:
            return None
        self._started.append(now)
        return heapq.heappop(self._waiting)[2]

    def wait(self, now: float) -> float:
        """Seconds until the next one's turn."""
        if not self._waiting:
            return float("inf")
        window = window_wait(
            self._started,
            now,
            count=self._batch_size,
            seconds=self._batch_interval * (1.0 + MARGIN),
        )
        return max(0.0, self._waiting[0][0] - now, window)

    def postpone(self, member: PoolMember, until: float) -> None:
        """Let one wait until then; it holds no other up."""
        heapq.heappush(self._waiting, (until, next(self._order), member))

    def clear(self) -> None:
        """Let nobody wait any more."""
        self._waiting.clear()
