"""What Binance's spot and futures streams have in common: requests, acknowledgements, envelopes.

After https://github.com/binance/binance-spot-api-docs (web-socket-streams.md). An acknowledgement
does not name its streams, one bad stream refuses the whole request, and there are two ways to put
an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from wsresilient.testing.formats.base import (
    Action,
    Answer,
    Close,
    ExchangeFormat,
    ListTopics,
    Refusal,
    Reply,
    Request,
    Session,
    Stream,
    Subscribe,
    Unsubscribe,
)
from wsresilient.testing.limits import Limit

__all__ = ["COMBINED", "RAW", "BinanceStreams", "enveloped"]

RAW = "raw"
COMBINED = "combined"

_STRING_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class _BadRequestError(Exception):
    """A request that is answered with an error and changes nothing."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class BinanceStreams(ExchangeFormat):
    """A connection to ``/ws`` or ``/stream``, whatever streams there are."""

    refuses_whole_requests = True
    refuses_unknown_symbols = False

    def open_stream(self, segments: Sequence[str], query: str, route: str) -> Session | None:
        """Take ``ws``, ``ws/<a>/<b>`` and ``stream?streams=<a>/<b>``.

        A stream in the URL that does not exist is passed over without a word.

        :param segments: of the path, from "ws" or "stream" on.
        :param route: what the path has before them.
        """
        first, *names = segments
        if first == "ws":
            session = Session(RAW, route=route)
        elif first == "stream" and not names:
            session = Session(COMBINED, route=route)
            names = "/".join(parse_qs(query).get("streams", [])).split("/")
        else:
            return None
        known = (name for name in names if isinstance(self.stream(name, session), Stream))
        session.topics = tuple(dict.fromkeys(known))
        return session

    def refusal(self, topic: str) -> Refusal:
        """Say what Binance says of a stream that does not exist."""
        del topic
        return Refusal(2, "Invalid request: invalid stream")

    def parse(self, payload: str | bytes, session: Session) -> list[Action]:
        """Understand one request."""
        try:
            message = json.loads(payload)
        except ValueError as error:
            line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
            text = f"Invalid JSON: expected value at line {line} column {column}"
            return [Reply(_error(3, text, None))]
        request_id = message.get("id") if isinstance(message, dict) else None
        try:
            return [_action(message, session)]
        except _BadRequestError as error:
            return [Reply(_error(error.code, str(error), request_id))]

    def answer(
        self,
        request: Subscribe | Unsubscribe,
        accepted: Sequence[str],
        refused: Mapping[str, Refusal],
        session: Session,
    ) -> list[Answer]:
        """Acknowledge, or refuse with the first refusal, in the nested shape."""
        del accepted, session
        for refusal in refused.values():
            return [_nested_error(refusal, request.request_id)]
        return [_result(None, request.request_id)]

    def listing(self, request: ListTopics, session: Session) -> list[Answer]:
        """List the streams."""
        return [_result(list(session.subscribed), request.request_id)]

    def penalty(self, limit: Limit, request: Request | None, session: Session) -> list[Answer]:
        """Refuse in the nested shape, pass over what is too large, cut who is too fast."""
        if limit is Limit.TOPICS and request is not None:
            return [_nested_error(Refusal(4, "Too many subscriptions"), request.request_id)]
        if limit is Limit.REQUEST_SIZE:
            return []
        if limit is Limit.MESSAGES:
            return [Close(1008, "Too many requests")]
        if limit is Limit.PONG:
            return [Close(1008, "Pong timeout")]
        if limit is Limit.AGE:
            return [Close(1001)]
        return super().penalty(limit, request, session)

    def shutdown_notice(self, session: Session, at: int) -> str | None:
        """Announce the end as an event."""
        event = f'{{"e":"serverShutdown","E":{at}}}'
        return enveloped(event, "!serverShutdown", session.variant)


def enveloped(payload: str, stream: str, variant: str) -> str:
    """Put a payload into the envelope of a combined stream, if it is one."""
    return f'{{"stream":"{stream}","data":{payload}}}' if variant == COMBINED else payload


def _action(message: Any, session: Session) -> Action:
    if not isinstance(message, dict):
        raise _BadRequestError(2, "Invalid request: expected an object at line 1 column 1")
    _check_id(message.get("id"))
    if "method" not in message:
        column = len(json.dumps(message, separators=(",", ":")))
        raise _BadRequestError(
            2, f"Invalid request: missing field `method` at line 1 column {column}"
        )
    method, request_id = message["method"], message.get("id")
    if method not in _METHODS:
        names = ", ".join(f"`{name}`" for name in _METHODS)
        raise _BadRequestError(
            2, f"Invalid request: unknown variant `{method}`, expected one of {names}"
        )
    if method == "LIST_SUBSCRIPTIONS":
        return ListTopics(request_id)
    params = message.get("params")
    if not isinstance(params, list) or not params:
        raise _BadRequestError(2, "Invalid request: missing field `params` at line 1 column 1")
    if method in ("SET_PROPERTY", "GET_PROPERTY"):
        return Reply(_property(method, params, request_id, session))
    if not all(isinstance(name, str) for name in params):
        raise _BadRequestError(2, "Invalid request: invalid type: expected a string")
    topics = tuple(dict.fromkeys(params))
    make = Subscribe if method == "SUBSCRIBE" else Unsubscribe
    return make(topics, request_id)


def _check_id(request_id: object) -> None:
    if request_id is None:
        return
    if isinstance(request_id, int) and not isinstance(request_id, bool):
        if -(2**63) <= request_id < 2**63:
            return
    elif isinstance(request_id, str) and _STRING_ID.fullmatch(request_id):
        return
    raise _BadRequestError(2, "Invalid request: request ID must be an unsigned integer")


def _property(method: str, params: list[Any], request_id: object, session: Session) -> str:
    """Read or write the one property that there is."""
    if params[0] != "combined":
        raise _BadRequestError(0, "Unknown property")
    expected = 2 if method == "SET_PROPERTY" else 1
    if len(params) > expected:
        raise _BadRequestError(2, "Invalid request: too many parameters")
    if method == "GET_PROPERTY":
        return _result(session.variant == COMBINED, request_id)
    if len(params) < expected or not isinstance(params[1], bool):
        raise _BadRequestError(1, "Invalid value type: expected Boolean")
    session.variant = COMBINED if params[1] else RAW
    return _result(None, request_id)


def _result(result: object, request_id: object) -> str:
    return json.dumps({"result": result, "id": request_id}, separators=(",", ":"))


def _error(code: int, message: str, request_id: object) -> str:
    """Write an error in the flat shape of the documentation."""
    body: dict[str, object] = {"code": code, "msg": message}
    if request_id is not None:
        body["id"] = request_id
    return json.dumps(body, separators=(",", ":"))


def _nested_error(refusal: Refusal, request_id: object) -> str:
    """Write an error in the nested shape, which is seen on the wire."""
    body = {"error": {"code": refusal.code, "msg": refusal.message}, "id": request_id}
    return json.dumps(body, separators=(",", ":"))
