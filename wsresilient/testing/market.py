"""A made-up market: prices that walk at random and trades that are numbered without a hole.

Pure: it reads no clock and knows no exchange's spelling; the formats turn its events into messages.
"""

from __future__ import annotations

import itertools
import random
import zlib
from collections.abc import Iterable, Sequence

from wsresilient.errors import ConfigurationError
from wsresilient.testing.events import ALL_SYMBOLS, Depth, Event, Kind, Stream
from wsresilient.testing.instrument import Instrument

__all__ = ["Follower", "Market", "Tour"]

_FIRST_PRICES = {"BTC": 60_000.0, "ETH": 3_000.0, "BNB": 600.0, "SOL": 150.0, "XRP": 0.6}
# So much lies between two neighbours of the ranking by turnover that no trading upsets it.
_TURNOVER_STEP = 1e10
# Where an order book is told again that has not changed: every so many turns nothing happens.
_QUIET_TURN = 5


class Market:
    """Prices of some symbols; not thread-safe.

    :param symbols: the venue's spelling, without regard to case. The first has the largest turnover
        of 24 hours, the last the smallest.
    :param seed: the same seed gives the same events; None: each market is another.
    :raises ConfigurationError: there is no symbol.
    """

    def __init__(self, symbols: Iterable[str], *, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        names = tuple(dict.fromkeys(symbol.upper() for symbol in symbols))
        if not names:
            raise ConfigurationError("symbols must name at least one symbol, it is empty")
        self._instruments = {
            name: Instrument(name, _first_price(name), rank * _TURNOVER_STEP, self._random)
            for name, rank in zip(names, range(len(names), 0, -1), strict=True)
        }

    def __repr__(self) -> str:
        shown = ", ".join(self.symbols[:5])
        more = len(self._instruments) - 5
        return f"<Market {shown}{f' and {more} more' if more > 0 else ''}>"

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._instruments or symbol == ALL_SYMBOLS

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols, in capitals."""
        return tuple(self._instruments)

    def instrument(self, symbol: str) -> Instrument | None:
        """Give a symbol; None: there is none of that name."""
        return self._instruments.get(symbol)

    def follow(self, stream: Stream) -> Follower | Tour:
        """Begin to follow a stream from now on.

        :raises KeyError: there is no such symbol.
        """
        if stream.symbol == ALL_SYMBOLS:
            return Tour([Follower(each, stream) for each in self._instruments.values()])
        return Follower(self._instruments[stream.symbol], stream)


class Follower:
    """One topic's view of a symbol: it sees everything of its kind once and in order.

    Several topics may be about the same trades or the same order book. What one of them let happen,
    the others see too, each when its turn comes.
    """

    __slots__ = ("_instrument", "_last_id", "_message_id", "_turn", "stream")

    def __init__(self, instrument: Instrument, stream: Stream) -> None:
        self.stream = stream
        self._instrument = instrument
        self._last_id = 0
        self._turn = 0
        self._message_id = 0
        if stream.kind is Kind.TRADE:
            self._last_id = instrument.last_trade_id
        elif stream.kind in (Kind.DEPTH, Kind.BOOK):
            # A message tells one change at least, so a topic that begins anew is not behind.
            self._last_id = self._message_id = instrument.last_book_id

    def __repr__(self) -> str:
        return f"<Follower {self.stream.symbol} {self.stream.kind.value} last_id={self._last_id}>"

    @property
    def is_behind(self) -> bool:
        """Whether its turn is not over: changes are told one by one, and there are more."""
        return self.stream.one_by_one and self._last_id < self._instrument.last_book_id

    def next(self, at: int) -> Event:
        """Tell what comes next; when everything has been told, something happens.

        :param at: milliseconds since 1970.
        """
        instrument, kind = self._instrument, self.stream.kind
        if kind is Kind.TRADE:
            if self._last_id >= instrument.last_trade_id:
                trade = instrument.trade(at)
            else:
                trade = instrument.trade_with(self._last_id + 1)
            self._last_id = trade.trade_id
            return trade
        if kind is Kind.TICKER:
            return instrument.ticker(at, moves=True)
        if kind is Kind.QUOTE:
            return instrument.quote(at)
        if kind is Kind.KLINE:
            return instrument.kline(self.stream.interval, at)
        if kind is Kind.MARK:
            return instrument.mark(at, moves=True)
        return self._next_of_book(at)

    def snapshot(self, at: int) -> Event:
        """Give what a new subscriber gets first: what :meth:`next` then goes on from."""
        if self.stream.kind is Kind.TICKER:
            return self._instrument.ticker(at, is_snapshot=True)
        book = self._instrument.book(self.stream.levels, at, as_of=self._last_id)
        return book._replace(message_id=self._message_id)

    def _next_of_book(self, at: int) -> Depth:
        instrument = self._instrument
        self._turn += 1
        is_quiet = self.stream.is_repeated and self._turn % _QUIET_TURN == 0
        if self._last_id >= instrument.last_book_id and not is_quiet:
            instrument.move_book()
        if self.stream.one_by_one:
            depth = instrument.change_after(self._last_id, at)
        elif self.stream.kind is Kind.BOOK:
            depth = instrument.book(self.stream.levels, at)._replace(previous_id=self._last_id)
        else:
            depth = instrument.depth_since(self._last_id, at)
        if depth.last_id > self._last_id:
            self._message_id += 1
        self._last_id = depth.last_id
        return depth._replace(message_id=self._message_id)


class Tour:
    """A topic's view of all symbols, which take turns.

    :param followers: one for each symbol.
    """

    def __init__(self, followers: Sequence[Follower]) -> None:
        self._turns = itertools.cycle(followers)
        self._current = followers[0]

    def __repr__(self) -> str:
        return f"<Tour at {self._current!r}>"

    @property
    def is_behind(self) -> bool:
        """Whether the turn of the current symbol is not over."""
        return self._current.is_behind

    def next(self, at: int) -> Event:
        """Tell what comes next of the symbol whose turn it is."""
        if not self._current.is_behind:
            self._current = next(self._turns)
        return self._current.next(at)

    def snapshot(self, at: int) -> Event:
        """Give what a new subscriber gets first, of the current symbol."""
        return self._current.snapshot(at)


def _first_price(symbol: str) -> float:
    """Give a plausible price to the known coins, and always the same to any other."""
    for base, price in _FIRST_PRICES.items():
        if symbol.startswith(base):
            return price
    return 1.0 + zlib.crc32(symbol.encode()) % 10_000 / 10
