"""What the REST dialects share: how arguments are checked and numbers, times and rows are read.

Whatever is wrong with an answer is a ValueError, TypeError or LookupError; whatever is wrong with
an argument is a ConfigurationError. It knows no exchange.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ..config import check_choice, check_integer, unknown_name
from ..core.market import INTERVALS, Kline, Trade, later
from ..errors import ConfigurationError

__all__ = [
    "KlineSpan",
    "checked_kind",
    "checked_limit",
    "checked_symbol",
    "kline_span",
    "levels",
    "milliseconds",
    "number",
    "oldest_first",
    "rows_of",
    "seconds",
]

#: Larger times are no seconds: somebody gave milliseconds.
LATEST = 1e11


def number(value: object) -> Decimal:
    """Read a number that stands as text or as number.

    :raises ValueError: it is none, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise ValueError(f"{value!r:.40} is no number")
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{value!r:.40} is no number") from None
    if not found.is_finite():
        raise ValueError(f"{value!r:.40} is not finite")
    return found


def seconds(milliseconds: str | int) -> float:
    """Read a time in milliseconds as seconds."""
    return int(milliseconds) / 1000


def milliseconds(at: float) -> str:
    """Write a time in seconds as milliseconds."""
    return str(round(at * 1000))


def rows_of(value: Any) -> list[Any]:
    """Give the rows of an answer, which is one row where one symbol was asked for."""
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.40} are no rows")
    return value


def levels(
    rows: Any, *, highest_first: bool, limit: int | None
) -> tuple[tuple[Decimal, Decimal], ...]:
    """Read one side of an order book: price and quantity lead each row."""
    pairs = [(number(row[0]), number(row[1])) for row in rows]
    return tuple(sorted(pairs, reverse=highest_first)[:limit])


def oldest_first(trades: list[Trade]) -> tuple[Trade, ...]:
    """Turn trades around that came newest first; those of one moment keep their order, too."""
    trades.reverse()
    trades.sort(key=lambda trade: trade.at)
    return tuple(trades)


# Arguments.


def checked_symbol(symbol: object, *, example: str) -> str:
    """Check a symbol, which becomes part of a URL.

    :raises ConfigurationError: it cannot be one.
    """
    if not isinstance(symbol, str) or not symbol.strip("."):
        raise ConfigurationError(f"symbol is {symbol!r:.60}; allowed: a str such as {example!r}")
    if any(char in "/\\?#%&" or not char.isprintable() or char.isspace() for char in symbol):
        raise ConfigurationError(
            f"symbol is {symbol!r:.60}; the venue spells its symbols like {example!r}"
        )
    return symbol


def checked_kind(kind: object, kinds: Collection[str]) -> None:
    """Check the kind of symbols that is asked for, or None.

    :raises ConfigurationError: the venue's market holds no such symbols.
    """
    if kind is not None:
        check_choice("kind", kind, (*kinds, None))


def checked_limit(limit: object, *, most: int) -> None:
    """Check how many rows are asked for.

    :raises ConfigurationError: it is no whole number, or more than one request gives.
    """
    check_integer("limit", limit, minimum=1)
    if isinstance(limit, int) and limit > most:
        raise ConfigurationError(f"limit is {limit}; allowed: 1 to {most} in one request")


def _check_time(name: str, value: object) -> None:
    if value is None:
        return
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or not 0 <= value < LATEST:  # type: ignore[arg-type, operator]
        raise ConfigurationError(
            f"{name} is {value!r:.60}; allowed: seconds since the epoch (not milliseconds), or None"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class KlineSpan:
    """Which klines are asked for.

    :ivar symbol: of which.
    :ivar asked: the interval as it was asked for.
    :ivar interval: the same as one of ``core.market.INTERVALS``.
    :ivar own: the same in the venue's notation.
    :ivar start: the first may open at this time; None: as early as ``limit`` allows.
    :ivar end: the last opens before this time; None: now.
    :ivar limit: how many at most.
    :ivar now: wall clock when they were asked for.
    """

    symbol: str
    asked: str
    interval: str
    own: str
    start: float | None
    end: float | None
    limit: int
    now: float

    def kline(
        self, opened_at: float, prices: Any, volume: object, closed: bool | None = None
    ) -> Kline:
        """Make one.

        :param prices: open, high, low and close.
        :param closed: None: it is, once its time is over.
        """
        if closed is None:
            closed = later(opened_at, self.interval) <= self.now
        opening, high, low, close = map(number, prices)
        return Kline(
            self.symbol, self.asked, opened_at, opening, high, low, close, number(volume), closed
        )

    def cut(self, klines: list[Kline]) -> tuple[Kline, ...]:
        """Put them in order, and leave out those that were not asked for."""
        klines.sort(key=lambda kline: kline.opened_at)
        begin = 0.0 if self.start is None else self.start
        end = math.inf if self.end is None else self.end
        found = tuple(kline for kline in klines if begin <= kline.opened_at < end)
        return found[-self.limit :] if self.start is None else found[: self.limit]


def kline_span(
    symbol: str,
    interval: object,
    *,
    own: Mapping[str, str],
    start: float | None,
    end: float | None,
    limit: int | None,
    usual: int,
    most: int,
    now: float,
) -> KlineSpan:
    """Work out which klines are asked for, in the same way for all exchanges.

    With ``start`` they are the first ``limit`` ones from there on, else the last ``limit`` ones
    before ``end``.

    :param interval: one of ``own``, in the library's notation or the venue's.
    :param own: the venue's notations with the intervals that they stand for; of two for the same
        interval, the first is used.
    :param limit: None: ``usual``; at most ``most``.
    :param now: wall clock, seconds since the epoch.
    :raises ConfigurationError: an argument is not allowed.
    """
    _check_time("start", start)
    _check_time("end", end)
    if start is not None and end is not None and start >= end:
        raise ConfigurationError(f"start is {start:g} and end {end:g}; allowed: start < end")
    if limit is None:
        limit = usual
    checked_limit(limit, most=most)
    name, length = _notation(interval, own)
    if start is not None:
        last = later(start, length, limit)
        end = last if end is None else min(end, last)
    return KlineSpan(
        symbol=symbol,
        asked=str(interval),
        interval=length,
        own=name,
        start=start,
        end=end,
        limit=limit,
        now=now,
    )


def _notation(interval: object, own: Mapping[str, str]) -> tuple[str, str]:
    """Find an interval in the venue's notation and in the library's."""
    by_length = {length: name for name, length in reversed(list(own.items()))}
    if isinstance(interval, str) and interval in by_length:
        return by_length[interval], interval
    if isinstance(interval, str) and interval in own:
        return interval, own[interval]
    known = sorted(by_length, key=INTERVALS.__getitem__)
    raise unknown_name("interval", str(interval), tuple(known))
