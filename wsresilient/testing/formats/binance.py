"""How Binance spot speaks: streams, requests with an id, and its two ways to put an error.

After https://github.com/binance/binance-spot-api-docs (web-socket-streams.md). A few things are as
surprising here as they are there: a symbol that does not exist is acknowledged and stays silent, an
acknowledgement does not name its streams, and one bad stream refuses the whole request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from wsresilient.testing.events import Event, Kind, Quote, Ticker, Trade
from wsresilient.testing.formats.base import (
    Action,
    Answer,
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
from wsresilient.testing.limits import Limit, VenueLimits

__all__ = ["BinanceFormat"]

_RAW = "raw"
_COMBINED = "combined"
_KINDS = {"trade": Kind.TRADE, "ticker": Kind.TICKER, "bookTicker": Kind.QUOTE}
_TOPIC = re.compile(r"(?P<symbol>[A-Za-z0-9]+)@(?P<kind>[A-Za-z]+)")
_STRING_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_DAY = 86_400_000


class _BadRequestError(Exception):
    """A request that is answered with an error and changes nothing."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class BinanceFormat(ExchangeFormat):
    """The market streams of Binance spot."""

    name = "binance"
    default_symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT")
    limits = VenueLimits(max_topics=1024)
    refuses_whole_requests = True
    refuses_unknown_symbols = False

    def target(self, topics: Sequence[str]) -> str:
        """Give the path of the combined stream."""
        return f"/stream?streams={'/'.join(topics)}" if topics else "/stream"

    def open(self, target: str) -> Session | None:
        """Take ``/ws``, ``/ws/<a>/<b>`` and ``/stream?streams=<a>/<b>``.

        A stream in the URL that does not exist is passed over without a word.
        """
        parts = urlsplit(target)
        first, *names = parts.path.strip("/").split("/")
        if first == "ws":
            return Session(_RAW, self._known(names))
        if first == "stream" and not names:
            values = parse_qs(parts.query).get("streams", [])
            return Session(_COMBINED, self._known("/".join(values).split("/")))
        return None

    def stream(self, topic: str, session: Session) -> Stream | Refusal:  # noqa: ARG002
        """Take ``<symbol>@trade``, ``@ticker`` and ``@bookTicker``, the symbol in lower case."""
        match = _TOPIC.fullmatch(topic)
        if match is None or match["kind"] not in _KINDS:
            return self.refusal(topic)
        symbol = match["symbol"]
        # In capitals it is no symbol at all, so it is acknowledged and stays silent.
        return Stream(symbol.upper() if symbol == symbol.lower() else "", _KINDS[match["kind"]])

    def refusal(self, topic: str) -> Refusal:  # noqa: ARG002 - Binance does not name it
        """Say what Binance says of a stream that does not exist."""
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
            return [self._action(message, session)]
        except _BadRequestError as error:
            return [Reply(_error(error.code, str(error), request_id))]

    def answer(
        self,
        request: Subscribe | Unsubscribe,
        accepted: Sequence[str],  # noqa: ARG002 - an answer does not name them
        refused: Mapping[str, Refusal],
        session: Session,  # noqa: ARG002
    ) -> list[Answer]:
        """Acknowledge, or refuse with the first refusal, in the nested shape."""
        for refusal in refused.values():
            return [_nested_error(refusal, request.request_id)]
        return [_result(None, request.request_id)]

    def penalty(self, limit: Limit, request: Request | None, session: Session) -> list[Answer]:
        """Refuse in the nested shape."""
        if limit is Limit.TOPICS and request is not None:
            return [_nested_error(Refusal(4, "Too many subscriptions"), request.request_id)]
        return super().penalty(limit, request, session)

    def listing(self, request: ListTopics, session: Session) -> list[Answer]:
        """List the streams."""
        return [_result(list(session.subscribed), request.request_id)]

    def data(self, event: Event, topic: str, variant: str) -> str:
        """Make the payload, in its envelope for a combined stream."""
        if isinstance(event, Trade):
            payload = _trade(event)
        elif isinstance(event, Ticker):
            payload = _ticker(event)
        elif isinstance(event, Quote):
            payload = _book_ticker(event)
        else:
            raise TypeError(f"no stream of Binance spot tells of {type(event).__name__}")
        return payload if variant == _RAW else f'{{"stream":"{topic}","data":{payload}}}'

    def _known(self, names: Sequence[str]) -> tuple[str, ...]:
        session = Session(_RAW)
        known = (name for name in names if isinstance(self.stream(name, session), Stream))
        return tuple(dict.fromkeys(known))

    def _action(self, message: Any, session: Session) -> Action:
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
        return _result(session.variant == _COMBINED, request_id)
    if len(params) < expected or not isinstance(params[1], bool):
        raise _BadRequestError(1, "Invalid value type: expected Boolean")
    session.variant = _COMBINED if params[1] else _RAW
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


# Thousands of these are made in a second, and the values need no escaping: hence no json.dumps.


def _trade(trade: Trade) -> str:
    return (
        f'{{"e":"trade","E":{trade.at},"s":"{trade.symbol}","t":{trade.trade_id},'
        f'"p":"{trade.price:.8f}","q":"{trade.quantity:.8f}","T":{trade.at},'
        f'"m":{"true" if trade.is_buyer_maker else "false"},"M":true}}'
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
