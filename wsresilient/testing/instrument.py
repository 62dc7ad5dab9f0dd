"""Where one symbol of the made-up market stands, and what it did before.

Pure: the time comes in as an argument. Everything that costs memory is made when it is first asked
for, so that a market of many symbols is cheap.
"""

from __future__ import annotations

import random
import zlib
from collections import deque

from wsresilient.testing.events import Depth, Kline, Mark, Quote, Ticker, Trade
from wsresilient.testing.order_book import OrderBook

__all__ = ["Instrument"]

_STEP = 0.0002  # the largest move of one event, as a part of the price
_HALF_SPREAD = 0.00005
_FIRST_TRADE = 1_000_001  # those before it have never been streamed
_OLD_TRADE_AGE = 100  # milliseconds from one of those to the next
_TRADES_KEPT = 5000
_KLINES_KEPT = 1500
_FUNDING_INTERVAL = 8 * 3_600_000
_WEEK = 7 * 86_400
_FIRST_MONDAY = 4 * 86_400_000  # the epoch began on a Thursday


class Instrument:
    """One symbol; not thread-safe.

    :param symbol: in the venue's spelling.
    :param price: the first price.
    :param turnover: what was turned over in the 24 hours before it began.
    :param source: of everything that is by chance.
    """

    __slots__ = (
        "_book",
        "_first_price",
        "_high",
        "_klines",
        "_low",
        "_old_klines",
        "_price",
        "_quote_id",
        "_random",
        "_since",
        "_trade_count",
        "_trades",
        "_turnover",
        "_volume",
        "last_trade_id",
        "symbol",
    )

    def __init__(self, symbol: str, price: float, turnover: float, source: random.Random) -> None:
        self.symbol = symbol
        self.last_trade_id = _FIRST_TRADE - 1
        self._price = self._first_price = self._high = self._low = price
        self._turnover = turnover
        self._volume = turnover / price
        self._trade_count = 0
        self._quote_id = 5_000_000
        self._random = source
        self._since: int | None = None
        self._trades: deque[Trade] | None = None
        self._book: OrderBook | None = None
        self._klines: dict[int, Kline] = {}
        self._old_klines: dict[int, dict[int, Kline]] = {}

    def __repr__(self) -> str:
        return f"<Instrument {self.symbol} at {self._price:g}>"

    # What happens.

    def trade(self, at: int) -> Trade:
        """Let a trade happen."""
        chance = self._random.random()
        price = self._walk()
        quantity = 0.001 + chance * 0.5
        self.last_trade_id += 1
        self._trade_count += 1
        self._volume += quantity
        self._turnover += quantity * price
        made = Trade(self.symbol, self.last_trade_id, price, quantity, chance < 0.5, at)
        if self._trades is None:
            self._trades = deque(maxlen=_TRADES_KEPT)
            self._since = self._since or at
        self._trades.append(made)
        return made

    def ticker(self, at: int, *, moves: bool = False, is_snapshot: bool = False) -> Ticker:
        """Sum up the last 24 hours.

        :param moves: whether the price moves before that.
        """
        price = self._walk() if moves else self._price
        self._quote_id += moves
        return Ticker(
            symbol=self.symbol,
            first_price=self._first_price,
            last_price=price,
            high=self._high,
            low=self._low,
            volume=self._volume,
            turnover=self._turnover,
            last_trade_id=self.last_trade_id,
            trade_count=self._trade_count,
            bid=price * (1 - _HALF_SPREAD),
            ask=price * (1 + _HALF_SPREAD),
            at=at,
            is_snapshot=is_snapshot,
            update_id=self._quote_id,
        )

    def quote(self, at: int) -> Quote:
        """Let the best prices change."""
        price = self._walk()
        self._quote_id += 1
        bid, ask = price * (1 - _HALF_SPREAD), price * (1 + _HALF_SPREAD)
        sizes = self._random.random(), self._random.random()
        return Quote(self.symbol, self._quote_id, bid, sizes[0] + 0.001, ask, sizes[1] + 0.001, at)

    def mark(self, at: int, *, moves: bool = False) -> Mark:
        """Give mark price and funding.

        :param moves: whether the price moves before that.
        """
        price = self._walk() if moves else self._price
        funding_at = (at // _FUNDING_INTERVAL + 1) * _FUNDING_INTERVAL
        return Mark(self.symbol, price, price * 0.9999, 0.0001, funding_at, at)

    def _walk(self) -> float:
        price = self._price * (1 + (self._random.random() - 0.5) * 2 * _STEP)
        self._price = price
        if price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        return price

    # The order book.

    @property
    def last_book_id(self) -> int:
        """The number of the latest change of the order book."""
        return self._order_book().last_id

    def move_book(self) -> None:
        """Let the order book change."""
        self._order_book().advance(self._walk())

    def depth_since(self, number: int, at: int) -> Depth:
        """Tell what has changed in the order book after a number.

        When that is too long ago, the numbers of the event have a hole before them.
        """
        book = self._order_book()
        start, bids, asks = book.changes(number)
        return Depth(self.symbol, start + 1, book.last_id, start, bids, asks, at)

    def change_after(self, number: int, at: int) -> Depth:
        """Tell the first change in the order book after a number, which there must be.

        When that is too long ago, the number of the event has a hole before it.
        """
        told, is_bid, level = self._order_book().change_after(number)
        bids, asks = ((level,), ()) if is_bid else ((), (level,))
        return Depth(self.symbol, told, told, told - 1, bids, asks, at)

    def book(self, levels: int | None, at: int, *, as_of: int | None = None) -> Depth:
        """Give the order book as it is.

        :param levels: of each side; None: all.
        :param as_of: the number that it shall carry, which may be an earlier one, because changes
            are absolute; None: that of the latest change.
        """
        book = self._order_book()
        number = book.last_id if as_of is None else as_of
        bids, asks = book.levels(levels)
        return Depth(self.symbol, number, number, number, bids, asks, at, is_snapshot=True)

    def _order_book(self) -> OrderBook:
        if self._book is None:
            self._book = OrderBook(self._price, self._random)
        return self._book

    # Candles.

    def kline(self, interval: int, at: int) -> Kline:
        """Let a candle change, or, when its time is over, close."""
        opened_at = _opening(interval, at)
        before = self._klines.get(interval)
        if before is not None and before.opened_at != opened_at and not before.is_closed:
            closed = before._replace(is_closed=True, at=at)
            self._klines[interval] = closed
            self._remember(closed)
            return closed
        price = self._walk()
        quantity = 0.001 + self._random.random() * 0.5
        if before is None or before.opened_at != opened_at:
            first = self.last_trade_id
            before = Kline(
                self.symbol, interval, opened_at, price, price, price, price, 0.0, 0.0, 0,
                first, first, False, at,
            )  # fmt: skip
        kline = self._klines[interval] = before._replace(
            high=max(before.high, price),
            low=min(before.low, price),
            close=price,
            volume=before.volume + quantity,
            turnover=before.turnover + quantity * price,
            trade_count=before.trade_count + 1,
            last_trade_id=self.last_trade_id,
            at=at,
        )
        return kline

    def _remember(self, closed: Kline) -> None:
        old = self._old_klines.setdefault(closed.interval, {})
        old[closed.opened_at] = closed
        if len(old) > _KLINES_KEPT:
            del old[next(iter(old))]

    def klines(
        self, interval: int, at: int, *, start: int | None, end: int | None, limit: int
    ) -> list[Kline]:
        """Give candles, the oldest first; those that were streamed are the same here.

        :param start: the first may open then or later; with it, the oldest are given.
        :param end: the last may open then or before; without start, the latest are given.
        """
        length = interval * 1000
        last = _opening(interval, at if end is None else min(at, end))
        if start is None:
            first = last - (limit - 1) * length
        else:
            first = _opening(interval, start + length - 1)
            last = min(last, first + (limit - 1) * length)
        times = range(first, last + 1, length)
        return [self._kline_at(interval, each, at) for each in times if each >= 0]

    def _kline_at(self, interval: int, opened_at: int, at: int) -> Kline:
        current = self._klines.get(interval)
        if current is not None and current.opened_at == opened_at:
            return current
        old = self._old_klines.get(interval, {}).get(opened_at)
        if old is not None:
            return old
        # One that was never streamed: always the same, because it hangs on its time only.
        chance = zlib.crc32(f"{self.symbol} {interval} {opened_at}".encode()) / 2**32
        first = self._first_price * (1 + (chance - 0.5) * 0.002)
        last = self._first_price * (1 + (0.5 - chance) * 0.002)
        volume = 1.0 + chance * 100
        return Kline(
            symbol=self.symbol,
            interval=interval,
            opened_at=opened_at,
            open=first,
            high=max(first, last) * 1.0005,
            low=min(first, last) * 0.9995,
            close=last,
            volume=volume,
            turnover=volume * first,
            trade_count=10 + int(chance * 100),
            first_trade_id=1,
            last_trade_id=10 + int(chance * 100),
            is_closed=opened_at + interval * 1000 <= at,
            at=at,
        )

    # Trades of the past.

    def trades(
        self, at: int, *, first_id: int | None, end_id: int | None, limit: int
    ) -> list[Trade]:
        """Give trades, the oldest first.

        :param first_id: with it, the oldest from this one on; without, the latest.
        :param end_id: only those before this one.
        """
        end = self.last_trade_id + 1 if end_id is None else min(end_id, self.last_trade_id + 1)
        if first_id is None:
            ids = range(max(1, end - limit), end)
        else:
            ids = range(max(1, first_id), min(end, max(1, first_id) + limit))
        if self._since is None:
            self._since = at
        return [self.trade_with(trade_id) for trade_id in ids]

    def trade_with(self, trade_id: int) -> Trade:
        """Give the trade with this number, made up if it is forgotten or was never streamed."""
        kept = self._trades
        if kept:
            place = trade_id - kept[0].trade_id
            if 0 <= place < len(kept):
                return kept[place]
        chance = zlib.crc32(f"{self.symbol} {trade_id}".encode()) / 2**32
        price = self._first_price * (1 + (chance - 0.5) * 0.001)
        at = (self._since or 0) - (_FIRST_TRADE - trade_id) * _OLD_TRADE_AGE
        return Trade(self.symbol, trade_id, price, 0.001 + chance * 0.5, chance < 0.5, at)


def _opening(interval: int, at: int) -> int:
    """Tell when the candle of a moment opens: in UTC, a week on Monday, a month every 30 days."""
    length = interval * 1000
    since = _FIRST_MONDAY if interval % _WEEK == 0 else 0
    return at - (at - since) % length
