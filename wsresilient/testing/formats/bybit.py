"""How Bybit v5 speaks: a socket for each market, each with acknowledgements of its own shape.

After https://bybit-exchange.github.io/docs/v5/ws/connect. As surprising here as there: one bad
topic refuses its whole request, an acknowledgement does not name its topics (options do), a topic
that is subscribed already is an error, and a pong may carry the operation "ping".

Where no answer of the real one was ever published (too many characters of topics, a wrong
signature), the text is made up; its shape is not.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from wsresilient.core.credentials import Credentials
from wsresilient.errors import ConfigurationError
from wsresilient.testing.events import Event, Kind
from wsresilient.testing.formats.base import (
    SILENT,
    Action,
    Answer,
    Close,
    ExchangeFormat,
    Heartbeat,
    Login,
    Refusal,
    Reply,
    Request,
    Session,
    Stream,
    Subscribe,
    Unsubscribe,
)
from wsresilient.testing.formats.bybit_messages import data_message
from wsresilient.testing.limits import Limit, Rate, VenueLimits
from wsresilient.testing.rest_shapes.bybit import INTERVALS, BybitShape

__all__ = ["BybitFormat"]

_PRIVATE = "private"
_DEPTHS = {
    "linear": ("1", "50", "200", "1000"),
    "inverse": ("1", "50", "200", "1000"),
    "spot": ("1", "50", "200", "1000"),
    "option": ("25", "100"),
}
# Channels that there are and that are silent here: what they tell hardly ever happens.
_RARE = {
    "linear": ("adlAlert", "allLiquidation", "insurance", "priceLimit"),
    "inverse": ("adlAlert", "allLiquidation", "insurance", "priceLimit"),
    "spot": ("priceLimit",),
}
_SYMBOLS = {
    "linear": ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT"),
    "inverse": ("BTCUSD", "ETHUSD", "SOLUSD", "XRPUSD"),
    "spot": ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT"),
    "option": ("BTC-25DEC26-60000-C", "BTC-25DEC26-60000-P", "ETH-25DEC26-3000-C"),
}
_PRIVATE_TOPIC = re.compile(
    r"(order|execution|execution\.fast|position|wallet|greeks|dcp|strategy)"
    r"(\.(spot|linear|inverse|option|future))?"
)

_BAD_REQUEST = "Params Error"
_WRONG_KEY = "Invalid apikey"
_BAD_OPERATION = "error:invalid op"

_PRIVATE_LIMITS = VenueLimits(idle_limit=600.0, connect_rate=Rate(500, 300.0))
_PUBLIC_LIMITS = replace(_PRIVATE_LIMITS, max_connections=1000, max_topics_size=21_000)
_LIMITS = {
    "linear": _PUBLIC_LIMITS,
    "inverse": _PUBLIC_LIMITS,
    "spot": replace(_PUBLIC_LIMITS, max_request_topics=10),
    "option": replace(_PUBLIC_LIMITS, max_topics=2000),
}


class _BadRequestError(Exception):
    """A request that is answered with an error and changes nothing."""


class BybitFormat(ExchangeFormat):
    """The sockets of Bybit v5 for market data and private data.

    All of them are served, whatever the market; the market decides which limits and symbols the
    exchange has and where :meth:`target` points.

    :param market: "linear", "inverse", "spot" or "option".
    :param private: whether :meth:`target` is the private socket.
    :raises ConfigurationError: there is no such market.
    """

    name = "bybit"

    def __init__(self, market: str = "linear", *, private: bool = False) -> None:
        if market not in _DEPTHS:
            known = ", ".join(repr(name) for name in _DEPTHS)
            raise ConfigurationError(f"market is {market!r}; allowed: {known}")
        self.market = market
        self.is_private = private
        self.default_symbols = _SYMBOLS[market]
        self.limits = _PRIVATE_LIMITS if private else _LIMITS[market]

    def __repr__(self) -> str:
        return f"BybitFormat({self.market!r}, private={self.is_private})"

    # Connections.

    def target(self, topics: Sequence[str]) -> str:
        """Give the path of the market's socket, or of the private one."""
        if topics:
            raise ConfigurationError(
                f"Bybit has no subscription by URL, so url_for() takes no topics, not {topics!r};"
                " connect to the url and send a subscribe request"
            )
        return "/v5/private" if self.is_private else f"/v5/public/{self.market}"

    def open(self, target: str) -> Session | None:
        """Take ``/v5/public/<market>`` and ``/v5/private``."""
        path = urlsplit(target).path.rstrip("/")
        if path == "/v5/private":
            return Session(_PRIVATE, route=_PRIVATE)
        prefix, _, market = path.rpartition("/")
        if prefix == "/v5/public" and market in _DEPTHS:
            return Session(market, route=market)
        return None

    # Topics.

    def stream(self, topic: str, session: Session) -> Stream | Refusal:
        """Tell what a topic stands for on the socket of this market."""
        if topic in session.subscribed:
            return Refusal(0, f"error:already subscribed,topic:{topic}")
        if session.route == _PRIVATE:
            found = SILENT if _PRIVATE_TOPIC.fullmatch(topic) else None
            if found is not None and not session.is_logged_in:
                return Refusal(0, "Request not authorized")
        else:
            found = _public_stream(topic, session.route)
        return Refusal(0, f"error:handler not found,topic:{topic}") if found is None else found

    def refusal(self, topic: str) -> Refusal:
        """Say what Bybit says of a symbol that does not exist."""
        return Refusal(0, f"Invalid symbol :[{topic}]")

    # Requests.

    def refuses_whole(self, session: Session) -> bool:
        """Options tell the good topics of a request from the bad ones, the others do not."""
        return session.route != "option"

    def parse(self, payload: str | bytes, session: Session) -> list[Action]:
        """Understand one request."""
        request_id = None
        operation = "subscribe"
        try:
            request = _decode(payload)
            request_id = request.get("req_id")
            operation = request["op"] if isinstance(request.get("op"), str) else ""
            return [_action(operation, request, request_id, session)]
        except _BadRequestError as error:
            return [Reply(_acknowledgement(operation, request_id, session, error=str(error)))]

    def answer(
        self,
        request: Subscribe | Unsubscribe,
        accepted: Sequence[str],
        refused: Mapping[str, Refusal],
        session: Session,
    ) -> list[Answer]:
        """Acknowledge, or refuse with the first refusal; options name the topics."""
        operation = "subscribe" if isinstance(request, Subscribe) else "unsubscribe"
        if session.route == "option":
            return [_command_response(accepted, list(refused), session)]
        error = next((refusal.message for refusal in refused.values()), None)
        return [_acknowledgement(operation, request.request_id, session, error=error)]

    # Limits.

    def penalty(self, limit: Limit, request: Request | None, session: Session) -> list[Answer]:
        """Refuse a request that is too large; cut a connection without a sign of life."""
        if isinstance(request, Subscribe):
            text = "args size >10" if limit is Limit.REQUEST_TOPICS else f"args over limit:{limit}"
            return [_acknowledgement("subscribe", request.request_id, session, error=text)]
        if limit is Limit.IDLE:
            return [Close(None)]
        return super().penalty(limit, request, session)

    # Who one is.

    login_refusal = Refusal(10003, _WRONG_KEY)

    def check_login(self, login: Login, credentials: Credentials, now: int) -> Refusal | None:
        """Check the key, the signature of "GET/realtime" with the expiry, and the expiry."""
        expires = login.details["expires"]
        if login.api_key != credentials.api_key:
            return Refusal(10003, _WRONG_KEY)
        signature = credentials.hex_signature(f"GET/realtime{expires}")
        if not hmac.compare_digest(signature.encode(), login.details["signature"].encode()):
            return Refusal(10004, "Invalid sign")
        return Refusal(10002, _BAD_REQUEST) if int(expires) <= now else None

    def login_answer(self, login: Login, refusal: Refusal | None, session: Session) -> list[Answer]:
        """Answer with a text; this socket gives no codes."""
        error = None if refusal is None else refusal.message
        return [_acknowledgement("auth", login.request_id, session, error=error)]

    # Data.

    def data(self, event: Event, topic: str, variant: str) -> str:
        """Make the message of an event."""
        return data_message(event, topic, variant)

    def private(self, topic: str, data: object, session: Session, at: int) -> str:
        """Make a private message; its data is always a list."""
        body = {
            "id": f"{session.connection:08x}-{at}",
            "topic": topic,
            "creationTime": at,
            "data": data if isinstance(data, list) else [data],
        }
        return _compact(body)

    # REST.

    def rest_shape(self) -> BybitShape:
        """Give the market data of Bybit v5."""
        return BybitShape()


def _public_stream(topic: str, market: str) -> Stream | None:
    """Tell what a public topic stands for; None: this market has no such topic."""
    channel, _, rest = topic.partition(".")
    parameter, _, symbol = rest.rpartition(".")
    if not symbol:
        return None
    if channel == "kline" and parameter in INTERVALS:
        return Stream(symbol, Kind.KLINE, interval=INTERVALS[parameter])
    if channel == "orderbook" and parameter == "full" and market == "spot":
        return Stream(symbol, Kind.DEPTH)
    if channel == "orderbook" and parameter in _DEPTHS[market]:
        if parameter == "1":
            return Stream(symbol, Kind.BOOK, levels=1, is_repeated=True)
        return Stream(symbol, Kind.DEPTH, levels=int(parameter), begins_with_snapshot=True)
    if parameter:
        return None
    if channel == "tickers":
        changes_only = market in ("linear", "inverse")
        return Stream(symbol, Kind.TICKER, begins_with_snapshot=changes_only)
    if channel == "publicTrade":
        return _option_trades(symbol) if market == "option" else Stream(symbol, Kind.TRADE)
    return SILENT if channel in _RARE.get(market, ()) else None


def _option_trades(coin: str) -> Stream | None:
    """Trades of options come by coin; here they are those of one of the coin's options."""
    options = (symbol for symbol in _SYMBOLS["option"] if symbol.startswith(f"{coin}-"))
    return Stream(next(options, coin), Kind.TRADE)


def _decode(payload: str | bytes) -> dict[str, Any]:
    try:
        request = json.loads(payload)
    except ValueError:
        raise _BadRequestError(_BAD_REQUEST) from None
    if not isinstance(request, dict):
        raise _BadRequestError(_BAD_REQUEST)
    return request


def _action(
    operation: str, request: dict[str, Any], request_id: object, session: Session
) -> Action:
    if operation == "ping":
        return Heartbeat(_pong(request_id, session))
    args = request.get("args")
    if operation == "auth" and session.route == _PRIVATE:
        return _login(args, request_id)
    if operation not in ("subscribe", "unsubscribe"):
        raise _BadRequestError(_BAD_OPERATION)
    if not isinstance(args, list) or not args or not all(isinstance(name, str) for name in args):
        raise _BadRequestError(_BAD_REQUEST)
    if session.route == _PRIVATE:
        _check_families(args)
    topics = tuple(dict.fromkeys(args))
    make = Subscribe if operation == "subscribe" else Unsubscribe
    return make(topics, request_id)


def _check_families(args: list[str]) -> None:
    """A request must not hold "order" and "order.linear" together."""
    for name in args:
        match = _PRIVATE_TOPIC.fullmatch(name)
        if match is not None and match[2] is not None and match[1] in args:
            raise _BadRequestError(_BAD_REQUEST)


def _login(args: object, request_id: object) -> Login:
    """Take ["key", expiry in milliseconds, "signature"]."""
    if not isinstance(args, list) or len(args) != 3:
        raise _BadRequestError(_BAD_REQUEST)
    api_key, expires, signature = args
    if not isinstance(api_key, str) or not isinstance(signature, str):
        raise _BadRequestError(_BAD_REQUEST)
    if not isinstance(expires, (int, str)) or not str(expires).isdecimal():
        raise _BadRequestError(_BAD_REQUEST)
    details = {"expires": str(expires), "signature": signature}
    return Login(api_key, details, request_id=request_id)


# Each socket has its own order of fields, its own text of success, and its own habit with an id
# that was not sent: as documented, so that no client relies on more than is common to all.


def _acknowledgement(
    operation: str, request_id: object, session: Session, *, error: str | None = None
) -> str:
    """Answer a request; error None: it was done."""
    text = (operation if session.route == "spot" else "") if error is None else error
    body: dict[str, object] = {"success": error is None, "ret_msg": text}
    if session.route == _PRIVATE:
        body |= {"op": operation, "conn_id": _connection_id(session)}
        return _compact(body if request_id is None else {"req_id": request_id, **body})
    body["conn_id"] = _connection_id(session)
    if request_id is not None or session.route != "spot":
        body["req_id"] = "" if request_id is None else request_id
    return _compact(body | {"op": operation})


def _command_response(accepted: Sequence[str], refused: Sequence[str], session: Session) -> str:
    """Answer a request for options: the topics are named, the id is not."""
    body = {
        "success": not refused,
        "conn_id": _connection_id(session),
        "data": {"failTopics": list(refused), "successTopics": list(accepted)},
        "type": "COMMAND_RESP",
    }
    return _compact(body)


def _pong(request_id: object, session: Session) -> str:
    at = str(session.now)
    if session.route == "option":
        return _compact({"args": [at], "op": "pong"})
    if session.route == _PRIVATE:
        body: dict[str, object] = {} if request_id is None else {"req_id": request_id}
        return _compact(body | {"op": "pong", "args": [at], "conn_id": _connection_id(session)})
    body = {"success": True, "ret_msg": "pong", "conn_id": _connection_id(session)}
    if request_id is not None or session.route != "spot":
        body["req_id"] = "" if request_id is None else request_id
    return _compact(body | {"op": "ping"})


def _connection_id(session: Session) -> str:
    if session.route == _PRIVATE:
        return f"cejreasp{session.connection:012d}-2m"
    return f"3cd84cb1-4d06-4a05-930a-{session.connection:012d}"


def _compact(body: Mapping[str, object]) -> str:
    return json.dumps(body, separators=(",", ":"))
