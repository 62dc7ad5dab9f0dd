"""Bybit v5 over REST. Pure.

The source is https://bybit-exchange.github.io/docs/v5 (section "Market").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ..config import check_choice
from ..core.market import Kline, OrderBook, Symbol, Ticker24h, Trade
from ..errors import ConfigurationError
from .dialect import Refusal, RestQuery, refused
from .rest_reading import (
    checked_kind,
    checked_limit,
    checked_symbol,
    kline_span,
    levels,
    milliseconds,
    number,
    oldest_first,
    rows_of,
    seconds,
)

__all__ = ["BybitRest"]

KINDS = {
    "spot": ("spot",),
    "linear": ("perpetual", "future"),
    "inverse": ("perpetual", "future"),
    "option": ("option",),
}
INTERVALS = {
    **{str(n): f"{n}m" for n in (1, 3, 5, 15, 30)},
    **{str(60 * n): f"{n}h" for n in (1, 2, 4, 6, 12)},
    "D": "1d",
    "W": "1w",
    "M": "1M",
}
SYMBOLS_A_PAGE = 1000
MOST_KLINES = 1000
MOST_TRADES = {"spot": 60, "linear": 1000, "inverse": 1000, "option": 1000}
DEEPEST_BOOK = {"spot": 1000, "linear": 1000, "inverse": 1000, "option": 25}

# 403 stands for 600 requests in five seconds: all of HTTP has to rest for ten minutes.
PAUSES: dict[int | str, float] = {403: 600.0, 429: 5.0, 10006: 1.0, 10018: 1.0}
# Server error, restarting.
TEMPORARY = frozenset({10000, 10016, 10019, 10429})
HINTS: dict[int | str, str] = {
    403: "too many requests, or Bybit does not serve the region of this address",
    10001: "symbols() lists the symbols that exist",
}
RESET = "x-bapi-limit-reset-timestamp"


class BybitRest:
    """The REST dialect of Bybit.

    Of options it tells those of one base currency only.

    :param market: "spot", "linear", "inverse" or "option".
    :param base: the base currency of options.
    :raises ConfigurationError: it is another market.
    """

    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, market: str, *, base: str = "BTC") -> None:
        check_choice("market", market, tuple(KINDS))
        self._market = market
        self._category = {"category": market}
        self._base = {"baseCoin": base} if market == "option" else {}

    def symbols(self, *, kind: str | None) -> RestQuery[tuple[Symbol, ...]]:
        """Ask for all symbols, in pages."""
        checked_kind(kind, KINDS[self._market])

        def read(answer: Any) -> tuple[Symbol, ...]:
            found = (_read_symbol(row, self._market) for row in answer["result"]["list"])
            return tuple(symbol for symbol in found if kind in (None, symbol.kind))

        parameters = {**self._category, **self._base}
        if self._market != "spot":  # which comes in one piece
            parameters["limit"] = str(SYMBOLS_A_PAGE)
        return RestQuery("/v5/market/instruments-info", read, parameters, self._next_symbols(read))

    def _next_symbols(self, read: Any) -> Any:
        def following(answer: Any) -> RestQuery[tuple[Symbol, ...]] | None:
            cursor = answer["result"].get("nextPageCursor")
            if not cursor or not answer["result"]["list"]:
                return None
            first = self.symbols(kind=None)
            return replace(
                first,
                read=read,
                parameters={**first.parameters, "cursor": cursor},
                following=following,
            )

        return following

    def tickers(self, *, kind: str | None) -> RestQuery[tuple[Ticker24h, ...]]:
        """Ask for the last 24 hours of all symbols."""
        checked_kind(kind, KINDS[self._market])
        return RestQuery("/v5/market/tickers", self._read_tickers, {**self._category, **self._base})

    def _read_tickers(self, answer: Any) -> tuple[Ticker24h, ...]:
        return tuple(map(self._read_ticker, rows_of(answer["result"]["list"])))

    def _read_ticker(self, row: Any) -> Ticker24h:
        last = number(row["lastPrice"]) if row["lastPrice"] else None
        turnover = number(row["turnover24h"] or 0)
        if self._market == "inverse":  # whose turnover is in the base currency
            turnover *= last or 0
        return Ticker24h(row["symbol"], turnover, last)

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
        """Ask for klines."""
        if self._market == "option":
            raise ConfigurationError("Bybit has no klines of options; ask for another market")
        span = kline_span(
            _checked(symbol),
            interval,
            own=INTERVALS,
            start=start,
            end=end,
            limit=limit,
            usual=200,
            most=MOST_KLINES,
            now=now,
        )
        parameters = {**self._category, "symbol": span.symbol, "interval": span.own}
        parameters["limit"] = str(span.limit)
        if span.start is not None:
            parameters["start"] = milliseconds(span.start)
        if span.end is not None:  # the venue's own includes its end
            parameters["end"] = str(int(milliseconds(span.end)) - 1)

        def read(answer: Any) -> tuple[Kline, ...]:
            rows = answer["result"]["list"]
            return span.cut([span.kline(seconds(row[0]), row[1:5], row[5]) for row in rows])

        return RestQuery("/v5/market/kline", read, parameters)

    def trades(
        self, symbol: str, *, limit: int | None, from_id: int | str | None, aggregated: bool
    ) -> RestQuery[tuple[Trade, ...]]:
        """Ask for the latest trades; there is no way to earlier ones."""
        if from_id is not None or aggregated:
            raise ConfigurationError(
                "from_id and aggregated: Bybit tells only the latest single trades; leave them out"
            )
        parameters = {**self._category, "symbol": _checked(symbol)}
        if limit is not None:
            checked_limit(limit, most=MOST_TRADES[self._market])
            parameters["limit"] = str(limit)
        return RestQuery("/v5/market/recent-trade", _read_trades, parameters)

    def order_book(self, symbol: str, *, limit: int | None) -> RestQuery[OrderBook]:
        """Ask for the order book."""
        parameters = {**self._category, "symbol": _checked(symbol)}
        if limit is not None:
            checked_limit(limit, most=DEEPEST_BOOK[self._market])
            parameters["limit"] = str(limit)

        def read(answer: Any) -> OrderBook:
            book = answer["result"]
            return OrderBook(
                symbol=book["s"],
                bids=levels(book["b"], highest_first=True, limit=limit),
                asks=levels(book["a"], highest_first=False, limit=limit),
                sequence=int(book["u"]),
                at=seconds(book.get("cts") or book["ts"]),
            )

        return RestQuery("/v5/market/orderbook", read, parameters)

    def server_time(self) -> RestQuery[float]:
        """Ask for the exchange's clock, which stands in the envelope of every answer."""
        return RestQuery("/v5/market/time", lambda answer: seconds(answer["time"]))

    def refusal(
        self, status: int, headers: Mapping[str, str], answer: Any, *, now: float
    ) -> Refusal | None:
        """Tell whether an answer is an error: a retCode that is not 0, whatever the status."""
        body = answer if isinstance(answer, dict) else {}
        code = body.get("retCode")
        if status < 400 and code in (0, None):
            return None
        refusal = refused(
            status,
            headers,
            now=now,
            code=code or None,
            text=body.get("retMsg"),
            temporary=TEMPORARY,
            pauses=PAUSES,
            hints=HINTS,
        )
        reset = headers.get(RESET, "")
        if code == 10006 and reset.isdecimal():
            return replace(refusal, retry_after=max(0.0, seconds(reset) - now))
        return refusal


def _checked(symbol: str) -> str:
    return checked_symbol(symbol, example="BTCUSDT").upper()


def _read_symbol(row: Any, market: str) -> Symbol:
    contract = row.get("contractType", "")
    kind = market
    if market in ("linear", "inverse"):
        kind = "perpetual" if contract.endswith("Perpetual") else "future"
    return Symbol(
        name=row["symbol"],
        base=row["baseCoin"],
        quote=row["quoteCoin"],
        active=row["status"] == "Trading",
        kind=kind,
    )


def _read_trades(answer: Any) -> tuple[Trade, ...]:
    trades = [
        Trade(
            row["symbol"],
            row["execId"],
            number(row["price"]),
            number(row["size"]),
            row["side"].lower(),
            seconds(row["time"]),
        )
        for row in answer["result"]["list"]
    ]
    return oldest_first(trades)
