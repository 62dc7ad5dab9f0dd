"""The data messages of Binance spot.

Thousands of these are made in a second, and the values need no escaping: hence no json.dumps.
"""

from __future__ import annotations

from wsresilient.testing.events import Depth, Event, Kline, Quote, Ticker, Trade
from wsresilient.testing.rest_shapes.binance import levels

__all__ = ["candle", "mini_ticker", "spot_payload", "truth"]

_DAY = 86_400_000


def spot_payload(event: Event, stream: str) -> str:
    """Write an event as its stream does.

    :raises TypeError: no stream of spot tells of such a thing.
    """
    if isinstance(event, Trade):
        return _aggregate(event) if stream.endswith("@aggTrade") else _trade(event)
    if isinstance(event, Ticker):
        if stream.startswith("!"):
            return f"[{mini_ticker(event)}]"
        return mini_ticker(event) if stream.endswith("@miniTicker") else _ticker(event)
    if isinstance(event, Quote):
        return _book_ticker(event)
    if isinstance(event, Kline):
        interval = stream.partition("@kline_")[2].partition("@")[0]
        return candle(event, interval)
    if isinstance(event, Depth):
        return _partial_depth(event) if event.is_snapshot else _depth(event)
    raise TypeError(f"no stream of Binance spot tells of {type(event).__name__}")


def truth(value: bool) -> str:
    """Write a boolean."""
    return "true" if value else "false"


def candle(kline: Kline, interval: str) -> str:
    """Write a candle; spot and futures are the same."""
    return (
        f'{{"e":"kline","E":{kline.at},"s":"{kline.symbol}","k":{{"t":{kline.opened_at},'
        f'"T":{kline.closed_at},"s":"{kline.symbol}","i":"{interval}",'
        f'"f":{kline.first_trade_id},"L":{kline.last_trade_id},"o":"{kline.open:.8f}",'
        f'"c":"{kline.close:.8f}","h":"{kline.high:.8f}","l":"{kline.low:.8f}",'
        f'"v":"{kline.volume:.8f}","n":{kline.trade_count},"x":{truth(kline.is_closed)},'
        f'"q":"{kline.turnover:.8f}","V":"{kline.volume / 2:.8f}","Q":"{kline.turnover / 2:.8f}",'
        f'"B":"0"}}}}'
    )


def mini_ticker(ticker: Ticker) -> str:
    """Write the short ticker; spot and futures are the same."""
    return (
        f'{{"e":"24hrMiniTicker","E":{ticker.at},"s":"{ticker.symbol}",'
        f'"c":"{ticker.last_price:.8f}","o":"{ticker.first_price:.8f}","h":"{ticker.high:.8f}",'
        f'"l":"{ticker.low:.8f}","v":"{ticker.volume:.8f}","q":"{ticker.turnover:.8f}"}}'
    )


def _trade(trade: Trade) -> str:
    return (
        f'{{"e":"trade","E":{trade.at},"s":"{trade.symbol}","t":{trade.trade_id},'
        f'"p":"{trade.price:.8f}","q":"{trade.quantity:.8f}","T":{trade.at},'
        f'"m":{truth(trade.is_buyer_maker)},"M":true}}'
    )


def _aggregate(trade: Trade) -> str:
    return (
        f'{{"e":"aggTrade","E":{trade.at},"s":"{trade.symbol}","a":{trade.trade_id},'
        f'"p":"{trade.price:.8f}","q":"{trade.quantity:.8f}","f":{trade.trade_id},'
        f'"l":{trade.trade_id},"T":{trade.at},"m":{truth(trade.is_buyer_maker)},"M":true}}'
    )


def _ticker(ticker: Ticker) -> str:
    change = ticker.last_price - ticker.first_price
    average = ticker.turnover / ticker.volume if ticker.volume else ticker.last_price
    first_id = ticker.last_trade_id - ticker.trade_count + 1
    return (
        f'{{"e":"24hrTicker","E":{ticker.at},"s":"{ticker.symbol}","p":"{change:.8f}",'
        f'"P":"{change / ticker.first_price * 100:.3f}","w":"{average:.8f}",'
        f'"x":"{ticker.first_price:.8f}","c":"{ticker.last_price:.8f}","Q":"0.01000000",'
        f'"b":"{ticker.bid:.8f}","B":"1.00000000","a":"{ticker.ask:.8f}","A":"1.00000000",'
        f'"o":"{ticker.first_price:.8f}","h":"{ticker.high:.8f}","l":"{ticker.low:.8f}",'
        f'"v":"{ticker.volume:.8f}","q":"{ticker.turnover:.8f}","O":{ticker.at - _DAY},'
        f'"C":{ticker.at},"F":{first_id},"L":{ticker.last_trade_id},"n":{ticker.trade_count}}}'
    )


def _book_ticker(quote: Quote) -> str:
    return (
        f'{{"u":{quote.update_id},"s":"{quote.symbol}","b":"{quote.bid:.8f}",'
        f'"B":"{quote.bid_size:.8f}","a":"{quote.ask:.8f}","A":"{quote.ask_size:.8f}"}}'
    )


def _depth(depth: Depth) -> str:
    return (
        f'{{"e":"depthUpdate","E":{depth.at},"s":"{depth.symbol}","U":{depth.first_id},'
        f'"u":{depth.last_id},"b":[{levels(depth.bids)}],"a":[{levels(depth.asks)}]}}'
    )


def _partial_depth(depth: Depth) -> str:
    return (
        f'{{"lastUpdateId":{depth.last_id},"bids":[{levels(depth.bids)}],'
        f'"asks":[{levels(depth.asks)}]}}'
    )
