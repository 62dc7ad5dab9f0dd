"""The data messages of OKX.

Thousands of these are made in a second, and the values need no escaping: hence no json.dumps.
"""

from __future__ import annotations

from wsresilient.testing.events import Depth, Event, Kline, Mark, Ticker, Trade
from wsresilient.testing.formats.okx_channels import argument_of
from wsresilient.testing.rest_shapes.okx import candle_row, instrument_type, levels, ticker_row

__all__ = ["okx_message"]

_DAY = 86_400_000


def okx_message(event: Event, topic: str) -> str:
    """Write an event as its channel does.

    :raises TypeError: no channel of OKX tells of such a thing.
    """
    argument = argument_of(topic)
    channel = argument["channel"]
    pairs = ",".join([f'"{name}":"{value}"' for name, value in argument.items()])
    head = f'{{"arg":{{{pairs}}},'
    if isinstance(event, Depth):
        return head + _depth(event, channel)
    return f'{head}"data":[{_row(event, channel)}]}}'


def _row(event: Event, channel: str) -> str:
    if isinstance(event, Trade):
        return _trade(event, channel)
    if isinstance(event, Ticker):
        return ticker_row(event)
    if isinstance(event, Kline):
        return candle_row(event)
    if isinstance(event, Mark):
        return _mark(event, channel)
    raise TypeError(f"no channel of OKX tells of {type(event).__name__}")


def _trade(trade: Trade, channel: str) -> str:
    side = "sell" if trade.is_buyer_maker else "buy"
    head = (
        f'{{"instId":"{trade.symbol}","tradeId":"{trade.trade_id}","px":"{trade.price:.8f}",'
        f'"sz":"{trade.quantity:.8f}","side":"{side}",'
    )
    if channel == "trades-all":
        return f'{head}"source":"0","ts":"{trade.at}"}}'
    return f'{head}"ts":"{trade.at}","count":"1","source":"0","seqId":{trade.trade_id}}}'


def _depth(depth: Depth, channel: str) -> str:
    sides = f'"asks":[{levels(depth.asks)}],"bids":[{levels(depth.bids)}]'
    if channel == "books5":
        return (
            f'"data":[{{{sides},"instId":"{depth.symbol}","ts":"{depth.at}",'
            f'"seqId":{depth.last_id}}}]}}'
        )
    if channel == "bbo-tbt":
        return f'"data":[{{{sides},"ts":"{depth.at}","seqId":{depth.last_id}}}]}}'
    action, previous = ("snapshot", -1) if depth.is_snapshot else ("update", depth.previous_id)
    return (
        f'"action":"{action}","data":[{{{sides},"ts":"{depth.at}","checksum":0,'
        f'"prevSeqId":{previous},"seqId":{depth.last_id}}}]}}'
    )


def _mark(mark: Mark, channel: str) -> str:
    kind = instrument_type(mark.symbol)
    if channel == "funding-rate":
        return (
            f'{{"fundingRate":"{mark.funding_rate:.8f}","fundingTime":"{mark.funding_at}",'
            f'"instId":"{mark.symbol}","instType":"{kind}","method":"current_period",'
            f'"nextFundingRate":"","nextFundingTime":"{mark.funding_at + _DAY // 3}",'
            f'"ts":"{mark.at}"}}'
        )
    if channel == "index-tickers":
        price = f"{mark.index_price:.8f}"
        return (
            f'{{"instId":"{mark.symbol}","idxPx":"{price}","high24h":"{price}",'
            f'"low24h":"{price}","open24h":"{price}","sodUtc0":"{price}","sodUtc8":"{price}",'
            f'"ts":"{mark.at}"}}'
        )
    return (
        f'{{"instType":"{kind}","instId":"{mark.symbol}","markPx":"{mark.mark_price:.8f}",'
        f'"ts":"{mark.at}"}}'
    )
