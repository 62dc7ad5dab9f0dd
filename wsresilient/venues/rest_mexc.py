"""MEXC futures over REST. Pure.

The source is https://mexcdevelop.github.io/apidocs/contract_v1_en. Errors come with HTTP status
200, numbers are JSON numbers, klines come in columns and times in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from ..core.market import Kline, OrderBook, Symbol, Ticker24h, Trade, later
from ..errors import ConfigurationError
from .dialect import Refusal, RestQuery, refused
from .rest_reading import (
    checked_kind,
    checked_limit,
    checked_symbol,
    kline_span,
    levels,
    number,
    rows_of,
    seconds,
)

__all__ = ["MEXCRest"]

ROOT = "/api/v1/contract"
INTERVALS = {
    **{f"Min{n}": f"{n}m" for n in (1, 5, 15, 30)},
    "Min60": "1h",
    "Hour4": "4h",
    "Hour8": "8h",
    "Day1": "1d",
    "Week1": "1w",
    "Month1": "1M",
}
MOST_KLINES = 2000
MOST_TRADES = 100
DEEPEST_BOOK = 1500

# Limits are counted over two seconds, and no Retry-After is documented.
PAUSES: dict[int | str, float] = {429: 2.0, 510: 2.0}
# The system's own error.
TEMPORARY = frozenset({500})
HINTS: dict[int | str, str] = {1001: "symbols() lists those that exist"}


class MEXCRest:
    """The REST dialect of MEXC futures."""

    headers: Mapping[str, str] = MappingProxyType({})

    def symbols(self, *, kind: str | None) -> RestQuery[tuple[Symbol, ...]]:
        """Ask for all symbols."""
        checked_kind(kind, ("perpetual",))
        return RestQuery(f"{ROOT}/detail", _read_symbols)

    def tickers(self, *, kind: str | None) -> RestQuery[tuple[Ticker24h, ...]]:
        """Ask for the last 24 hours of all symbols."""
        checked_kind(kind, ("perpetual",))
        return RestQuery(f"{ROOT}/ticker", _read_tickers)

    def klines(
        self,
        symbol: str,
        interval: str,
        *,
        start: float | None,
        end: float | None,
        limit: int | None,
        now: float,
    ) -> RestQuery[tuple[Kline, ...]]:
        """Ask for klines; the venue knows no limit, so the times say how many."""
        span = kline_span(
            _checked(symbol),
            interval,
            own=INTERVALS,
            start=start,
            end=end,
            limit=limit,
            usual=MOST_KLINES,
            most=MOST_KLINES,
            now=now,
        )
        parameters = {"interval": span.own}
        first = span.start
        if first is None and span.end is not None:
            first = later(span.end, span.interval, -span.limit)
        if first is not None:
            parameters["start"] = str(max(0, int(first)))
        if span.end is not None:
            parameters["end"] = str(int(span.end))

        def read(answer: Any) -> tuple[Kline, ...]:
            columns = [
                answer["data"][name] for name in ("time", "open", "high", "low", "close", "vol")
            ]
            return span.cut(
                [span.kline(float(row[0]), row[1:5], row[5]) for row in zip(*columns, strict=True)]
            )

        return RestQuery(f"{ROOT}/kline/{quote(span.symbol)}", read, parameters)

    def trades(
        self, symbol: str, *, limit: int | None, from_id: int | str | None, aggregated: bool
    ) -> RestQuery[tuple[Trade, ...]]:
        """Ask for the latest trades; there is no way to earlier ones."""
        if from_id is not None or aggregated:
            raise ConfigurationError(
                "from_id and aggregated: MEXC tells only the latest single trades; leave them out"
            )
        parameters = {}
        if limit is not None:
            checked_limit(limit, most=MOST_TRADES)
            parameters["limit"] = str(limit)
        return RestQuery(
            f"{ROOT}/deals/{quote(_checked(symbol))}",
            lambda answer: _read_trades(symbol, answer),
            parameters,
        )

    def order_book(self, symbol: str, *, limit: int | None) -> RestQuery[OrderBook]:
        """Ask for the order book."""
        parameters = {}
        if limit is not None:
            checked_limit(limit, most=DEEPEST_BOOK)
            parameters["limit"] = str(limit)

        def read(answer: Any) -> OrderBook:
            book = answer["data"]
            at = book.get("cts") or book.get("timestamp")
            return OrderBook(
                symbol=symbol,
                bids=levels(book["bids"], highest_first=True, limit=limit),
                asks=levels(book["asks"], highest_first=False, limit=limit),
                sequence=int(book["version"]),
                at=None if at is None else seconds(at),
            )

        return RestQuery(f"{ROOT}/depth/{quote(_checked(symbol))}", read, parameters)

    def server_time(self) -> RestQuery[float]:
        """Ask for the exchange's clock."""
        return RestQuery(f"{ROOT}/ping", lambda answer: seconds(answer["data"]))

    def refusal(
        self, status: int, headers: Mapping[str, str], answer: Any, *, now: float
    ) -> Refusal | None:
        """Tell whether an answer is an error: no success, with HTTP status 200 as a rule."""
        body = answer if isinstance(answer, dict) else {}
        code = body.get("code")
        if status < 400 and body.get("success", True) and code in (0, None):
            return None
        return refused(
            status,
            headers,
            now=now,
            code=code or None,
            text=body.get("message") or body.get("msg"),
            temporary=TEMPORARY,
            pauses=PAUSES,
            hints=HINTS,
        )


def _checked(symbol: str) -> str:
    return checked_symbol(symbol, example="BTC_USDT")


def _read_symbols(answer: Any) -> tuple[Symbol, ...]:
    return tuple(map(_read_symbol, rows_of(answer["data"])))


def _read_symbol(row: Any) -> Symbol:
    base, _, quote_coin = row["symbol"].partition("_")
    return Symbol(
        name=row["symbol"],
        base=row.get("baseCoin") or base,
        quote=row.get("quoteCoin") or quote_coin,
        active=row["state"] == 0,
        kind="perpetual",
    )


def _read_tickers(answer: Any) -> tuple[Ticker24h, ...]:
    # volume24 counts contracts, whose sizes differ.
    return tuple(
        Ticker24h(row["symbol"], number(row["amount24"]), number(row["lastPrice"]))
        for row in rows_of(answer["data"])
    )


def _read_trades(symbol: str, answer: Any) -> tuple[Trade, ...]:
    trades = [
        Trade(
            symbol,
            row.get("i"),
            number(row["p"]),
            number(row["v"]),
            "buy" if row["T"] == 1 else "sell",
            seconds(row["t"]),
        )
        for row in answer["data"]
    ]
    return tuple(sorted(trades, key=lambda trade: trade.at))
