"""Binance over REST: spot and USD-M futures. Pure.

The sources are https://developers.binance.com/docs/binance-spot-api-docs/rest-api and
https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    rows_of,
    seconds,
)

__all__ = ["BinanceRest"]

_NAMES = "1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M"
INTERVALS = {
    "spot": {name: name for name in ["1s", *_NAMES.split()]},
    "futures": {name: name for name in _NAMES.split()},
}
MOST_KLINES = {"spot": 1000, "futures": 1500}
#: The depths that the futures market allows; spot allows any up to the last of its own.
DEPTHS = {"spot": (5000,), "futures": (5, 10, 20, 50, 100, 500, 1000)}
MOST_TRADES = 1000

# Weight is counted by the minute; the shortest ban is two minutes long.
PAUSES: dict[int | str, float] = {429: 60.0, 418: 120.0, -1003: 60.0, -1034: 60.0}
TEMPORARY = frozenset({-1000, -1001, -1003, -1007, -1008, -1034})
#: Unauthorised, wrong signature, a key of a wrong form, or with another address or permission.
DENIALS = frozenset({-1002, -1022, -2014, -2015})
HINTS: dict[int | str, str] = {
    -1121: "symbols() lists those that exist",
    403: "Binance's firewall refused it: too many requests, or a request of an odd form",
    451: "Binance does not serve the region of this address",
}


class BinanceRest:
    """The REST dialect of Binance.

    :param market: "spot" or "futures" (USD-M).
    :raises ConfigurationError: it is another one.
    """

    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, market: str) -> None:
        check_choice("market", market, ("spot", "futures"))
        self._market = market
        self._root = "/api/v3" if market == "spot" else "/fapi/v1"
        self._kinds = ("spot",) if market == "spot" else ("perpetual", "future")

    def symbols(self, *, kind: str | None) -> RestQuery[tuple[Symbol, ...]]:
        """Ask for all symbols."""
        checked_kind(kind, self._kinds)

        def read(answer: Any) -> tuple[Symbol, ...]:
            found = map(_read_symbol, answer["symbols"])
            return tuple(symbol for symbol in found if kind in (None, symbol.kind))

        return RestQuery(f"{self._root}/exchangeInfo", read)

    def tickers(self, *, kind: str | None) -> RestQuery[tuple[Ticker24h, ...]]:
        """Ask for the last 24 hours of all symbols."""
        checked_kind(kind, self._kinds)
        short = {"type": "MINI"} if self._market == "spot" else {}
        return RestQuery(f"{self._root}/ticker/24hr", _read_tickers, short)

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
        span = kline_span(
            _checked(symbol),
            interval,
            own=INTERVALS[self._market],
            start=start,
            end=end,
            limit=limit,
            usual=500,
            most=MOST_KLINES[self._market],
            now=now,
        )
        parameters = {"symbol": span.symbol, "interval": span.own, "limit": str(span.limit)}
        if span.start is not None:
            parameters["startTime"] = milliseconds(span.start)
        if span.end is not None:  # the venue's own includes its end
            parameters["endTime"] = str(int(milliseconds(span.end)) - 1)

        def read(answer: Any) -> tuple[Kline, ...]:
            return span.cut([span.kline(seconds(row[0]), row[1:5], row[5]) for row in answer])

        return RestQuery(f"{self._root}/klines", read, parameters)

    def trades(
        self, symbol: str, *, limit: int | None, from_id: int | str | None, aggregated: bool
    ) -> RestQuery[tuple[Trade, ...]]:
        """Ask for trades; with an id from there on."""
        parameters = {"symbol": _checked(symbol)}
        if limit is not None:
            checked_limit(limit, most=MOST_TRADES)
            parameters["limit"] = str(limit)
        path = "aggTrades" if aggregated else "trades"
        if from_id is not None:
            parameters["fromId"] = _checked_id(from_id)
            if not aggregated:
                if self._market == "futures":
                    raise ConfigurationError(
                        f"from_id is {from_id!r}: Binance futures tells earlier trades only "
                        "aggregated; allowed: from_id with aggregated=True and an id of @aggTrade"
                    )
                path = "historicalTrades"
        return RestQuery(
            f"{self._root}/{path}", lambda answer: _read_trades(symbol.upper(), answer), parameters
        )

    def order_book(self, symbol: str, *, limit: int | None) -> RestQuery[OrderBook]:
        """Ask for the order book."""
        parameters = {"symbol": _checked(symbol)}
        if limit is not None:
            depths = DEPTHS[self._market]
            checked_limit(limit, most=depths[-1])
            wide_enough = limit if len(depths) == 1 else min(n for n in depths if n >= limit)
            parameters["limit"] = str(wide_enough)

        def read(answer: Any) -> OrderBook:
            at = answer.get("T")
            return OrderBook(
                symbol=parameters["symbol"],
                bids=levels(answer["bids"], highest_first=True, limit=limit),
                asks=levels(answer["asks"], highest_first=False, limit=limit),
                sequence=int(answer["lastUpdateId"]),
                at=None if at is None else seconds(at),
            )

        return RestQuery(f"{self._root}/depth", read, parameters)

    def server_time(self) -> RestQuery[float]:
        """Ask for the exchange's clock."""
        return RestQuery(f"{self._root}/time", lambda answer: seconds(answer["serverTime"]))

    def refusal(
        self, status: int, headers: Mapping[str, str], answer: Any, *, now: float
    ) -> Refusal | None:
        """Tell whether an answer is an error: another status than 200, and a code with a text."""
        body = answer if isinstance(answer, dict) else {}
        if status < 400 and not ("code" in body and "msg" in body):
            return None
        return refused(
            status,
            headers,
            now=now,
            code=body.get("code"),
            text=body.get("msg"),
            temporary=TEMPORARY,
            pauses=PAUSES,
            hints=HINTS,
            denials=DENIALS,
        )


def _checked(symbol: str) -> str:
    # Streams spell symbols in lower case, REST in upper case.
    return checked_symbol(symbol, example="BTCUSDT").upper()


def _checked_id(from_id: int | str) -> str:
    if isinstance(from_id, bool) or not str(from_id).isdecimal():
        raise ConfigurationError(f"from_id is {from_id!r:.60}; allowed: the number of a trade")
    return str(from_id)


def _read_symbol(row: Any) -> Symbol:
    contract = row.get("contractType")
    if contract is None:
        kind = "spot"
    else:
        kind = "perpetual" if contract.endswith("PERPETUAL") else "future"
    return Symbol(
        name=row["symbol"],
        base=row["baseAsset"],
        quote=row["quoteAsset"],
        active=row["status"] == "TRADING",
        kind=kind,
    )


def _read_tickers(answer: Any) -> tuple[Ticker24h, ...]:
    return tuple(
        Ticker24h(row["symbol"], number(row["quoteVolume"]), number(row["lastPrice"]))
        for row in rows_of(answer)
    )


def _read_trades(symbol: str, answer: Any) -> tuple[Trade, ...]:
    # Aggregated trades have short names. The maker's side is told, and the taker's is the other.
    return tuple(
        Trade(
            symbol, row["a"], number(row["p"]), number(row["q"]), _side(row["m"]), seconds(row["T"])
        )
        if "a" in row
        else Trade(
            symbol,
            row["id"],
            number(row["price"]),
            number(row["qty"]),
            _side(row["isBuyerMaker"]),
            seconds(row["time"]),
        )
        for row in rows_of(answer)
    )


def _side(buyer_is_maker: bool) -> str:
    return "sell" if buyer_is_maker else "buy"
