"""How topics are written where an exchange has no notation of its own, and URLs taken apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

__all__ = ["join_topic", "split_topic", "split_url", "with_default_path"]


def join_topic(channel: str, symbol: str | None, parameters: Mapping[str, Any]) -> str:
    """Write a topic as "channel:symbol?name=value"; parameters in the order of their names.

    >>> join_topic("tickers", "BTC-USDT", {})
    'tickers:BTC-USDT'
    >>> join_topic("orders", None, {"instType": "ANY"})
    'orders?instType=ANY'
    """
    topic = channel if symbol is None else f"{channel}:{symbol}"
    pairs = [f"{name}={parameters[name]}" for name in sorted(parameters)]
    return f"{topic}?{'&'.join(pairs)}" if pairs else topic


def split_topic(topic: str) -> tuple[str, str | None, dict[str, str]]:
    """Take what :func:`join_topic` wrote apart: channel, symbol, parameters.

    >>> split_topic("kline:BTC_USDT?interval=Min60")
    ('kline', 'BTC_USDT', {'interval': 'Min60'})
    """
    head, _, query = topic.partition("?")
    channel, colon, symbol = head.partition(":")
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return channel, symbol if colon else None, {name: value for name, _, value in pairs}


def split_url(url: Any) -> SplitResult | None:
    """Take a URL apart; None: it is none, and whoever connects will say so."""
    try:
        return urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        return None


def with_default_path(url: Any, path: str) -> Any:
    """Give a URL of the server alone a path; what has one, or is no URL, is left as it is."""
    parts = split_url(url)
    if parts is None or parts.path.strip("/"):
        return url
    return urlunsplit(parts._replace(path=path))
