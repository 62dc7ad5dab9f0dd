"""How the REST of Bybit v5 looks: one envelope, errors by ``retCode``, the newest first.

After https://bybit-exchange.github.io/docs/v5/market. All categories have the symbols of the
exchange; what category they are asked of decides how the answer looks. What the sockets spell in
the same way is public here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wsresilient.testing.events import Kline, Level, Ticker, Trade
from wsresilient.testing.rest_shapes.base import Desk, RestAnswer, RestRequest, as_json

__all__ = ["INTERVALS", "BybitShape", "sequence_number", "trade_id"]

#: Seconds of each kline interval. A month is taken for 30 days.
INTERVALS = {
    "1": 60,
    "3": 180,
    "5": 300,
    "15": 900,
    "30": 1800,
    "60": 3600,
    "120": 7200,
    "240": 14_400,
    "360": 21_600,
    "720": 43_200,
    "D": 86_400,
    "W": 604_800,
    "M": 2_592_000,
}

# The cross sequence counts for all streams of a symbol, so it is not the number of any of them.
_SEQUENCE_OFFSET = 7_000_000_000

_PATH = "/v5/market/"
_CATEGORIES = ("linear", "inverse", "spot", "option")
_CONTRACT_TYPES = {"linear": "LinearPerpetual", "inverse": "InversePerpetual"}
_QUOTES = ("USDT", "USDC", "USD")
_WRONG = 10001
_MOST = 1000


class _WrongRequestError(Exception):
    """A request that is answered with an error."""


class BybitShape:
    """The market data of Bybit v5: instruments, tickers, candles, trades, order book, time."""

    def answer(self, request: RestRequest, desk: Desk) -> RestAnswer | None:
        """Answer a request; errors come with the HTTP status 200."""
        name = request.path.removeprefix(_PATH)
        if request.method != "GET" or not request.path.startswith(_PATH):
            return None
        if name == "time":
            return _envelope(_time(desk.now), desk)
        make = _ANSWERS.get(name)
        if make is None:
            return None
        try:
            return _envelope(make(request, desk), desk)
        except _WrongRequestError as error:
            return _envelope({}, desk, code=_WRONG, text=f"params error: {error}")


def trade_id(trade: Trade, market: str) -> str:
    """Spell the number of a trade: digits on spot, a UUID elsewhere."""
    if market == "spot":
        return f"22900000{trade.trade_id:011d}"
    return f"20f43950-d8dd-5b31-9112-{trade.trade_id:012x}"


def sequence_number(number: int) -> int:
    """Give the cross sequence of a trade or of a change of the order book."""
    return _SEQUENCE_OFFSET + number


def _envelope(
    result: Mapping[str, Any], desk: Desk, *, code: int = 0, text: str = "OK"
) -> RestAnswer:
    return as_json(
        {"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": desk.now}
    )


def _category(request: RestRequest) -> str:
    category = request.query.get("category", "")
    if category not in _CATEGORIES:
        raise _WrongRequestError("category invalid")
    return category


def _symbol(request: RestRequest, desk: Desk) -> str:
    symbol = request.query.get("symbol", "")
    if desk.ticker(symbol) is None:
        raise _WrongRequestError("symbol invalid")
    return symbol


def _symbols(request: RestRequest, desk: Desk) -> list[str]:
    """Give the symbol that is asked for, or all; of options those of a coin, of BTC by itself."""
    if "symbol" in request.query:
        return [_symbol(request, desk)]
    if _category(request) != "option":
        return list(desk.symbols)
    coin = request.query.get("baseCoin", "BTC")
    return [symbol for symbol in desk.symbols if symbol.startswith(f"{coin}-")]


def _time(now: int) -> dict[str, str]:
    return {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}


def _instruments(request: RestRequest, desk: Desk) -> dict[str, Any]:
    """Give a page of symbols. The cursor is the place where the next page begins."""
    category = _category(request)
    symbols = _symbols(request, desk)
    if category == "spot":
        return {"category": category, "list": [_instrument(name, category) for name in symbols]}
    limit = max(1, request.number("limit", 500, most=_MOST))
    start = request.number("cursor", 0)
    page = symbols[start : start + limit]
    following = start + limit
    return {
        "category": category,
        "list": [_instrument(name, category) for name in page],
        "nextPageCursor": str(following) if following < len(symbols) else "",
    }


def _instrument(symbol: str, category: str) -> dict[str, Any]:
    base, quote = _coins(symbol)
    instrument: dict[str, Any] = {
        "symbol": symbol,
        "baseCoin": base,
        "quoteCoin": quote,
        "status": "Trading",
        "lotSizeFilter": {"minOrderQty": "0.001", "maxOrderQty": "1190.000"},
        "priceFilter": {"tickSize": "0.01"},
    }
    if category in _CONTRACT_TYPES:
        instrument["contractType"] = _CONTRACT_TYPES[category]
        instrument["settleCoin"] = base if category == "inverse" else quote
    elif category == "option":
        instrument["optionsType"] = "Put" if symbol.endswith("-P") else "Call"
        instrument["settleCoin"] = "USDC"
    return instrument


def _coins(symbol: str) -> tuple[str, str]:
    """Take a symbol apart; an option is quoted in dollars."""
    base, dash, _ = symbol.partition("-")
    if dash:
        return base, "USD"
    quote = next((each for each in _QUOTES if symbol.endswith(each)), "")
    return symbol.removesuffix(quote), quote


def _tickers(request: RestRequest, desk: Desk) -> dict[str, Any]:
    category = _category(request)
    tickers = [desk.ticker(symbol) for symbol in _symbols(request, desk)]
    return {
        "category": category,
        "list": [_ticker(ticker, category) for ticker in tickers if ticker is not None],
    }


def _ticker(ticker: Ticker, category: str) -> dict[str, str]:
    """Write a ticker: the turnover is in the quote coin, of inverse contracts in the base coin."""
    turnover, volume = ticker.turnover, ticker.volume
    if category == "inverse":
        turnover, volume = volume, turnover
    change = (ticker.last_price - ticker.first_price) / ticker.first_price
    fields = {
        "symbol": ticker.symbol,
        "bid1Price": _text(ticker.bid),
        "bid1Size": "2",
        "ask1Price": _text(ticker.ask),
        "ask1Size": "1.862172",
        "lastPrice": _text(ticker.last_price),
        "prevPrice24h": _text(ticker.first_price),
        "price24hPcnt": f"{change:.4f}",
        "highPrice24h": _text(ticker.high),
        "lowPrice24h": _text(ticker.low),
        "turnover24h": _text(turnover),
        "volume24h": _text(volume),
    }
    if category == "spot":
        return {**fields, "usdIndexPrice": _text(ticker.last_price)}
    prices = {"markPrice": _text(ticker.last_price), "indexPrice": _text(ticker.last_price)}
    return {**fields, **prices, "fundingRate": "0.0001", "openInterest": "68744.761"}


def _klines(request: RestRequest, desk: Desk) -> dict[str, Any]:
    """Give candles, the newest first: the latest before ``end``, or those from ``start`` on."""
    category, symbol = _category(request), _symbol(request, desk)
    interval = INTERVALS.get(request.query.get("interval", ""))
    if interval is None:
        raise _WrongRequestError("interval invalid")
    start, end = request.moment("start"), request.moment("end")
    limit = max(1, request.number("limit", 200, most=_MOST))
    klines = desk.klines(
        symbol, interval, start=start if end is None else None, end=end, limit=limit
    )
    rows = [_kline(kline) for kline in klines if start is None or kline.opened_at >= start]
    return {"symbol": symbol, "category": category, "list": rows[::-1]}


def _kline(kline: Kline) -> list[str]:
    values = (kline.open, kline.high, kline.low, kline.close, kline.volume, kline.turnover)
    return [str(kline.opened_at), *map(_text, values)]


def _trades(request: RestRequest, desk: Desk) -> dict[str, Any]:
    """Give the latest trades, the newest first; there is no way to older ones."""
    category, symbol = _category(request), _symbol(request, desk)
    default, most = (60, 60) if category == "spot" else (500, _MOST)
    trades = desk.trades(symbol, limit=max(1, request.number("limit", default, most=most)))
    return {"category": category, "list": [_trade(trade, category) for trade in trades[::-1]]}


def _trade(trade: Trade, category: str) -> dict[str, Any]:
    return {
        "execId": trade_id(trade, category),
        "symbol": trade.symbol,
        "price": _text(trade.price),
        "size": _text(trade.quantity),
        "side": "Sell" if trade.is_buyer_maker else "Buy",
        "time": str(trade.at),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(sequence_number(trade.trade_id)),
    }


def _order_book(request: RestRequest, desk: Desk) -> dict[str, Any]:
    category, symbol = _category(request), _symbol(request, desk)
    default = 25 if category in _CONTRACT_TYPES else 1
    book = desk.book(symbol, max(1, request.number("limit", default, most=_MOST)))
    if book is None:
        raise _WrongRequestError("symbol invalid")
    return {
        "s": symbol,
        "a": [_level(level) for level in book.asks],
        "b": [_level(level) for level in book.bids],
        "ts": desk.now,
        "u": book.last_id,
        "seq": sequence_number(book.last_id),
        "cts": desk.now,
    }


def _level(level: Level) -> list[str]:
    return [_text(level[0]), _text(level[1])]


def _text(value: float) -> str:
    return f"{value:.8f}"


_ANSWERS: dict[str, Callable[[RestRequest, Desk], dict[str, Any]]] = {
    "instruments-info": _instruments,
    "tickers": _tickers,
    "kline": _klines,
    "recent-trade": _trades,
    "orderbook": _order_book,
}
