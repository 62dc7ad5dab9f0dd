"""The data messages of Binance USD-M futures.

Thousands of these are made in a second, and the values need no escaping: hence no json.dumps.
"""

from __future__ import annotations

from wsresilient.testing.events import Depth, Event, Kline, Mark, Quote, Ticker, Trade
from wsresilient.testing.formats.binance_messages import candle, mini_ticker, truth
from wsresilient.testing.rest_shapes.binance import book_number, levels

__all__ = ["futures_payload"]

_DAY = 86_400_000


def futures_payload(event: Event, stream: str) -> str:
    """Write an event as its stream does.

    :raises TypeError: no stream of the futures tells of such a thing.
    """
    if isinstance(event, Trade):
        return _aggregate(event) if stream.endswith("@aggTrade") else _trade(event)
    if isinstance(event, Ticker):
        payload = mini_ticker(event) if "miniTicker" in stream else _ticker(event)
        return f"[{payload}]" if stream.startswith("!") else payload
    if isinstance(event, Quote):
        return _book_ticker(event)
    if isinstance(event, Kline):
        return candle(event, stream.partition("@kline_")[2])
    if isinstance(event, Depth):
        return _depth(event)
    if isinstance(event, Mark):
        return f"[{_mark(event)}]" if stream.startswith("!") else _mark(event)
    raise TypeError(f"no stream of Binance futures tells of {type(event).__name__}")


def _trade(trade: Trade) -> str:
    return (
        f'{{"e":"trade","E":{trade.at},"T":{trade.at},"s":"{trade.symbol}","t":{trade.trade_id},'
        f'"p":"{trade.price:.8f}","q":"{trade.quantity:.8f}","X":"MARKET",'
        f'"m":{truth(trade.is_buyer_maker)}}}'
    )


def _aggregate(trade: Trade) -> str:
    return (
        f'{{"e":"aggTrade","E":{trade.at},"s":"{trade.symbol}","a":{trade.trade_id},'
        f'"p":"{trade.price:.8f}","q":"{trade.quantity:.8f}","nq":"{trade.quantity:.8f}",'
        f'"f":{trade.trade_id},"l":{trade.trade_id},"T":{trade.at},'
        f'"m":{truth(trade.is_buyer_maker)},"st":1}}'
    )


def _ticker(ticker: Ticker) -> str:
    change = ticker.last_price - ticker.first_price
    average = ticker.turnover / ticker.volume if ticker.volume else ticker.last_price
    first_id = ticker.last_trade_id - ticker.trade_count + 1
    return (
        f'{{"e":"24hrTicker","E":{ticker.at},"s":"{ticker.symbol}","p":"{change:.8f}",'
        f'"P":"{change / ticker.first_price * 100:.3f}","w":"{average:.8f}",'
        f'"c":"{ticker.last_price:.8f}","Q":"0.01000000","o":"{ticker.first_price:.8f}",'
        f'"h":"{ticker.high:.8f}","l":"{ticker.low:.8f}","v":"{ticker.volume:.8f}",'
        f'"q":"{ticker.turnover:.8f}","O":{ticker.at - _DAY},"C":{ticker.at},"F":{first_id},'
        f'"L":{ticker.last_trade_id},"n":{ticker.trade_count},"st":1}}'
    )


def _book_ticker(quote: Quote) -> str:
    return (
        f'{{"e":"bookTicker","u":{quote.update_id},"s":"{quote.symbol}","ps":"{quote.symbol}",'
        f'"b":"{quote.bid:.8f}","B":"{quote.bid_size:.8f}","a":"{quote.ask:.8f}",'
        f'"A":"{quote.ask_size:.8f}","T":{quote.at},"E":{quote.at},"st":1}}'
    )


def _mark(mark: Mark) -> str:
    return (
        f'{{"e":"markPriceUpdate","E":{mark.at},"s":"{mark.symbol}","p":"{mark.mark_price:.8f}",'
        f'"i":"{mark.index_price:.8f}","P":"{mark.mark_price:.8f}",'
        f'"r":"{mark.funding_rate:.8f}","T":{mark.funding_at},"st":1}}'
    )


def _depth(depth: Depth) -> str:
    """Write a diff; the first levels are in the same shape."""
    previous = book_number(depth.previous_id)
    last = book_number(depth.last_id)
    first = last if depth.is_snapshot else book_number(depth.first_id) - 3
    return (
        f'{{"e":"depthUpdate","E":{depth.at},"T":{depth.at},"s":"{depth.symbol}",'
        f'"ps":"{depth.symbol}","st":1,"U":{first},"u":{last},"pu":{previous},'
        f'"b":[{levels(depth.bids)}],"a":[{levels(depth.asks)}]}}'
    )
