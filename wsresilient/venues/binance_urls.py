"""Where Binance is: its servers by market and environment, and the paths of its connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlunsplit

from .base import split_url
from .binance_streams import PRIVATE, USER_DATA, is_market_stream

__all__ = [
    "ENVIRONMENTS",
    "MARKETS",
    "SERVERS",
    "Servers",
    "is_raw",
    "listen_keys_in",
    "topics_in",
    "with_path",
]

MARKETS = ("spot", "futures")
ENVIRONMENTS = ("live", "testnet", "demo")

_ROUTES = ("public", "market", "private")
_API_PATH = "/ws-api/v3"


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of a market in an environment.

    :ivar streams: for streams, in failover order, without a path.
    :ivar api: for the WebSocket API of spot, likewise.
    :ivar rest: for REST.
    """

    streams: tuple[str, ...]
    rest: str
    api: tuple[str, ...] = ()


SERVERS = {
    ("spot", "live"): Servers(
        streams=(
            "wss://stream.binance.com:9443",
            "wss://stream.binance.com:443",
            # Market data only; the user's account is on the WebSocket API anyway.
            "wss://data-stream.binance.vision",
        ),
        api=("wss://ws-api.binance.com:443", "wss://ws-api.binance.com:9443"),
        rest="https://api.binance.com",
    ),
    ("spot", "testnet"): Servers(
        streams=(
            "wss://stream.testnet.binance.vision",
            "wss://stream.testnet.binance.vision:9443",
        ),
        api=("wss://ws-api.testnet.binance.vision",),
        rest="https://testnet.binance.vision",
    ),
    ("spot", "demo"): Servers(
        streams=("wss://demo-stream.binance.com", "wss://demo-stream.binance.com:9443"),
        api=("wss://demo-ws-api.binance.com",),
        rest="https://demo-api.binance.com",
    ),
    ("futures", "live"): Servers(
        streams=("wss://fstream.binance.com",), rest="https://fapi.binance.com"
    ),
    # Testnet and demo of the futures are one system under several names.
    ("futures", "testnet"): Servers(
        streams=("wss://fstream.binancefuture.com", "wss://stream.binancefuture.com"),
        rest="https://testnet.binancefuture.com",
    ),
    ("futures", "demo"): Servers(
        streams=("wss://demo-fstream.binance.com", "wss://fstream.binancefuture.com"),
        rest="https://demo-fapi.binance.com",
    ),
}


def with_path(url: Any, *, market: str, group: str | None, listen_key: str | None) -> Any:
    """Give a URL the path that a group of topics needs.

    A URL of the server alone gets it, and so does one of Binance's own paths that is another
    group's: on the wrong route of the futures a stream is acknowledged and stays silent. Any other
    path, such as a gateway's, is left as it is, and so is any path where there is no group yet.
    What is no URL is left too, for whoever connects to tell.
    """
    parts = split_url(url)
    if parts is None:
        return url
    segments = [segment for segment in parts.path.split("/") if segment]
    if not segments:
        path = _own_path(market, group, listen_key)
        return urlunsplit(parts._replace(path=path))
    if group is None or (market == "spot" and group != PRIVATE):
        return url  # spot has one place for all market streams
    if segments[0] in _ROUTES:
        segments = segments[1:]
    if not segments or segments[0] not in ("ws", "stream"):
        return url
    has_own_key = listen_key is None and market == "futures" and bool(listen_keys_in(url))
    if group == PRIVATE and not has_own_key:
        path = _own_path(market, group, listen_key)
        query = "" if "streams=" in parts.query else parts.query
        return urlunsplit(parts._replace(path=path, query=query))
    return urlunsplit(parts._replace(path="/".join(["", group, *segments])))


def _own_path(market: str, group: str | None, listen_key: str | None) -> str:
    # /stream, not /ws: partial depth has no symbol but in the envelope's stream name.
    if market == "spot":
        return _API_PATH if group == PRIVATE else "/stream"
    if group == PRIVATE:
        key = quote(listen_key, safe="") if listen_key else ""
        return f"/private/ws/{key}".rstrip("/")
    return f"/{group or 'market'}/stream"


def is_raw(url: str) -> bool:
    """Tell whether events come without the envelope in which their stream is named."""
    parts = split_url(url)
    return parts is not None and "ws" in parts.path.split("/")


def topics_in(url: str) -> tuple[str, ...]:
    """Give the streams in ``/ws/<a>/<b>`` and ``/stream?streams=<a>/<b>``."""
    # Where a listen key stands, nobody is shown it.
    topics = (name if is_market_stream(name) else USER_DATA for name in _names_in(url))
    return tuple(dict.fromkeys(topics))


def listen_keys_in(url: str) -> tuple[str, ...]:
    """Give the listen keys that stand in a URL in place of a stream."""
    return tuple(name for name in _names_in(url) if not is_market_stream(name))


def _names_in(url: str) -> list[str]:
    parts = split_url(url)
    if parts is None:
        return []
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    if segments[:1] and segments[0] in _ROUTES:
        segments = segments[1:]
    if segments[:1] == ["ws"]:
        names = segments[1:]
    elif segments == ["stream"]:
        query = parts.query.replace("+", "%2B")  # as in "kline_1d@+08:00": it stands for no space
        names = "/".join(parse_qs(query).get("streams", [])).split("/")
    else:
        names = []
    return [name for name in names if name]
