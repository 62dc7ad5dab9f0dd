"""How the REST of OKX looks: one envelope, everything a string, the newest first.

After https://www.okx.com/docs-v5/en/ as of 2026. What the channels spell in the same way is public
here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wsresilient.testing.events import Depth, Kline, Level, Ticker, Trade
from wsresilient.testing.rest_shapes.base import Desk, RestAnswer, RestRequest, as_json

__all__ = ["BARS", "OKXShape", "candle_row", "instrument_type", "levels", "ticker_row"]

_DAY = 86_400
#: Seconds of a candle.
BARS = {
    **{"1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800},
    **{"1H": 3600, "2H": 7200, "4H": 14_400, "6H": 21_600, "12H": 43_200},
    **{"6Hutc": 21_600, "12Hutc": 43_200},
    **{f"{days}D{utc}": days * _DAY for days in (1, 2, 3, 5) for utc in ("", "utc")},
    **{f"1W{utc}": 7 * _DAY for utc in ("", "utc")},
    **{f"{months}M{utc}": months * 30 * _DAY for months in (1, 3) for utc in ("", "utc")},
}


def instrument_type(symbol: str) -> str:
    """Tell the type of an instrument by its name."""
    return "SWAP" if symbol.endswith("-SWAP") else "SPOT"


def levels(side: tuple[Level, ...]) -> str:
    """Write one side of an order book, without the brackets around all of it."""
    return ",".join(
        [
            f'["{price:.8f}","{quantity:.8f}","0","3"]'
            if quantity
            else f'["{price:.8f}","0","0","0"]'
            for price, quantity in side
        ]
    )


def ticker_row(ticker: Ticker) -> str:
    """Write a ticker, over the stream or over REST."""
    kind = instrument_type(ticker.symbol)
    # Of a swap the turnover is in coins, of a pair in the currency of the price.
    turnover = ticker.turnover if kind == "SPOT" else ticker.volume
    midnight = ticker.first_price
    return (
        f'{{"instType":"{kind}","instId":"{ticker.symbol}","last":"{ticker.last_price:.8f}",'
        f'"lastSz":"0.1","askPx":"{ticker.ask:.8f}","askSz":"11","bidPx":"{ticker.bid:.8f}",'
        f'"bidSz":"5","open24h":"{ticker.first_price:.8f}","high24h":"{ticker.high:.8f}",'
        f'"low24h":"{ticker.low:.8f}","volCcy24h":"{turnover:.8f}","vol24h":"{ticker.volume:.8f}",'
        f'"sodUtc0":"{midnight:.8f}","sodUtc8":"{midnight:.8f}","ts":"{ticker.at}"}}'
    )


def candle_row(kline: Kline) -> str:
    """Write a candle, over the stream or over REST."""
    return (
        f'["{kline.opened_at}","{kline.open:.8f}","{kline.high:.8f}","{kline.low:.8f}",'
        f'"{kline.close:.8f}","{kline.volume:.8f}","{kline.volume:.8f}","{kline.turnover:.8f}",'
        f'"{int(kline.is_closed)}"]'
    )


class _WrongRequestError(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class OKXShape:
    """The market data of OKX."""

    def answer(self, request: RestRequest, desk: Desk) -> RestAnswer | None:
        """Answer a request; None: there is no such path."""
        make = _ANSWERS.get(request.path)
        if make is None or request.method != "GET":
            return None
        try:
            rows = ",".join(make(request, desk))
        except _WrongRequestError as error:
            # As on the real one, an error of the request has the status 200 or 400 by its kind.
            return as_json({"code": str(error.code), "msg": str(error), "data": []}, status=400)
        return RestAnswer(f'{{"code":"0","msg":"","data":[{rows}]}}')


def _time(request: RestRequest, desk: Desk) -> Iterable[str]:
    del request
    return [f'{{"ts":"{desk.now}"}}']


def _instruments(request: RestRequest, desk: Desk) -> Iterable[str]:
    kind = _wanted_type(request)
    wanted = request.query.get("instId")
    return [
        _instrument(symbol)
        for symbol in desk.symbols
        if instrument_type(symbol) == kind and wanted in (None, symbol)
    ]


def _instrument(symbol: str) -> str:
    base, quote, *_ = [*symbol.split("-"), ""]
    if instrument_type(symbol) == "SPOT":
        return (
            f'{{"instType":"SPOT","instId":"{symbol}","baseCcy":"{base}","quoteCcy":"{quote}",'
            f'"settleCcy":"","ctVal":"","ctType":"","state":"live","lotSz":"0.00000001",'
            f'"tickSz":"0.1"}}'
        )
    return (
        f'{{"instType":"SWAP","instId":"{symbol}","instFamily":"{base}-{quote}","baseCcy":"",'
        f'"quoteCcy":"","settleCcy":"{quote}","ctVal":"0.01","ctValCcy":"{base}",'
        f'"ctType":"linear","state":"live","lotSz":"0.01","tickSz":"0.1"}}'
    )


def _tickers(request: RestRequest, desk: Desk) -> Iterable[str]:
    kind = _wanted_type(request)
    symbols = (symbol for symbol in desk.symbols if instrument_type(symbol) == kind)
    found = (desk.ticker(symbol) for symbol in symbols)
    return [ticker_row(each) for each in found if each is not None]


def _ticker(request: RestRequest, desk: Desk) -> Iterable[str]:
    found = desk.ticker(_known_symbol(request, desk))
    return [] if found is None else [ticker_row(found)]


def _candles(request: RestRequest, desk: Desk) -> Iterable[str]:
    """Give the newest first; ``after`` is older than, ``before`` newer than."""
    symbol = _known_symbol(request, desk)
    interval = BARS.get(request.query.get("bar", "1m"))
    if interval is None:
        raise _WrongRequestError(51000, "Parameter bar error")
    after, before = request.moment("after"), request.moment("before")
    found = desk.klines(
        symbol,
        interval,
        end=None if after is None else after - 1,
        limit=request.number("limit", 100, most=300),
    )
    newer = (each for each in reversed(found) if before is None or each.opened_at > before)
    return [candle_row(each) for each in newer]


def _trades(request: RestRequest, desk: Desk) -> Iterable[str]:
    limit = request.number("limit", 100, most=500)
    found = desk.trades(_known_symbol(request, desk), limit=limit)
    return [_trade(each) for each in reversed(found)]


def _history_trades(request: RestRequest, desk: Desk) -> Iterable[str]:
    """Page by trade id (type 1); by time (type 2) among the latest only."""
    symbol = _known_symbol(request, desk)
    limit = request.number("limit", 100, most=100)
    after, before = request.moment("after"), request.moment("before")
    if request.query.get("type", "1") == "1":
        found = desk.trades(symbol, end_id=after, limit=limit)
        newer = [each for each in found if before is None or each.trade_id > before]
    else:
        found = desk.trades(symbol, limit=5000)
        older = [each for each in found if after is None or each.at < after]
        newer = [each for each in older if before is None or each.at > before][-limit:]
    return [_trade(each) for each in reversed(newer)]


def _trade(trade: Trade) -> str:
    side = "sell" if trade.is_buyer_maker else "buy"
    return (
        f'{{"instId":"{trade.symbol}","side":"{side}","sz":"{trade.quantity:.8f}",'
        f'"px":"{trade.price:.8f}","tradeId":"{trade.trade_id}","ts":"{trade.at}"}}'
    )


def _book(request: RestRequest, desk: Desk) -> Iterable[str]:
    symbol = _known_symbol(request, desk)
    most = 5000 if request.path.endswith("books-full") else 400
    book = desk.book(symbol, request.number("sz", 1, most=most))
    return [] if book is None else [_book_row(book)]


def _book_row(book: Depth) -> str:
    return (
        f'{{"asks":[{levels(book.asks)}],"bids":[{levels(book.bids)}],"ts":"{book.at}",'
        f'"seqId":{book.last_id}}}'
    )


def _wanted_type(request: RestRequest) -> str:
    kind = request.query.get("instType", "")
    if kind not in ("SPOT", "SWAP", "FUTURES", "OPTION", "MARGIN"):
        raise _WrongRequestError(51000, "Parameter instType error")
    return kind


def _known_symbol(request: RestRequest, desk: Desk) -> str:
    symbol = request.query.get("instId", "")
    if not symbol:
        raise _WrongRequestError(50014, "Parameter instId cannot be empty")
    if symbol not in desk.symbols:
        raise _WrongRequestError(51001, "Instrument ID doesn't exist.")
    return symbol


_ANSWERS: dict[str, Callable[[RestRequest, Desk], Iterable[str]]] = {
    "/api/v5/public/time": _time,
    "/api/v5/public/instruments": _instruments,
    "/api/v5/market/tickers": _tickers,
    "/api/v5/market/ticker": _ticker,
    "/api/v5/market/candles": _candles,
    "/api/v5/market/history-candles": _candles,
    "/api/v5/market/trades": _trades,
    "/api/v5/market/history-trades": _history_trades,
    "/api/v5/market/books": _book,
    "/api/v5/market/books-full": _book,
}
