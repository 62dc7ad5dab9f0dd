"""The data messages of MEXC futures. Numbers are JSON numbers, quantities are whole contracts.

Thousands of these are made in a second, and the values need no escaping: hence no json.dumps. As
there, the order of fields differs from channel to channel.
"""

from __future__ import annotations

from collections.abc import Iterable

from wsresilient.testing.events import Depth, Event, Kline, Level, Mark, Ticker, Trade
from wsresilient.testing.rest_shapes.mexc import INTERVALS, contracts

__all__ = ["data_message"]

_INTERVAL_NAMES = {seconds: name for name, seconds in INTERVALS.items()}


def data_message(event: Event, topic: str) -> str:
    """Make the message of an event.

    :param topic: as in :mod:`wsresilient.testing.formats.mexc`.
    :raises TypeError: MEXC has no such event.
    """
    if isinstance(event, Trade):
        return _deals(event, topic)
    if isinstance(event, Depth):
        return _full_depth(event) if event.is_snapshot else _depth(event, topic)
    if isinstance(event, Ticker):
        return _tickers(event) if topic == "tickers" else _ticker(event)
    if isinstance(event, Kline):
        return _kline(event)
    if isinstance(event, Mark):
        return _mark(event, topic)
    raise TypeError(f"MEXC has no message for {type(event).__name__}")


def _deal(trade: Trade) -> str:
    """Write a trade: T is 1 when the taker bought, 2 when he sold; O and M are always the same."""
    return (
        f'{{"p":{trade.price:.8f},"v":{contracts(trade.quantity)},'
        f'"T":{2 if trade.is_buyer_maker else 1},"O":3,"M":1,"t":{trade.at},"i":{trade.trade_id}}}'
    )


def _levels(side: Iterable[Level]) -> str:
    """Write one side of an order book: price, contracts, number of orders."""
    return ",".join([f"[{price!r},{contracts(size)},{1 if size else 0}]" for price, size in side])


def _deals(trade: Trade, topic: str) -> str:
    """Write a list of one trade, or, for who wants no aggregation, the trade by itself."""
    data = _deal(trade) if topic.endswith("?compress=false") else f"[{_deal(trade)}]"
    return f'{{"symbol":"{trade.symbol}","data":{data},"channel":"push.deal","ts":{trade.at}}}'


def _depth(depth: Depth, topic: str) -> str:
    span = f'"end":{depth.last_id},"begin":{depth.first_id},'
    if topic.endswith("?compress=false"):
        span = ""
    return (
        f'{{"symbol":"{depth.symbol}","data":{{"cts":{depth.at},"asks":[{_levels(depth.asks)}],'
        f'"bids":[{_levels(depth.bids)}],{span}"version":{depth.last_id}}},'
        f'"channel":"push.depth","ts":{depth.at}}}'
    )


def _full_depth(depth: Depth) -> str:
    return (
        f'{{"symbol":"{depth.symbol}","data":{{"cts":{depth.at},"asks":[{_levels(depth.asks)}],'
        f'"bids":[{_levels(depth.bids)}],"version":{depth.last_id}}},'
        f'"channel":"push.depth.full","ts":{depth.at}}}'
    )


def _kline(kline: Kline) -> str:
    """Write a candle: it opens at a time in seconds, and nothing says that it is closed."""
    return (
        f'{{"channel":"push.kline","data":{{"a":{kline.turnover:.8f},"c":{kline.close:.8f},'
        f'"h":{kline.high:.8f},"interval":"{_INTERVAL_NAMES[kline.interval]}","l":{kline.low:.8f},'
        f'"o":{kline.open:.8f},"q":{contracts(kline.volume)},"symbol":"{kline.symbol}",'
        f'"t":{kline.opened_at // 1000}}},"symbol":"{kline.symbol}","ts":{kline.at}}}'
    )


def _ticker(ticker: Ticker) -> str:
    change = ticker.last_price - ticker.first_price
    return (
        f'{{"channel":"push.ticker","data":{{"ask1":{ticker.ask:.8f},"bid1":{ticker.bid:.8f},'
        f'"contractId":1,"fairPrice":{ticker.last_price:.8f},"fundingRate":0.0001,'
        f'"high24Price":{ticker.high:.8f},"indexPrice":{ticker.last_price:.8f},'
        f'"lastPrice":{ticker.last_price:.8f},"lower24Price":{ticker.low:.8f},'
        f'"maxBidPrice":{ticker.last_price * 1.03:.8f},'
        f'"minAskPrice":{ticker.last_price * 0.97:.8f},'
        f'"riseFallRate":{change / ticker.first_price:.4f},"riseFallValue":{change:.8f},'
        f'"symbol":"{ticker.symbol}","timestamp":{ticker.at},"holdVol":2284742,'
        f'"volume24":{contracts(ticker.volume)}}},"symbol":"{ticker.symbol}","ts":{ticker.at}}}'
    )


def _tickers(ticker: Ticker) -> str:
    """Write the list of all symbols, of which one is enough here."""
    change = (ticker.last_price - ticker.first_price) / ticker.first_price
    return (
        f'{{"channel":"push.tickers","data":[{{"fairPrice":{ticker.last_price:.8f},'
        f'"lastPrice":{ticker.last_price:.8f},"riseFallRate":{change:.4f},'
        f'"symbol":"{ticker.symbol}","volume24":{contracts(ticker.volume)}}}],"ts":{ticker.at}}}'
    )


def _mark(mark: Mark, topic: str) -> str:
    channel = topic.partition(":")[0]
    if channel == "funding.rate":
        data = f'"rate":{mark.funding_rate:.6f},"nextSettleTime":{mark.funding_at}'
    else:
        price = mark.index_price if channel == "index.price" else mark.mark_price
        data = f'"price":{price:.8f}'
    return (
        f'{{"symbol":"{mark.symbol}","data":{{"symbol":"{mark.symbol}",{data}}},'
        f'"channel":"push.{channel}","ts":{mark.at}}}'
    )
