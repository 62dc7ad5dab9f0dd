"""OKX v5 over REST. Pure.

The source is https://www.okx.com/docs-v5/en (sections "Market Data" and "Public Data").
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..core.market import Kline, OrderBook, Symbol, Ticker24h, Trade, later
from ..errors import ConfigurationError
from .dialect import Refusal, RestQuery, refused
from .rest_reading import (
    KlineSpan,
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

__all__ = ["OKXRest"]

EXAMPLE = "BTC-USDT"
INSTRUMENT_TYPES = {"spot": "SPOT", "perpetual": "SWAP", "future": "FUTURES"}

# The first notation of a length is the one that is used for it. Days, weeks and months begin at
# midnight in UTC, as everywhere else, or in the venue's own notation in Hong Kong.
INTERVALS = {
    **{name: name for name in ("1s", "1m", "3m", "5m", "15m", "30m")},
    **{f"{n}H": f"{n}h" for n in (1, 2, 4)},
    **{f"{n}Hutc": f"{n}h" for n in (6, 12)},
    **{f"{n}Dutc": f"{n}d" for n in (1, 2, 3, 5)},
    "1Wutc": "1w",
    "1Mutc": "1M",
    "3Mutc": "3M",
    **{f"{n}H": f"{n}h" for n in (6, 12)},
    **{f"{n}D": f"{n}d" for n in (1, 2, 3, 5)},
    "1W": "1w",
}
#: So many of the latest bars are in one place, older ones in another, in smaller pages.
RECENT_KLINES = 1440
MOST_KLINES, KLINES_A_PAGE = 300, 100
MOST_TRADES, MOST_EARLIER_TRADES = 500, 100
DEEPEST_BOOK = 400

# Most limits are counted over two seconds, and no Retry-After is documented.
PAUSES: dict[int | str, float] = {429: 2.0, "50011": 2.0}
# Unavailable, time out, busy, system error.
TEMPORARY = frozenset({"50001", "50004", "50013", "50026"})
HINTS: dict[int | str, str] = {"51001": "symbols(kind=...) lists those that exist"}


class OKXRest:
    """The REST dialect of OKX. All kinds but options are in one place: None means "spot".

    :param demo: whether the demo environment is meant, which has the same host.
    """

    def __init__(self, *, demo: bool = False) -> None:
        self._headers = MappingProxyType({"x-simulated-trading": "1"} if demo else {})

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that belong to every request."""
        return self._headers

    def symbols(self, *, kind: str | None) -> RestQuery[tuple[Symbol, ...]]:
        """Ask for all symbols."""
        return RestQuery("/api/v5/public/instruments", _read_symbols, _instrument_type(kind))

    def tickers(self, *, kind: str | None) -> RestQuery[tuple[Ticker24h, ...]]:
        """Ask for the last 24 hours of all symbols."""
        return RestQuery("/api/v5/market/tickers", _read_tickers, _instrument_type(kind))

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
        """Ask for klines; those that are no longer recent come in pages."""
        span = kline_span(
            checked_symbol(symbol, example=EXAMPLE),
            interval,
            own=INTERVALS,
            start=start,
            end=end,
            limit=limit,
            usual=100,
            most=MOST_KLINES,
            now=now,
        )
        first = span.start
        if first is None:
            first = later(now if span.end is None else span.end, span.interval, -span.limit)
        if first >= later(now, span.interval, -RECENT_KLINES):
            return _klines("candles", span, page=span.limit, rest=span.limit, before=span.end)
        page = min(span.limit, KLINES_A_PAGE)
        return _klines("history-candles", span, page=page, rest=span.limit, before=span.end)

    def trades(
        self, symbol: str, *, limit: int | None, from_id: int | str | None, aggregated: bool
    ) -> RestQuery[tuple[Trade, ...]]:
        """Ask for the latest trades, or for those from an id on."""
        parameters = {"instId": checked_symbol(symbol, example=EXAMPLE)}
        if aggregated:
            raise ConfigurationError(
                "aggregated is True; OKX tells single trades only: leave it out"
            )
        if from_id is None:
            if limit is not None:
                checked_limit(limit, most=MOST_TRADES)
                parameters["limit"] = str(limit)
            return RestQuery("/api/v5/market/trades", _read_trades, parameters)
        if isinstance(from_id, bool) or not str(from_id).isdecimal():
            raise ConfigurationError(
                f"from_id is {from_id!r:.60}; allowed: the number of a trade, as int or str"
            )
        count = MOST_EARLIER_TRADES if limit is None else limit
        checked_limit(count, most=MOST_EARLIER_TRADES)
        # Both bounds: with the lower one alone the newest trades of all would come.
        parameters |= {
            "type": "1",
            "before": str(int(from_id) - 1),
            "after": str(int(from_id) + count),
            "limit": str(count),
        }
        return RestQuery("/api/v5/market/history-trades", _read_trades, parameters)

    def order_book(self, symbol: str, *, limit: int | None) -> RestQuery[OrderBook]:
        """Ask for the order book."""
        parameters = {"instId": checked_symbol(symbol, example=EXAMPLE)}
        if limit is not None:
            checked_limit(limit, most=DEEPEST_BOOK)
            parameters["sz"] = str(limit)

        def read(answer: Any) -> OrderBook:
            book = answer["data"][0]
            return OrderBook(
                symbol=symbol,
                bids=levels(book["bids"], highest_first=True, limit=limit),
                asks=levels(book["asks"], highest_first=False, limit=limit),
                sequence=int(book["seqId"]) if "seqId" in book else None,
                at=seconds(book["ts"]),
            )

        return RestQuery("/api/v5/market/books", read, parameters)

    def server_time(self) -> RestQuery[float]:
        """Ask for the exchange's clock."""
        return RestQuery("/api/v5/public/time", lambda answer: seconds(answer["data"][0]["ts"]))

    def refusal(
        self, status: int, headers: Mapping[str, str], answer: Any, *, now: float
    ) -> Refusal | None:
        """Tell whether an answer is an error: a code that is not "0", whatever the status."""
        body = answer if isinstance(answer, dict) else {}
        code = body.get("code")
        if status < 400 and code in ("0", None):
            return None
        return refused(
            status,
            headers,
            now=now,
            code=code if code != "0" else None,
            text=body.get("msg"),
            temporary=TEMPORARY,
            pauses=PAUSES,
            hints=HINTS,
        )


def _instrument_type(kind: str | None) -> dict[str, str]:
    checked_kind(kind, tuple(INSTRUMENT_TYPES))
    return {"instType": INSTRUMENT_TYPES[kind or "spot"]}


def _klines(
    place: str, span: KlineSpan, *, page: int, rest: int, before: float | None
) -> RestQuery[tuple[Kline, ...]]:
    """Make the query of one page.

    :param rest: how many klines are still wanted, this page included.
    :param before: they open before this time, or None: now.
    """
    parameters = {"instId": span.symbol, "bar": span.own, "limit": str(min(page, rest))}
    if before is not None:  # "after" and "before" mean the order of the rows: newest first
        parameters["after"] = milliseconds(before)
    if span.start is not None:
        parameters["before"] = str(int(milliseconds(span.start)) - 1)

    def following(answer: Any) -> RestQuery[tuple[Kline, ...]] | None:
        rows = answer["data"]
        left = rest - len(rows)
        if left <= 0 or len(rows) < page:
            return None
        oldest = min(seconds(row[0]) for row in rows)
        return _klines(place, span, page=page, rest=left, before=oldest)

    def read(answer: Any) -> tuple[Kline, ...]:
        return span.cut([_kline(span, row) for row in answer["data"]])

    return RestQuery(f"/api/v5/market/{place}", read, parameters, following)


def _kline(span: KlineSpan, row: Any) -> Kline:
    return span.kline(seconds(row[0]), row[1:5], row[5], closed=row[-1] == "1")


def _read_symbols(answer: Any) -> tuple[Symbol, ...]:
    return tuple(map(_read_symbol, answer["data"]))


def _read_symbol(row: Any) -> Symbol:
    # Derivatives leave baseCcy and quoteCcy empty, and have a family such as "BTC-USDT" instead.
    family = (row.get("instFamily") or row["instId"]).split("-")
    kinds = {name: kind for kind, name in INSTRUMENT_TYPES.items()}
    return Symbol(
        name=row["instId"],
        base=row.get("baseCcy") or family[0],
        quote=row.get("quoteCcy") or family[1],
        active=row["state"] == "live",
        kind=kinds.get(row["instType"], "option"),
    )


def _read_tickers(answer: Any) -> tuple[Ticker24h, ...]:
    return tuple(map(_read_ticker, rows_of(answer["data"])))


def _read_ticker(row: Any) -> Ticker24h:
    # What has never been traded has empty fields.
    last = number(row["last"]) if row["last"] else None
    volume = number(row["volCcy24h"] or 0)
    if row["instType"] != "SPOT":  # of derivatives it is in the base currency
        volume *= last or 0
    return Ticker24h(row["instId"], volume, last)


def _read_trades(answer: Any) -> tuple[Trade, ...]:
    trades = [
        Trade(
            row["instId"],
            row["tradeId"],
            number(row["px"]),
            number(row["sz"]),
            row["side"],
            seconds(row["ts"]),
        )
        for row in answer["data"]
    ]
    return oldest_first(trades)
