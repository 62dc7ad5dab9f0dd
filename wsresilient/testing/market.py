"""A made-up market: prices that walk at random and trades that are numbered without a hole.

Pure: it reads no clock and knows no exchange's spelling; the formats turn its events into messages.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable

from wsresilient.errors import ConfigurationError
from wsresilient.testing.events import Event, Kind, Quote, Ticker, Trade

__all__ = ["Event", "Kind", "Market", "Quote", "Ticker", "Trade"]

_FIRST_PRICES = {"BTC": 60_000.0, "ETH": 3_000.0, "BNB": 600.0, "SOL": 150.0, "XRP": 0.6}
_STEP = 0.0002  # the largest move of one event, as a part of the price
_HALF_SPREAD = 0.00005


class _Book:
    """Where one symbol stands."""

    __slots__ = (
        "first_price",
        "high",
        "low",
        "price",
        "trade_count",
        "trade_id",
        "turnover",
        "update_id",
        "volume",
    )

    def __init__(self, price: float) -> None:
        self.price = self.first_price = self.high = self.low = price
        self.trade_id = 1_000_000
        self.update_id = 5_000_000
        self.trade_count = 0
        self.volume = 0.0
        self.turnover = 0.0


class Market:
    """Prices of some symbols; not thread-safe.

    :param symbols: the venue's spelling, without regard to case.
    :param seed: the same seed gives the same events; None: each market is another.
    :raises ConfigurationError: there is no symbol.
    """

    def __init__(self, symbols: Iterable[str], *, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        self._books = {symbol.upper(): _Book(_first_price(symbol.upper())) for symbol in symbols}
        if not self._books:
            raise ConfigurationError("symbols must name at least one symbol, it is empty")

    def __repr__(self) -> str:
        return f"<Market {', '.join(self._books)}>"

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._books

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols, in capitals."""
        return tuple(self._books)

    def next(self, symbol: str, kind: Kind, at: int) -> Event:
        """Let something happen.

        :param at: milliseconds since 1970.
        :raises KeyError: there is no such symbol.
        """
        book = self._books[symbol]
        if kind is Kind.TRADE:
            return self._trade(symbol, book, at)
        book.price = self._walk(book)
        if kind is Kind.TICKER:
            return _ticker(symbol, book, at)
        book.update_id += 1
        bid, ask = book.price * (1 - _HALF_SPREAD), book.price * (1 + _HALF_SPREAD)
        sizes = self._random.random(), self._random.random()
        return Quote(symbol, book.update_id, bid, sizes[0] + 0.001, ask, sizes[1] + 0.001, at)

    def _trade(self, symbol: str, book: _Book, at: int) -> Trade:
        chance = self._random.random()
        price = book.price = self._walk(book)
        quantity = 0.001 + chance * 0.5
        book.trade_id += 1
        book.trade_count += 1
        book.volume += quantity
        book.turnover += quantity * price
        return Trade(symbol, book.trade_id, price, quantity, chance < 0.5, at)

    def _walk(self, book: _Book) -> float:
        price = book.price * (1 + (self._random.random() - 0.5) * 2 * _STEP)
        if price > book.high:
            book.high = price
        elif price < book.low:
            book.low = price
        return price


def _ticker(symbol: str, book: _Book, at: int) -> Ticker:
    return Ticker(
        symbol=symbol,
        first_price=book.first_price,
        last_price=book.price,
        high=book.high,
        low=book.low,
        volume=book.volume,
        turnover=book.turnover,
        last_trade_id=book.trade_id,
        trade_count=book.trade_count,
        bid=book.price * (1 - _HALF_SPREAD),
        ask=book.price * (1 + _HALF_SPREAD),
        at=at,
    )


def _first_price(symbol: str) -> float:
    """Give a plausible price to the known coins, and always the same to any other."""
    for base, price in _FIRST_PRICES.items():
        if symbol.startswith(base):
            return price
    return 1.0 + zlib.crc32(symbol.encode()) % 10_000 / 10
