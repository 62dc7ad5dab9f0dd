"""What an exchange tells over REST, as the library's own values.

Prices and quantities are Decimals made from the exchange's own text, so that nothing is rounded.
Times are seconds since the epoch. The values know no exchange.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from decimal import Decimal

__all__ = ["INTERVALS", "KINDS", "Kline", "OrderBook", "Symbol", "Ticker24h", "Trade", "later"]

#: What a symbol can be.
KINDS = ("spot", "perpetual", "future", "option")

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: The lengths of klines, in seconds. Months differ: theirs are counted by the calendar.
INTERVALS: dict[str, int] = {
    "1s": 1,
    **{f"{n}m": n * _MINUTE for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * _HOUR for n in (1, 2, 4, 6, 8, 12)},
    **{f"{n}d": n * _DAY for n in (1, 2, 3, 5)},
    "1w": 7 * _DAY,
    "1M": 30 * _DAY,
    "3M": 91 * _DAY,
}
_MONTHS = {"1M": 1, "3M": 3}


@dataclass(frozen=True, slots=True)
class Symbol:
    """Something that is traded.

    :ivar name: the venue's spelling ("BTCUSDT", "BTC-USDT").
    :ivar base: what is traded ("BTC").
    :ivar quote: what prices are in ("USDT").
    :ivar active: whether it is traded now.
    :ivar kind: "spot", "perpetual", "future" or "option".
    """

    name: str
    base: str
    quote: str
    active: bool
    kind: str


@dataclass(frozen=True, slots=True)
class Ticker24h:
    """The last 24 hours of a symbol.

    :ivar symbol: its name.
    :ivar quote_volume: what was traded, in the quote currency.
    :ivar last_price: of the latest trade; None: there was none.
    """

    symbol: str
    quote_volume: Decimal
    last_price: Decimal | None


@dataclass(frozen=True, slots=True)
class Kline:
    """The trades of one interval, also called a candle.

    :ivar symbol: its name.
    :ivar interval: as it was asked for.
    :ivar opened_at: seconds since the epoch.
    :ivar open: the first price.
    :ivar high: the highest price.
    :ivar low: the lowest price.
    :ivar close: the last price so far.
    :ivar volume: in the venue's unit: the base currency, or contracts (OKX derivatives, MEXC).
    :ivar closed: whether nothing more is added to it.
    """

    symbol: str
    interval: str
    opened_at: float
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    closed: bool


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade, or several that the venue put together.

    :ivar symbol: its name.
    :ivar id: as the venue's streams give it, too; None: the venue tells none (MEXC).
    :ivar price: of one unit.
    :ivar quantity: in the venue's unit: the base currency, or contracts (OKX derivatives, MEXC).
    :ivar side: "buy" or "sell": what the taker did.
    :ivar at: seconds since the epoch.
    """

    symbol: str
    id: int | str | None
    price: Decimal
    quantity: Decimal
    side: str
    at: float


@dataclass(frozen=True, slots=True)
class OrderBook:
    """The open orders at one moment.

    :ivar symbol: its name.
    :ivar bids: pairs of price and quantity, the highest price first.
    :ivar asks: pairs of price and quantity, the lowest price first.
    :ivar sequence: the number at which the updates of the stream go on; None: there is none.
    :ivar at: seconds since the epoch; None: the venue does not tell.
    """

    symbol: str
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]
    sequence: int | None
    at: float | None


def later(opened_at: float, interval: str, count: int = 1) -> float:
    """Tell when the kline opens that comes so many intervals after another one.

    :param opened_at: seconds since the epoch.
    :param interval: one of :data:`INTERVALS`.

    >>> later(0.0, "1h")
    3600.0
    >>> later(0.0, "1M") / 86400
    31.0
    """
    months = _MONTHS.get(interval)
    if months is None:
        return opened_at + count * INTERVALS[interval]
    begin = datetime.datetime.fromtimestamp(opened_at, tz=datetime.timezone.utc)
    years, month = divmod(begin.month - 1 + months * count, 12)
    # A day that the month does not have (the 31st) is the first of the next: never too early.
    first = begin.replace(year=begin.year + years, month=month + 1, day=1)
    return first.timestamp() + (begin.day - 1) * _DAY
