"""How the REST of Binance looks: spot under ``/api/v3``, USD-M futures under ``/fapi/v1``.

After https://github.com/binance/binance-spot-api-docs (rest-api.md, errors.md) and the USD-M pages
of developers.binance.com. What the streams spell in the same way is public here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from wsresilient.testing.events import Depth, Kline, Level, Ticker, Trade
from wsresilient.testing.rest_shapes.base import Desk, RestAnswer, RestRequest, as_json

__all__ = ["INTERVALS", "BinanceFuturesShape", "BinanceSpotShape", "book_number", "levels"]

#: Seconds of a candle.
INTERVALS = {
    **{"1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800},
    **{"1h": 3600, "2h": 7200, "4h": 14_400, "6h": 21_600, "8h": 28_800, "12h": 43_200},
    **{"1d": 86_400, "3d": 259_200, "1w": 604_800, "1M": 2_592_000},
}
_DAY = 86_400_000
_QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TRY", "EUR", "BTC", "ETH", "BNB", "USD")
_LISTEN_KEY = "/fapi/v1/listenKey"

_Make = Callable[[RestRequest, Desk], Any]


def book_number(number: int) -> int:
    """Give the number that a change of a futures' order book has.

    They skip, as the real ones do: who expects ``U`` to be the last ``u`` and one is wrong.
    """
    return number * 10


def levels(side: tuple[Level, ...]) -> str:
    """Write one side of an order book, without the brackets around all of it."""
    return ",".join([f'["{price:.8f}","{quantity:.8f}"]' for price, quantity in side])


class _WrongRequestError(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class _BinanceShape:
    """What spot and futures have in common.

    :cvar prefix: of every path.
    :cvar most_klines: in one answer.
    """

    prefix: str
    most_klines: int

    def answer(self, request: RestRequest, desk: Desk) -> RestAnswer | None:
        """Answer a request; None: there is no such path."""
        name = request.path.removeprefix(f"{self.prefix}/")
        make = self._makers().get(name)
        if name == request.path or make is None or request.method != "GET":
            return None
        try:
            body = make(request, desk)
        except _WrongRequestError as error:
            return _error(error.code, str(error), error.status)
        answer = as_json(body)
        return RestAnswer(answer.body, headers={"X-MBX-USED-WEIGHT-1M": "20"})

    def _makers(self) -> Mapping[str, _Make]:
        return {
            "ping": lambda *_: {},
            "time": lambda _, desk: {"serverTime": desk.now},
            "exchangeInfo": self._exchange_info,
            "ticker/24hr": self._tickers,
            "klines": self._klines,
            "trades": self._trades,
            "historicalTrades": self._trades,
            "aggTrades": self._aggregates,
            "depth": self._depth,
        }

    # Symbols and tickers.

    def _exchange_info(self, request: RestRequest, desk: Desk) -> Any:
        chosen = _chosen_symbols(request, desk)
        symbols = [self._symbol_info(symbol) for symbol in chosen]
        return {"timezone": "UTC", "serverTime": desk.now, "rateLimits": [], "symbols": symbols}

    def _symbol_info(self, symbol: str) -> dict[str, Any]:
        base, quote = _split(symbol)
        return {"symbol": symbol, "status": "TRADING", "baseAsset": base, "quoteAsset": quote}

    def _tickers(self, request: RestRequest, desk: Desk) -> Any:
        found = [desk.ticker(symbol) for symbol in _chosen_symbols(request, desk)]
        tickers = [_ticker(each) for each in found if each is not None]
        return tickers[0] if "symbol" in request.query else tickers

    # Candles.

    def _klines(self, request: RestRequest, desk: Desk) -> Any:
        symbol = _known_symbol(request, desk)
        interval = INTERVALS.get(request.query.get("interval", ""))
        if interval is None:
            raise _WrongRequestError(-1120, "Invalid interval.")
        found = desk.klines(
            symbol,
            interval,
            start=request.moment("startTime"),
            end=request.moment("endTime"),
            limit=request.number("limit", 500, most=self.most_klines),
        )
        return [_candle(each) for each in found]

    # Trades.

    def _trades(self, request: RestRequest, desk: Desk) -> Any:
        limit = request.number("limit", 500, most=1000)
        first = request.moment("fromId") if request.path.endswith("historicalTrades") else None
        found = desk.trades(_known_symbol(request, desk), first_id=first, limit=limit)
        return [self._trade(each) for each in found]

    def _trade(self, trade: Trade) -> dict[str, Any]:
        return {
            "id": trade.trade_id,
            "price": _number(trade.price),
            "qty": _number(trade.quantity),
            "quoteQty": _number(trade.price * trade.quantity),
            "time": trade.at,
            "isBuyerMaker": trade.is_buyer_maker,
        }

    def _aggregates(self, request: RestRequest, desk: Desk) -> Any:
        symbol = _known_symbol(request, desk)
        limit = request.number("limit", 500, most=1000)
        start, end = request.moment("startTime"), request.moment("endTime")
        first = request.moment("fromId")
        if start is None and end is None:
            found = desk.trades(symbol, first_id=first, limit=limit)
        else:
            latest = desk.trades(symbol, limit=5000)
            found = [t for t in latest if (start or 0) <= t.at and (end is None or t.at <= end)]
            found = found[:limit]
        return [self._aggregate(each) for each in found]

    def _aggregate(self, trade: Trade) -> dict[str, Any]:
        return {
            "a": trade.trade_id,
            "p": _number(trade.price),
            "q": _number(trade.quantity),
            "f": trade.trade_id,
            "l": trade.trade_id,
            "T": trade.at,
            "m": trade.is_buyer_maker,
        }

    # The order book.

    def _depth(self, request: RestRequest, desk: Desk) -> Any:
        symbol = _known_symbol(request, desk)
        book = desk.book(symbol, request.number("limit", 100, most=5000))
        assert book is not None  # the symbol is known
        return self._book(book)

    def _book(self, book: Depth) -> dict[str, Any]:
        return {
            "lastUpdateId": book.last_id,
            "bids": [[_number(price), _number(quantity)] for price, quantity in book.bids],
            "asks": [[_number(price), _number(quantity)] for price, quantity in book.asks],
        }


class BinanceSpotShape(_BinanceShape):
    """The market data of Binance spot."""

    prefix = "/api/v3"
    most_klines = 1000

    def _trade(self, trade: Trade) -> dict[str, Any]:
        return {**super()._trade(trade), "isBestMatch": True}

    def _aggregate(self, trade: Trade) -> dict[str, Any]:
        return {**super()._aggregate(trade), "M": True}


class BinanceFuturesShape(_BinanceShape):
    """The market data of Binance USD-M futures, and the listen keys."""

    prefix = "/fapi/v1"
    most_klines = 1500

    def answer(self, request: RestRequest, desk: Desk) -> RestAnswer | None:
        """Answer a request; None: there is no such path."""
        if request.path == _LISTEN_KEY:
            return _listen_key(request, desk)
        return super().answer(request, desk)

    def _makers(self) -> Mapping[str, _Make]:
        return {**super()._makers(), "premiumIndex": self._premium_index}

    def _symbol_info(self, symbol: str) -> dict[str, Any]:
        info = super()._symbol_info(symbol)
        return {**info, "pair": symbol, "contractType": "PERPETUAL", "marginAsset": "USDT"}

    def _premium_index(self, request: RestRequest, desk: Desk) -> Any:
        marks = [desk.mark(symbol) for symbol in _chosen_symbols(request, desk)]
        found = [
            {
                "symbol": mark.symbol,
                "markPrice": _number(mark.mark_price),
                "indexPrice": _number(mark.index_price),
                "lastFundingRate": _number(mark.funding_rate),
                "nextFundingTime": mark.funding_at,
                "time": mark.at,
            }
            for mark in marks
            if mark is not None
        ]
        return found[0] if "symbol" in request.query else found

    def _trade(self, trade: Trade) -> dict[str, Any]:
        return {**super()._trade(trade), "isRPITrade": False}

    def _book(self, book: Depth) -> dict[str, Any]:
        body = super()._book(book)
        return {**body, "lastUpdateId": book_number(book.last_id), "E": book.at, "T": book.at}


def _listen_key(request: RestRequest, desk: Desk) -> RestAnswer | None:
    """Make a listen key, make it last longer, or end it."""
    api_key = request.headers.get("x-mbx-apikey", "")
    if api_key != desk.credentials.api_key:
        if not api_key.isalnum():
            return _error(-2014, "API-key format invalid.", 401)
        return _error(-2015, "Invalid API-key, IP, or permissions for action.", 401)
    if request.method == "POST":
        return as_json({"listenKey": desk.listen_keys.create(api_key)})
    if request.method == "PUT":
        key = desk.listen_keys.extend(api_key)
        return as_json({"listenKey": key}) if key is not None else _no_listen_key()
    if request.method == "DELETE":
        return as_json({}) if desk.listen_keys.delete(api_key) else _no_listen_key()
    return None


def _no_listen_key() -> RestAnswer:
    return _error(-1125, "This listenKey does not exist.", 400)


def _error(code: int, message: str, status: int) -> RestAnswer:
    return as_json({"code": code, "msg": message}, status=status)


def _known_symbol(request: RestRequest, desk: Desk) -> str:
    """Give the symbol of a request.

    :raises _WrongRequestError: it is missing or does not exist.
    """
    symbol = request.query.get("symbol", "")
    if not symbol:
        raise _WrongRequestError(
            -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
        )
    if desk.ticker(symbol) is None:
        raise _WrongRequestError(-1121, "Invalid symbol.")
    return symbol


def _chosen_symbols(request: RestRequest, desk: Desk) -> list[str]:
    """Give the symbols of a request, all of them if it names none.

    :raises _WrongRequestError: one of them does not exist.
    """
    if "symbol" in request.query:
        return [_known_symbol(request, desk)]
    if "symbols" not in request.query:
        return list(desk.symbols)
    try:
        names = json.loads(request.query["symbols"])
    except ValueError:
        names = None
    if not isinstance(names, list):
        raise _WrongRequestError(-1101, "Illegal characters found in parameter 'symbols'.")
    if any(name not in desk.symbols for name in names):
        raise _WrongRequestError(-1121, "Invalid symbol.")
    return names


def _split(symbol: str) -> tuple[str, str]:
    """Take a symbol apart into what is traded and what it is paid with."""
    for quote in _QUOTES:
        if symbol.endswith(quote) and symbol != quote:
            return symbol.removesuffix(quote), quote
    return symbol, ""


def _ticker(ticker: Ticker) -> dict[str, Any]:
    change = ticker.last_price - ticker.first_price
    return {
        "symbol": ticker.symbol,
        "priceChange": _number(change),
        "priceChangePercent": f"{change / ticker.first_price * 100:.3f}",
        "weightedAvgPrice": _number(ticker.turnover / ticker.volume),
        "lastPrice": _number(ticker.last_price),
        "lastQty": "0.01000000",
        "openPrice": _number(ticker.first_price),
        "highPrice": _number(ticker.high),
        "lowPrice": _number(ticker.low),
        "volume": _number(ticker.volume),
        "quoteVolume": _number(ticker.turnover),
        "openTime": ticker.at - _DAY,
        "closeTime": ticker.at,
        "firstId": ticker.last_trade_id - ticker.trade_count + 1,
        "lastId": ticker.last_trade_id,
        "count": ticker.trade_count,
    }


def _candle(kline: Kline) -> list[Any]:
    return [
        kline.opened_at,
        *map(_number, (kline.open, kline.high, kline.low, kline.close, kline.volume)),
        kline.closed_at,
        _number(kline.turnover),
        kline.trade_count,
        _number(kline.volume / 2),
        _number(kline.turnover / 2),
        "0",
    ]


def _number(value: float) -> str:
    return f"{value:.8f}"
