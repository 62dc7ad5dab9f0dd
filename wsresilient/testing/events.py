"""What can happen on the made-up market: values that the formats turn into messages.

Pure. Symbols are in the venue's spelling, prices and quantities are floats, times are milliseconds
since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

__all__ = [
    "ALL_SYMBOLS",
    "SILENT",
    "Depth",
    "Event",
    "Kind",
    "Kline",
    "Level",
    "Mark",
    "Quote",
    "Stream",
    "Ticker",
    "Trade",
]


class Kind(Enum):
    """What a stream is about."""

    TRADE = "trade"
    TICKER = "ticker"
    QUOTE = "quote"
    KLINE = "kline"
    #: Changes of the order book, each since the one before.
    DEPTH = "depth"
    #: The whole order book, or its first levels, each time.
    BOOK = "book"
    #: Mark price, index price and funding rate.
    MARK = "mark"


#: The symbol of a stream that tells of every symbol, one after the other.
ALL_SYMBOLS = "*"


@dataclass(frozen=True)
class Stream:
    """What a topic stands for. A symbol that the market does not have gets no data.

    :ivar interval: seconds of a kline.
    :ivar levels: of the order book, on each side; None: all that there are.
    :ivar begins_with_snapshot: whether a new subscriber gets a snapshot before anything else: the
        event is then a :class:`Depth` or :class:`Ticker` with ``is_snapshot``.
    :ivar one_by_one: whether each change of the order book is an event of its own.
    :ivar is_repeated: whether an order book that has not changed is told again, with the numbers
        that it had.
    """

    symbol: str
    kind: Kind
    interval: int = 0
    levels: int | None = None
    begins_with_snapshot: bool = False
    one_by_one: bool = False
    is_repeated: bool = False


#: A topic that is accepted and never gets data: a symbol that does not exist, a wrong route, a
#: private topic, whose data comes from the test.
SILENT = Stream("", Kind.TRADE)


class Trade(NamedTuple):
    """One trade.

    :ivar trade_id: one more than that of the symbol's trade before.
    """

    symbol: str
    trade_id: int
    price: float
    quantity: float
    is_buyer_maker: bool
    at: int


class Ticker(NamedTuple):
    """The last 24 hours of a symbol.

    :ivar volume: in units of the symbol.
    :ivar turnover: in units of the price.
    :ivar is_snapshot: the first that a subscriber gets, where the venue tells that apart.
    :ivar update_id: larger than that of the symbol's ticker before; a snapshot has that of the
        latest.
    """

    symbol: str
    first_price: float
    last_price: float
    high: float
    low: float
    volume: float
    turnover: float
    last_trade_id: int
    trade_count: int
    bid: float
    ask: float
    at: int
    is_snapshot: bool = False
    update_id: int = 0


class Quote(NamedTuple):
    """The best prices of the order book.

    :ivar update_id: larger than that of the symbol's quote before.
    """

    symbol: str
    update_id: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    at: int


class Kline(NamedTuple):
    """A candle.

    :ivar interval: its length in seconds.
    :ivar opened_at: when it begins; :attr:`closed_at` is its last millisecond.
    :ivar volume: in units of the symbol.
    :ivar turnover: in units of the price.
    :ivar is_closed: it does not change any more.
    """

    symbol: str
    interval: int
    opened_at: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float
    trade_count: int
    first_trade_id: int
    last_trade_id: int
    is_closed: bool
    at: int

    @property
    def closed_at(self) -> int:
        """Its last millisecond."""
        return self.opened_at + self.interval * 1000 - 1


#: Price and quantity; quantity 0 takes the level out.
Level = tuple[float, float]


class Depth(NamedTuple):
    """Levels of the order book: all of them (``is_snapshot``), or those that have changed.

    Each change of a book has a number. One message covers the numbers from ``first_id`` to
    ``last_id``, and ``previous_id`` is the ``last_id`` of its topic's message before; so
    ``first_id`` is ``previous_id + 1``. Of a snapshot all three say up to where it goes.

    :ivar bids: from the best price on, as far as a snapshot goes; changes are in no order.
    :ivar asks: the same.
    :ivar message_id: one more than that of its topic's message before; a snapshot has that of the
        message that it follows.
    """

    symbol: str
    first_id: int
    last_id: int
    previous_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    at: int
    is_snapshot: bool = False
    message_id: int = 0


class Mark(NamedTuple):
    """Mark price and funding of a contract.

    :ivar funding_at: when the next funding is.
    """

    symbol: str
    mark_price: float
    index_price: float
    funding_rate: float
    funding_at: int
    at: int


Event = Trade | Ticker | Quote | Kline | Depth | Mark
