"""The data messages of Bybit v5, in the spelling of each market's socket.

Thousands of these are made in a second, and the values need no escaping: hence no json.dumps. The
order of fields differs as it does there: ``ts`` comes before ``type`` on spot and for level 1.
"""

from __future__ import annotations

from collections.abc import Iterable

from wsresilient.testing.events import Depth, Event, Kline, Level, Ticker, Trade
from wsresilient.testing.rest_shapes.bybit import INTERVALS, sequence_number, trade_id

__all__ = ["data_message"]

_INTERVAL_NAMES = {seconds: name for name, seconds in INTERVALS.items()}

_EIGHT_HOURS = 28_800_000


def data_message(event: Event, topic: str, market: str) -> str:
    """Make the message of an event.

    :param market: "linear", "inverse", "spot" or "option".
    :raises TypeError: Bybit has no such event.
    """
    if isinstance(event, Trade):
        return _trade(event, topic, market)
    if isinstance(event, Depth):
        return _order_book(event, topic, market)
    if isinstance(event, Ticker):
        return _tickers(event, topic, market)
    if isinstance(event, Kline):
        return _kline(event, topic)
    raise TypeError(f"Bybit has no message for {type(event).__name__}")


def _levels(side: Iterable[Level]) -> str:
    """Write one side of an order book; a level without a quantity is "0"."""
    return ",".join(
        [
            f'["{price:.8f}","{size:.8f}"]' if size else f'["{price:.8f}","0"]'
            for price, size in side
        ]
    )


def _trade(trade: Trade, topic: str, market: str) -> str:
    extra = '"BT":false,"RPI":false' if market == "spot" else '"L":"PlusTick","BT":false'
    head = (
        f'"ts":{trade.at},"type":"snapshot"'
        if market == "spot"
        else f'"type":"snapshot","ts":{trade.at}'
    )
    return (
        f'{{"topic":"{topic}",{head},"data":[{{"T":{trade.at},"s":"{trade.symbol}",'
        f'"S":"{"Sell" if trade.is_buyer_maker else "Buy"}","v":"{trade.quantity:.8f}",'
        f'"p":"{trade.price:.8f}","i":"{trade_id(trade, market)}",{extra},'
        f'"seq":{sequence_number(trade.trade_id)}}}]}}'
    )


def _order_book(depth: Depth, topic: str, market: str) -> str:
    kind = "snapshot" if depth.is_snapshot else "delta"
    head = f'"type":"{kind}","ts":{depth.at}'
    if market == "spot" or topic.startswith("orderbook.1."):
        head = f'"ts":{depth.at},"type":"{kind}"'
    return (
        f'{{"topic":"{topic}",{head},"data":{{"s":"{depth.symbol}","b":[{_levels(depth.bids)}],'
        f'"a":[{_levels(depth.asks)}],"u":{depth.message_id},'
        f'"seq":{sequence_number(depth.last_id)}}},"cts":{depth.at}}}'
    )


def _kline(kline: Kline, topic: str) -> str:
    return (
        f'{{"topic":"{topic}","data":[{{"start":{kline.opened_at},"end":{kline.closed_at},'
        f'"interval":"{_INTERVAL_NAMES[kline.interval]}","open":"{kline.open:.8f}",'
        f'"close":"{kline.close:.8f}","high":"{kline.high:.8f}","low":"{kline.low:.8f}",'
        f'"volume":"{kline.volume:.8f}","turnover":"{kline.turnover:.8f}",'
        f'"confirm":{"true" if kline.is_closed else "false"},"timestamp":{kline.at}}}],'
        f'"ts":{kline.at},"type":"snapshot"}}'
    )


def _tickers(ticker: Ticker, topic: str, market: str) -> str:
    if market == "spot":
        return _spot_ticker(ticker, topic)
    if market == "option":
        return _option_ticker(ticker, topic)
    return _contract_ticker(ticker, topic)


def _change(ticker: Ticker) -> float:
    return (ticker.last_price - ticker.first_price) / ticker.first_price


def _contract_ticker(ticker: Ticker, topic: str) -> str:
    """Write everything at first, and then without what has not changed."""
    unchanged = ""
    if ticker.is_snapshot:
        funding_at = (ticker.at // _EIGHT_HOURS + 1) * _EIGHT_HOURS
        unchanged = (
            f'"prevPrice24h":"{ticker.first_price:.8f}","prevPrice1h":"{ticker.first_price:.8f}",'
            f'"openInterest":"68744.761","openInterestValue":"1183601235.91",'
            f'"nextFundingTime":"{funding_at}","fundingRate":"-0.000212",'
        )
    return (
        f'{{"topic":"{topic}","type":"{"snapshot" if ticker.is_snapshot else "delta"}",'
        f'"data":{{"symbol":"{ticker.symbol}","tickDirection":"PlusTick",'
        f'"price24hPcnt":"{_change(ticker):.6f}","lastPrice":"{ticker.last_price:.8f}",{unchanged}'
        f'"highPrice24h":"{ticker.high:.8f}","lowPrice24h":"{ticker.low:.8f}",'
        f'"markPrice":"{ticker.last_price:.8f}","indexPrice":"{ticker.last_price:.8f}",'
        f'"turnover24h":"{ticker.turnover:.8f}","volume24h":"{ticker.volume:.8f}",'
        f'"bid1Price":"{ticker.bid:.8f}","bid1Size":"84.489",'
        f'"ask1Price":"{ticker.ask:.8f}","ask1Size":"83.020"}},'
        f'"cs":{sequence_number(ticker.update_id)},"ts":{ticker.at}}}'
    )


def _spot_ticker(ticker: Ticker, topic: str) -> str:
    return (
        f'{{"topic":"{topic}","ts":{ticker.at},"type":"snapshot","cs":{sequence_number(ticker.update_id)},'
        f'"data":{{"symbol":"{ticker.symbol}","lastPrice":"{ticker.last_price:.8f}",'
        f'"highPrice24h":"{ticker.high:.8f}","lowPrice24h":"{ticker.low:.8f}",'
        f'"prevPrice24h":"{ticker.first_price:.8f}","volume24h":"{ticker.volume:.8f}",'
        f'"turnover24h":"{ticker.turnover:.8f}","price24hPcnt":"{_change(ticker):.4f}",'
        f'"usdIndexPrice":"{ticker.last_price:.8f}"}}}}'
    )


def _option_ticker(ticker: Ticker, topic: str) -> str:
    return (
        f'{{"id":"{topic}-{sequence_number(ticker.update_id)}-{ticker.at}","topic":"{topic}",'
        f'"ts":{ticker.at},"data":{{"symbol":"{ticker.symbol}","bidPrice":"{ticker.bid:.8f}",'
        f'"bidSize":"5.1","bidIv":"0.7479","askPrice":"{ticker.ask:.8f}","askSize":"8.5",'
        f'"askIv":"0.8288","lastPrice":"{ticker.last_price:.8f}","highPrice24h":"{ticker.high:.8f}",'
        f'"lowPrice24h":"{ticker.low:.8f}","markPrice":"{ticker.last_price:.8f}",'
        f'"indexPrice":"{ticker.last_price:.8f}","turnover24h":"{ticker.turnover:.8f}",'
        f'"volume24h":"{ticker.volume:.8f}","change24h":"{_change(ticker):.6f}"}},'
        f'"type":"snapshot"}}'
    )
