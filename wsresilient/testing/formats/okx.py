"""How OKX v5 speaks: an acknowledgement for each argument, a bare "pong", logins that expire.

After https://www.okx.com/docs-v5/en/ as of 2026. As surprising here as there: an error carries the
request's id but no ``arg``, the checksum of an order book is always 0, and an update may be empty.
What happens beyond 480 requests an hour and 3 connects a second was never published: here it is
error 60014 and HTTP 429.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from wsresilient.core.credentials import Credentials
from wsresilient.errors import ConfigurationError
from wsresilient.testing.events import Event
from wsresilient.testing.formats.base import (
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
from wsresilient.testing.formats.okx_channels import argument_of, look_up, topic_of
from wsresilient.testing.formats.okx_messages import okx_message
from wsresilient.testing.limits import Limit, Rate, VenueLimits
from wsresilient.testing.rest_shapes.base import RestShape
from wsresilient.testing.rest_shapes.okx import OKXShape
from wsresilient.venues.base import split_topic

__all__ = ["OKXFormat"]

_ROUTES = ("public", "private", "business")
_UID = "614488474791936"
_LOGIN_AGE = 30_000  # milliseconds
_LOGIN = ("apiKey", "passphrase", "timestamp", "sign")

_MALFORMED, _BAD_ARGUMENTS, _BAD_OPERATION = 60012, 60013, 60019
_TOO_FREQUENT = Refusal(60014, "Requests too frequent")
_LOGIN_FIRST = Refusal(60011, "Please log in")
_LOGGED_IN_ALREADY = Refusal(60031, "The WebSocket endpoint does not allow multiple accounts")


class OKXFormat(ExchangeFormat):
    """The three URLs of OKX v5. All are served, whatever the type.

    :param channel_type: "public", "private" or "business": where :meth:`target` points.
    :raises ConfigurationError: there is no such type.
    """

    name = "okx"
    default_symbols: tuple[str, ...] = (
        *("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT"),
        *("BTC-USDT-SWAP", "ETH-USDT-SWAP"),
    )
    limits = VenueLimits(
        max_request_size=64 * 1024,
        request_quota=Rate(480, 3600.0),
        connect_rate=Rate(3, 1.0),
        idle_limit=30.0,
    )
    login_refusal = Refusal(60005, "Invalid apiKey")

    def __init__(self, channel_type: str = "public") -> None:
        if channel_type not in _ROUTES:
            known = ", ".join(repr(name) for name in _ROUTES)
            raise ConfigurationError(f"channel_type is {channel_type!r}; allowed: {known}")
        self.channel_type = channel_type

    def __repr__(self) -> str:
        return f"OKXFormat({self.channel_type!r})"

    # Connections.

    def target(self, topics: Sequence[str]) -> str:
        """Give the path."""
        if topics:
            raise ConfigurationError(
                f"OKX has no subscription by URL, so url_for() takes no topics, not {topics!r};"
                " connect to the url and send a subscribe request"
            )
        return f"/ws/v5/{self.channel_type}"

    def open(self, target: str) -> Session | None:
        """Take ``/ws/v5/public``, ``/ws/v5/private`` and ``/ws/v5/business``."""
        prefix, _, route = urlsplit(target).path.rstrip("/").rpartition("/")
        return Session("json", route=route) if prefix == "/ws/v5" and route in _ROUTES else None

    # Topics.

    def stream(self, topic: str, session: Session) -> Stream | Refusal:
        """Tell what a channel stands for on this URL; some need a login."""
        found = look_up(topic, session.route)
        if found is None:
            return self.refusal(topic)
        if found.needs_login and not session.is_logged_in:
            return _LOGIN_FIRST
        return found.stream

    def refusal(self, topic: str) -> Refusal:
        """Say that there is no such channel, or no such instrument."""
        named = ",".join(f"{name}:{value}" for name, value in argument_of(topic).items())
        return Refusal(
            60018,
            f"Wrong URL or {named} doesn't exist. Please use the correct URL, channel and"
            " parameters referring to API document.",
        )

    # Requests.

    def parse(self, payload: str | bytes, session: Session) -> list[Action]:
        """Understand one request."""
        if payload == "ping":
            return [Heartbeat("pong")]
        try:
            request = json.loads(payload)
        except ValueError:
            request = None
        if not isinstance(request, dict) or not isinstance(request.get("op"), str):
            shown = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
            return [_error(Refusal(_MALFORMED, f"Invalid request: {shown}"), None, session)]
        return [_action(request, session)]

    def answer(
        self,
        request: Subscribe | Unsubscribe,
        accepted: Sequence[str],
        refused: Mapping[str, Refusal],
        session: Session,
    ) -> list[Answer]:
        """Acknowledge each argument by itself; errors do not name theirs but in their text."""
        event = "subscribe" if isinstance(request, Subscribe) else "unsubscribe"
        answers: list[Answer] = []
        for topic in request.topics:
            if topic in refused:
                answers.append(_error(refused[topic], request.request_id, session).payload)
            elif topic in accepted:
                body = {"event": event, "arg": argument_of(topic)}
                answers.append(_compact(_with_id(request.request_id, body, session)))
        return answers

    # Limits.

    def penalty(self, limit: Limit, request: Request | None, session: Session) -> list[Answer]:
        """Answer with an error, or close with the code that is for it."""
        if limit is Limit.REQUESTS or limit is Limit.MESSAGES:
            request_id = None if request is None else request.request_id
            return [_error(_TOO_FREQUENT, request_id, session).payload]
        closes = {
            Limit.REQUEST_SIZE: Close(1009, "Request frame too long"),
            Limit.TOPICS: Close(4008, "The number of subscribed channels exceeds the maximum"),
            Limit.IDLE: Close(4004, "No data received in 30s."),
            Limit.AGE: Close(1001),
        }
        found = closes.get(limit)
        return super().penalty(limit, request, session) if found is None else [found]

    # Who one is.

    def check_login(self, login: Login, credentials: Credentials, now: int) -> Refusal | None:
        """Check the time, the key, the signature and the passphrase, in this order."""
        timestamp = login.details["timestamp"]
        try:
            age = now - int(float(timestamp) * 1000)
        except ValueError:
            return Refusal(60004, "Invalid timestamp")
        if abs(age) > _LOGIN_AGE:
            return Refusal(60006, "Timestamp request expired")
        if login.api_key != credentials.api_key:
            return self.login_refusal
        expected = credentials.base64_signature(f"{timestamp}GET/users/self/verify")
        if not hmac.compare_digest(expected.encode(), login.details["sign"].encode()):
            return Refusal(60007, "Invalid sign")
        if login.details["passphrase"] != credentials.passphrase:
            return Refusal(60024, "Wrong passphrase")
        return None

    def login_answer(self, login: Login, refusal: Refusal | None, session: Session) -> list[Answer]:
        """Answer a login; who is refused is closed with 4001 as well."""
        del login
        if refusal is not None:
            return [_error(refusal, None, session).payload, Close(4001, "Login failed.")]
        body = {"event": "login", "code": "0", "msg": "", "connId": _connection_id(session)}
        return [_compact(body)]

    # Data.

    def data(self, event: Event, topic: str, variant: str) -> str:
        """Make the message of an event."""
        del variant
        return okx_message(event, topic)

    def receives(self, topic: str, session: Session, data: object) -> bool:
        """Send private data to who subscribed to it, or to more than it ("ANY")."""
        del data
        return session.is_logged_in and any(_covers(each, topic) for each in session.subscribed)

    def private(self, topic: str, data: object, session: Session, at: int) -> str:
        """Make a private message; its ``arg`` names the account too."""
        del session, at
        rows = data if isinstance(data, list) else [data]
        return _compact({"arg": {**argument_of(topic), "uid": _UID}, "data": rows})

    def shutdown_notice(self, session: Session, at: int) -> str | None:
        """Announce the end a minute ahead, but not on /business."""
        del at
        if session.route == "business":
            return None
        text = "The connection will soon be closed for a service upgrade. Please reconnect."
        body = {"event": "notice", "code": "64008", "msg": text, "connId": _connection_id(session)}
        return _compact(body)

    def rest_shape(self) -> RestShape:
        """Give the shape of ``/api/v5``."""
        return OKXShape()


def _action(request: dict[str, Any], session: Session) -> Action:
    operation, request_id, args = request["op"], request.get("id"), request.get("args")
    if operation not in ("subscribe", "unsubscribe", "login"):
        return _error(Refusal(_BAD_OPERATION, f"Invalid op: {operation}"), request_id, session)
    bad_arguments = _error(Refusal(_BAD_ARGUMENTS, "Invalid args"), request_id, session)
    if not isinstance(args, list) or not args or not all(isinstance(arg, dict) for arg in args):
        return bad_arguments
    if operation == "login":
        details = args[0]
        if not all(isinstance(details.get(name), str) for name in _LOGIN):
            return bad_arguments
        if session.is_logged_in:
            return _error(_LOGGED_IN_ALREADY, None, session)
        return Login(details["apiKey"], details)
    topics = [topic_of(arg) for arg in args]
    if None in topics:
        return bad_arguments
    make = Subscribe if operation == "subscribe" else Unsubscribe
    return make(tuple(dict.fromkeys(topic for topic in topics if topic is not None)), request_id)


def _covers(subscribed: str, pushed: str) -> bool:
    """Tell whether a subscription is for all that a push is about."""
    channel, symbol, parameters = split_topic(subscribed)
    pushed_channel, pushed_symbol, given = split_topic(pushed)
    return (
        channel == pushed_channel
        and symbol in (None, pushed_symbol)
        and all(
            value == "ANY" or given.get(name, value) == value for name, value in parameters.items()
        )
    )


def _error(refusal: Refusal, request_id: object, session: Session) -> Reply:
    body = {"event": "error", "code": str(refusal.code), "msg": refusal.message}
    return Reply(_compact(_with_id(request_id, body, session)))


def _with_id(request_id: object, body: Mapping[str, object], session: Session) -> dict[str, object]:
    """Put the id that was sent, if one was, before a message, and the connection's behind it."""
    head = {} if request_id is None else {"id": request_id}
    return {**head, **body, "connId": _connection_id(session)}


def _connection_id(session: Session) -> str:
    return f"{0xA4D30000 + session.connection:08x}"


def _compact(body: Mapping[str, object]) -> str:
    return json.dumps(body, separators=(",", ":"))
