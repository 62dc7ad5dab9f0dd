"""How the REST of MEXC futures looks: one envelope, errors with the HTTP status 200, columns.

After https://www.mexc.com/api-docs/futures and what was seen on the wire. Numbers are JSON numbers,
quantities whole contracts, times of candles seconds. What the socket spells in the same way is
public here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wsresilient.testing.events import Depth, Kline, Level, Mark, Ticker
from wsresilient.testing.rest_shapes.base import Desk, RestAnswer, RestRequest, as_json

__all__ = ["CONTRACT_SIZE", "INTERVALS", "MEXCShape", "contracts"]

#: Seconds of each kline interval. A month is taken for 30 days.
INTERVALS = {
    "Min1": 60,
    "Min5": 300,
    "Min15": 900,
    "Min30": 1800,
    "Min60": 3600,
    "Hour4": 14_400,
    "Hour8": 28_800,
    "Day1": 86_400,
    "Week1": 604_800,
    "Month1": 2_592_000,
}

#: How much of the symbol one contract is, of every symbol.
CONTRACT_SIZE = 0.001


_PATH = "/api/v1/contract/"
_MOST_KLINES = 2000
_MOST_DEALS = 100
_DEFAULT_LEVELS = 1500


class _WrongRequestError(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class MEXCShape:
    """The market data of MEXC futures: contracts, tickers, candles, deals, order book, funding."""

    def answer(self, request: RestRequest, desk: Desk) -> RestAnswer | None:
        """Answer a request; errors come with the HTTP status 200."""
        if request.method != "GET" or not request.path.startswith(_PATH):
            return None
        name, _, symbol = request.path.removeprefix(_PATH).partition("/")
        if name == "ping" and not symbol:
            return _envelope(desk.now)
        if name == "detail" and symbol == "country":
            symbol = ""
        make = _ANSWERS.get(name)
        if make is None or "/" in symbol:
            return None
        try:
            return _envelope(make(symbol or request.query.get("symbol", ""), request, desk))
        except _WrongRequestError as error:
            return as_json({"success": False, "code": error.code, "message": str(error)})


def contracts(quantity: float) -> int:
    """Give a quantity in contracts: at least one, unless there is nothing."""
    return max(1, round(quantity / CONTRACT_SIZE)) if quantity else 0


def _price(value: float) -> float:
    """Give a price as the socket tells it."""
    return round(value, 8)


def _envelope(data: Any) -> RestAnswer:
    return as_json({"success": True, "code": 0, "data": data})


def _no_such_contract() -> _WrongRequestError:
    return _WrongRequestError(1001, "Contract does not exist")


def _ticker_of(symbol: str, desk: Desk) -> Ticker:
    ticker = desk.ticker(symbol)
    if ticker is None:
        raise _no_such_contract()
    return ticker


# With a symbol the answer is an object, without one it is a list.


def _contracts(symbol: str, request: RestRequest, desk: Desk) -> Any:
    del request
    if symbol:
        return _contract(_ticker_of(symbol, desk).symbol)
    return [_contract(each) for each in desk.symbols]


def _contract(symbol: str) -> dict[str, Any]:
    base, _, quote = symbol.partition("_")
    return {
        "symbol": symbol,
        "displayNameEn": f"{symbol} PERPETUAL",
        "baseCoin": base,
        "quoteCoin": quote,
        "settleCoin": base if quote == "USD" else quote,
        "contractSize": CONTRACT_SIZE,
        "priceUnit": 0.01,
        "volUnit": 1,
        "minVol": 1,
        "state": 0,
        "apiAllowed": True,
    }


def _tickers(symbol: str, request: RestRequest, desk: Desk) -> Any:
    del request
    if symbol:
        return _ticker(_ticker_of(symbol, desk))
    return [_ticker(_ticker_of(each, desk)) for each in desk.symbols]


def _ticker(ticker: Ticker) -> dict[str, Any]:
    """Write a ticker: volume24 counts contracts, amount24 is the turnover."""
    change = ticker.last_price - ticker.first_price
    return {
        "symbol": ticker.symbol,
        "lastPrice": _price(ticker.last_price),
        "bid1": _price(ticker.bid),
        "ask1": _price(ticker.ask),
        "volume24": contracts(ticker.volume),
        "amount24": ticker.turnover,
        "holdVol": 55102960,
        "lower24Price": _price(ticker.low),
        "high24Price": _price(ticker.high),
        "riseFallRate": round(change / ticker.first_price, 4),
        "riseFallValue": _price(change),
        "indexPrice": _price(ticker.last_price),
        "fairPrice": _price(ticker.last_price),
        "fundingRate": 0.0001,
        "maxBidPrice": _price(ticker.last_price * 1.03),
        "minAskPrice": _price(ticker.last_price * 0.97),
        "timestamp": ticker.at,
    }


def _klines(symbol: str, request: RestRequest, desk: Desk) -> Any:
    """Give candles, the oldest first: the latest before ``end``, or those from ``start`` on."""
    _ticker_of(symbol, desk)
    interval = INTERVALS.get(request.query.get("interval", "Min1"))
    if interval is None:
        raise _WrongRequestError(600, "Parameter error")
    start, end = request.moment("start"), request.moment("end")
    klines = desk.klines(
        symbol,
        interval,
        start=None if start is None else start * 1000,
        end=None if end is None else end * 1000,
        limit=_MOST_KLINES,
    )
    return _columns(klines)


def _columns(klines: Sequence[Kline]) -> dict[str, list[float]]:
    return {
        "time": [kline.opened_at // 1000 for kline in klines],
        "open": [_price(kline.open) for kline in klines],
        "close": [_price(kline.close) for kline in klines],
        "high": [_price(kline.high) for kline in klines],
        "low": [_price(kline.low) for kline in klines],
        "vol": [float(contracts(kline.volume)) for kline in klines],
        "amount": [_price(kline.turnover) for kline in klines],
    }


def _deals(symbol: str, request: RestRequest, desk: Desk) -> Any:
    """Give the latest trades, the newest first; there is no way to older ones."""
    _ticker_of(symbol, desk)
    limit = max(1, request.number("limit", _MOST_DEALS, most=_MOST_DEALS))
    return [
        {
            "p": _price(trade.price),
            "v": contracts(trade.quantity),
            "T": 2 if trade.is_buyer_maker else 1,
            "O": 3,
            "M": 1,
            "t": trade.at,
        }
        for trade in desk.trades(symbol, limit=limit)[::-1]
    ]


def _order_book(symbol: str, request: RestRequest, desk: Desk) -> Any:
    book = desk.book(symbol, max(1, request.number("limit", _DEFAULT_LEVELS)))
    if book is None:
        raise _no_such_contract()
    return _depth(book, desk.now)


def _depth(book: Depth, now: int) -> dict[str, Any]:
    return {
        "cts": None,
        "asks": [_level(level) for level in book.asks],
        "bids": [_level(level) for level in book.bids],
        "version": book.last_id,
        "timestamp": now,
    }


def _level(level: Level) -> list[float]:
    """Write price, contracts, number of orders."""
    return [level[0], contracts(level[1]), 1]


def _funding_rates(symbol: str, request: RestRequest, desk: Desk) -> Any:
    del request
    marks = [desk.mark(each) for each in ([symbol] if symbol else desk.symbols)]
    rates = [_funding_rate(mark) for mark in marks if mark is not None]
    if symbol and not rates:
        raise _no_such_contract()
    return rates[0] if symbol else rates


def _funding_rate(mark: Mark) -> dict[str, Any]:
    return {
        "symbol": mark.symbol,
        "fundingRate": mark.funding_rate,
        "maxFundingRate": 0.003,
        "minFundingRate": -0.003,
        "collectCycle": 8,
        "nextSettleTime": mark.funding_at,
        "timestamp": mark.at,
    }


_ANSWERS: dict[str, Callable[[str, RestRequest, Desk], Any]] = {
    "detail": _contracts,
    "ticker": _tickers,
    "kline": _klines,
    "deals": _deals,
    "depth": _order_book,
    "funding_rate": _funding_rates,
}
