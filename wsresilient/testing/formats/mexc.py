"""How MEXC futures speak: one topic in a request, and answers that name neither topic nor id.

After https://www.mexc.com/api-docs/futures/websocket-api and what was seen on the wire. As
surprising here as there: only the client's own ping keeps a connection, data does not; an unknown
method gets no answer at all; after a login all private data comes by itself; what goes wrong is
only a text.

Published limits there are none: 100 topics on a connection and 10 connections of an address are
what this library keeps to. The answers to who takes more, and to a login that fails, were never
published either: their text is made up, their shape is not.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from wsresilient.core.credentials import Credentials
from wsresilient.errors import ConfigurationError
from wsresilient.testing.events import ALL_SYMBOLS, Event, Kind
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
from wsresilient.testing.formats.mexc_messages import data_message
from wsresilient.testing.limits import Limit, Sign, VenueLimits
from wsresilient.testing.rest_shapes.mexc import INTERVALS, MEXCShape
from wsresilient.venues.base import join_topic, split_topic

__all__ = ["MEXCFormat"]

# The channels that have a symbol, with the parameters that they understand.
_CHANNELS: dict[str, tuple[str, ...]] = {
    "deal": ("compress",),
    "depth": ("compress",),
    "depth.full": ("limit",),
    "depth.step": ("step",),
    "fair.price": (),
    "funding.rate": (),
    "index.price": (),
    "kline": ("interval",),
    "ticker": (),
}
_CHANNELS_OF_ALL = ("contract", "tickers")
_DEPTHS = ("5", "10", "20")
_FILTERS = (
    "order",
    "order.deal",
    "position",
    "plan.order",
    "stop.order",
    "stop.planorder",
    "risk.limit",
    "adl.level",
    "asset",
)
_LOGIN_WINDOW = 10_000  # milliseconds between the client's clock and ours

# What private data a session gets: nothing (None), everything ({}), or the families in it, each of
# the symbols in its tuple, or of all where that is empty.
_FILTER = "filter"
_Filter = dict[str, tuple[str, ...]]


class MEXCFormat(ExchangeFormat):
    """The socket of MEXC futures, for market data and private data."""

    name = "mexc"
    default_symbols = ("BTC_USDT", "ETH_USDT", "BNB_USDT", "SOL_USDT", "XRP_USDT")
    limits = VenueLimits(
        max_topics=100,
        max_connections=10,
        idle_limit=60.0,
        signs_of_life=frozenset({Sign.HEARTBEAT}),
    )

    def __repr__(self) -> str:
        return "MEXCFormat()"

    # Connections.

    def target(self, topics: Sequence[str]) -> str:
        """Give the only path."""
        if topics:
            raise ConfigurationError(
                f"MEXC has no subscription by URL, so url_for() takes no topics, not {topics!r};"
                " connect to the url and send a subscribe request"
            )
        return "/edge"

    def open(self, target: str) -> Session | None:
        """Take ``/edge``, and ``/ws`` of older clients."""
        path = urlsplit(target).path.rstrip("/")
        return Session("edge", route="edge") if path in ("/edge", "/ws") else None

    # Topics.

    def stream(self, topic: str, session: Session) -> Stream | Refusal:  # noqa: ARG002
        """Tell what a topic stands for, in the notation of :mod:`wsresilient.venues`."""
        channel, symbol, parameters = split_topic(topic)
        found = SILENT if channel == "contract" else None
        if channel == "tickers":
            found = Stream(ALL_SYMBOLS, Kind.TICKER)
        elif symbol is not None:
            found = _symbol_stream(channel, symbol, parameters)
        return self.refusal(topic) if found is None else found

    def refusal(self, topic: str) -> Refusal:
        """Say that there is no such contract: the only refusal that was ever seen."""
        return Refusal(1001, f"Contract [{split_topic(topic)[1] or ''}] not exists")

    # Requests.

    def parse(self, payload: str | bytes, session: Session) -> list[Action]:
        """Understand one request; what is none is passed over without a word."""
        try:
            request = json.loads(payload)
        except ValueError:
            return []
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return []
        method = request["method"]
        parameters = request.get("param")
        if not isinstance(parameters, dict):
            parameters = {}
        if method == "ping":
            return [Heartbeat(f'{{"channel":"pong","data":{session.now},"ts":{session.now}}}')]
        if method == "login":
            return [_login(request, parameters)]
        if method == "personal.filter":
            return [_set_filter(parameters, session)]
        return _topic_request(method, parameters, session)

    def answer(
        self,
        request: Subscribe | Unsubscribe,
        accepted: Sequence[str],  # noqa: ARG002 - an answer does not name them
        refused: Mapping[str, Refusal],
        session: Session,
    ) -> list[Answer]:
        """Acknowledge with the method, or refuse with a text."""
        for refusal in refused.values():
            return [_error(refusal.message, session)]
        return [_message(f"rs.{request.name}", "success", session.now)]

    # Limits.

    def penalty(self, limit: Limit, request: Request | None, session: Session) -> list[Answer]:
        """Refuse the topic that is one too many; cut a connection that does not ping."""
        if limit is Limit.TOPICS:
            return [_error("Too many subscriptions on this connection", session)]
        if limit is Limit.IDLE:
            return [Close(None)]
        return super().penalty(limit, request, session)

    # Who one is.

    login_refusal = Refusal(602, "Signature verification failed!")

    def check_login(self, login: Login, credentials: Credentials, now: int) -> Refusal | None:
        """Check the key, the signature of key and time together, and the time."""
        at = login.details["reqTime"]
        if login.api_key != credentials.api_key:
            return Refusal(401, "Unauthorized")
        signature = credentials.hex_signature(f"{login.api_key}{at}")
        if not hmac.compare_digest(signature.encode(), login.details["signature"].encode()):
            return self.login_refusal
        if not at.isdecimal() or abs(int(at) - now) > _LOGIN_WINDOW:
            return Refusal(513, "Request time is outside of the window of 10 seconds")
        return None

    def login_answer(self, login: Login, refusal: Refusal | None, session: Session) -> list[Answer]:
        """Let all private data come from now on, unless the client does not want it."""
        if refusal is not None:
            return [_error(refusal.message, session)]
        session.memory[_FILTER] = {} if login.details["subscribe"] else None
        return [_message("rs.login", "success", session.now)]

    # Data.

    def data(self, event: Event, topic: str, variant: str) -> str:  # noqa: ARG002 - there is one
        """Make the message of an event."""
        return data_message(event, topic)

    def receives(self, topic: str, session: Session, data: object) -> bool:
        """Tell whether the login and the filter let private data through."""
        wanted: _Filter | None = session.memory.get(_FILTER)
        if not session.is_logged_in or wanted is None:
            return False
        family = _personal(topic).removeprefix("personal.")
        if not wanted:
            return True
        symbol = data.get("symbol") if isinstance(data, dict) else None
        return family in wanted and (not wanted[family] or symbol in wanted[family])

    def private(self, topic: str, data: object, session: Session, at: int) -> str:  # noqa: ARG002
        """Make a private message: "personal.order" is pushed as "push.personal.order"."""
        return _message(f"push.{_personal(topic)}", data, at)

    # REST.

    def rest_shape(self) -> MEXCShape:
        """Give the market data of MEXC futures."""
        return MEXCShape()


def _symbol_stream(channel: str, symbol: str, parameters: Mapping[str, str]) -> Stream | None:
    """Tell what a topic with a symbol stands for; None: there is no such topic."""
    if channel == "kline" and parameters.get("interval") in INTERVALS:
        return Stream(symbol, Kind.KLINE, interval=INTERVALS[parameters["interval"]])
    if channel == "depth":
        one_by_one = parameters.get("compress") == "false"
        return Stream(symbol, Kind.DEPTH, one_by_one=one_by_one)
    if channel == "depth.full" and parameters.get("limit", "20") in _DEPTHS:
        return Stream(symbol, Kind.BOOK, levels=int(parameters.get("limit", "20")))
    if channel in ("fair.price", "funding.rate", "index.price"):
        return Stream(symbol, Kind.MARK)
    kinds = {"deal": Kind.TRADE, "ticker": Kind.TICKER}
    if channel in kinds:
        return Stream(symbol, kinds[channel])
    return SILENT if channel == "depth.step" else None


def _topic_request(method: str, parameters: dict[str, Any], session: Session) -> list[Action]:
    operation, _, channel = method.partition(".")
    if channel not in _CHANNELS and channel not in _CHANNELS_OF_ALL:
        return []
    if operation == "sub":
        return [Subscribe((_topic(channel, parameters),), name=method)]
    # "usub.depth.full" is what the documentation prints.
    if operation == "unsub" or method == "usub.depth.full":
        return [Unsubscribe(_subscribed(channel, parameters, session), name=method)]
    return []


def _topic(channel: str, parameters: dict[str, Any]) -> str:
    if channel in _CHANNELS_OF_ALL:
        return channel
    known = {name: _spelled(parameters[name]) for name in _CHANNELS[channel] if name in parameters}
    return join_topic(channel, _spelled(parameters.get("symbol", "")), known)


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _subscribed(channel: str, parameters: dict[str, Any], session: Session) -> tuple[str, ...]:
    """Give the topics of a channel and a symbol, whatever their parameters: none may be named."""
    symbol = None if channel in _CHANNELS_OF_ALL else _spelled(parameters.get("symbol", ""))
    return tuple(
        topic for topic in session.subscribed if split_topic(topic)[:2] == (channel, symbol)
    )


def _login(request: dict[str, Any], parameters: dict[str, Any]) -> Login:
    """Take the login; what is missing is empty, and refused later."""
    details = {
        "reqTime": str(parameters.get("reqTime", "")),
        "signature": str(parameters.get("signature", "")),
        "subscribe": request.get("subscribe") is not False,
    }
    return Login(str(parameters.get("apiKey", "")), details)


def _set_filter(parameters: dict[str, Any], session: Session) -> Reply:
    """Let only this private data through from now on; an empty list lets everything through."""
    if not session.is_logged_in:
        return Reply(_error("Not logged in", session))
    filters = parameters.get("filters")
    wanted: _Filter = {}
    for each in filters if isinstance(filters, list) else [None]:
        if not isinstance(each, dict) or each.get("filter") not in _FILTERS:
            return Reply(_error("Wrong filter", session))
        wanted[each["filter"]] = tuple(each.get("rules") or ())
    session.memory[_FILTER] = wanted
    return Reply(_message("rs.personal.filter", "success", session.now))


def _personal(topic: str) -> str:
    """Give the channel of a private topic, without "push." and without a symbol."""
    return split_topic(topic)[0].removeprefix("push.")


def _error(text: str, session: Session) -> str:
    return _message("rs.error", text, session.now)


def _message(channel: str, data: object, at: int) -> str:
    return json.dumps({"channel": channel, "data": data, "ts": at}, separators=(",", ":"))
