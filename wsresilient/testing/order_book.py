"""A made-up order book: every change has a number, and what has changed since one can be told.

Pure. Prices lie on a grid, so that a level keeps its price to the last digit, and bids stay below
asks.
"""

from __future__ import annotations

import math
import random
from collections import deque

from wsresilient.testing.events import Level

__all__ = ["OrderBook"]

_LEVELS = 50  # on each side
_JOURNAL = 4096  # so many changes can be told again
_FIRST_ID = 5_000_000
_LONGEST_MOVE = 3  # steps of the grid that one change of the price moves the book at most


class OrderBook:
    """The order book of one symbol; not thread-safe.

    :param price: where its middle is at first.
    :param source: of the quantities.
    :ivar last_id: the number of the latest change.
    """

    def __init__(self, price: float, source: random.Random) -> None:
        self.last_id = _FIRST_ID
        self._random = source
        self._decimals = max(0, 3 - math.floor(math.log10(price)))
        self._step = 10.0 ** (math.floor(math.log10(price)) - 3)
        self._middle = self._on_grid(price)
        self._bids: dict[int, float] = {}
        self._asks: dict[int, float] = {}
        for distance in range(1, _LEVELS + 1):
            self._bids[self._middle - distance] = self._quantity()
            self._asks[self._middle + distance] = self._quantity()
        # (number, whether it is a bid, place on the grid)
        self._journal: deque[tuple[int, bool, int]] = deque(maxlen=_JOURNAL)

    def __repr__(self) -> str:
        return f"<OrderBook at {self._price(self._middle)} last_id={self.last_id}>"

    def advance(self, price: float) -> None:
        """Change something, and move towards a price."""
        distance = self._on_grid(price) - self._middle
        for _ in range(min(abs(distance), _LONGEST_MOVE)):
            self._move(distance > 0)
        is_bid = self._random.random() < 0.5
        offset = self._random.randrange(1, _LEVELS + 1)
        self._set(is_bid, self._middle + (-offset if is_bid else offset), self._quantity())

    def levels(self, count: int | None) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Give bids and asks, the best first.

        :param count: of each side; None: all.
        """
        middle = self._middle
        near = range(1, min(count or _LEVELS, _LEVELS) + 1)
        return (
            tuple((self._price(middle - n), self._bids[middle - n]) for n in near),
            tuple((self._price(middle + n), self._asks[middle + n]) for n in near),
        )

    def changes(self, since: int) -> tuple[int, tuple[Level, ...], tuple[Level, ...]]:
        """Tell what has changed after a number.

        :returns: the number after which that is everything, which is later than ``since`` when too
            much has happened; the changed bids; the changed asks. Quantity 0: the level has gone.
        """
        bids: dict[int, None] = {}
        asks: dict[int, None] = {}
        known_from = self.last_id
        for number, is_bid, place in reversed(self._journal):
            if number <= since:
                break
            (bids if is_bid else asks)[place] = None
            known_from = number - 1
        return (
            known_from,
            tuple((self._price(place), self._bids.get(place, 0.0)) for place in bids),
            tuple((self._price(place), self._asks.get(place, 0.0)) for place in asks),
        )

    def change_after(self, number: int) -> tuple[int, bool, Level]:
        """Give the first change after a number that can still be told.

        :returns: its number, whether it is a bid, and how that level is now.
        :raises IndexError: there is none.
        """
        oldest = self._journal[0][0]
        told, is_bid, place = self._journal[max(0, number + 1 - oldest)]
        side = self._bids if is_bid else self._asks
        return told, is_bid, (self._price(place), side.get(place, 0.0))

    def _move(self, up: bool) -> None:
        """Shift the book by one step of the grid."""
        middle = self._middle
        if up:
            self._set(False, middle + 1, 0.0)
            self._set(True, middle, self._quantity())
            self._set(True, middle - _LEVELS, 0.0)
            self._set(False, middle + _LEVELS + 1, self._quantity())
            self._middle += 1
        elif middle > _LEVELS + 1:
            self._set(True, middle - 1, 0.0)
            self._set(False, middle, self._quantity())
            self._set(False, middle + _LEVELS, 0.0)
            self._set(True, middle - _LEVELS - 1, self._quantity())
            self._middle -= 1

    def _set(self, is_bid: bool, place: int, quantity: float) -> None:
        side = self._bids if is_bid else self._asks
        if quantity:
            side[place] = quantity
        else:
            side.pop(place, None)
        self.last_id += 1
        self._journal.append((self.last_id, is_bid, place))

    def _quantity(self) -> float:
        return round(0.001 + self._random.random(), 3)

    def _on_grid(self, price: float) -> int:
        return round(price / self._step)

    def _price(self, place: int) -> float:
        return round(place * self._step, self._decimals)
