"""What Bybit's messages say: answers to requests, and the numbers that name and order data.

Texts marked "observed" come from users' reports, the rest from Bybit's documentation. Whatever
comes, nothing here raises: what is not understood is an answer without an id, or has no name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from typing import Any

from ..core.incoming import (
    Acknowledged,
    Answer,
    Incoming,
    LoggedIn,
    LoginRefused,
    Pong,
    Refused,
    code_said,
    text_said,
)
from .base import SequenceNumbers

__all__ = ["identity_of", "read_control", "request_id_of", "sequence_of", "symbol_in"]

#: Wrong key, signature, permissions or address; banned; expired.
_FATAL_CODES = frozenset({10003, 10004, 10005, 10007, 10008, 10009, 10010, 33004})
#: The private connection gives texts without a code; what they say of credentials.
_FATAL_WORDS = ("apikey", "api key", "api_key", "signature", "permission")
#: Codes after which the same credentials may succeed later: too many, restarting.
_PASSING_CODES = frozenset({10006, 10016, 10019, 10429, 20003})
_TOO_MANY_CODES = frozenset({10006, 10429, 20003})
_CLOCK_CODE = 10002
_SERVER_TIME = re.compile(r"server_timestamp\[(\d{13})\]")  # observed
#: Longer numbers are no ids of ours, and Python converts them slowly or not at all.
_LONGEST_ID = 18


def request_id_of(message: dict[str, Any]) -> Hashable:
    """Give the ``req_id``, as a number where it is one, or None."""
    given = message.get("req_id") or message.get("reqId")
    if isinstance(given, str) and given.isdecimal() and len(given) <= _LONGEST_ID:
        return int(given)
    return given if isinstance(given, (str, int)) else None


def symbol_in(data: Any) -> str | None:
    """Give the symbol that private rows have in common, or None."""
    rows = data if isinstance(data, list) else [data]
    symbols = [row.get("symbol") if isinstance(row, dict) else None for row in rows]
    first = symbols[0] if symbols else None
    return first if isinstance(first, str) and symbols.count(first) == len(symbols) else None


def read_control(message: dict[str, Any]) -> Incoming:
    """Read a message that is no data."""
    if message.get("type") == "COMMAND_RESP":
        return _read_command(message)
    operation, text = message.get("op"), _text(message)
    if _is_pong(message):
        return Pong()
    accepted = message.get("success") is True or message.get("retCode") == 0
    if operation == "auth":
        return LoggedIn() if accepted else _login_refused(message, text)
    request_id = request_id_of(message)
    if operation not in ("subscribe", "unsubscribe"):
        return Answer(request_id)
    return Acknowledged(request_id) if accepted else _refused(message, text)


def _is_pong(message: dict[str, Any]) -> bool:
    """Whether it answers a ping; on the markets' connections it has the op "ping" too."""
    return message.get("op") == "pong" or _text(message) == "pong"


def _refused(message: dict[str, Any], text: str) -> Refused:
    code = _code(message)
    return Refused(
        request_id_of(message),
        topics=_named_topics(text),
        code=code,
        text=text,
        whole_request=True,  # one bad topic fails all topics of its request
        temporary=code in _TOO_MANY_CODES or "too many" in text.lower(),
        present="already subscribed" in text,
    )


def _named_topics(text: str) -> tuple[str, ...]:
    """Find them at the end of a text.

    Observed: "error:handler not found,topic:X", "Invalid symbol :[X]".
    """
    before, _, after = text.rpartition(":")
    named = after.strip()
    if before.rstrip().endswith("symbol") and named.startswith("[") and named.endswith("]"):
        named = named[1:-1]
    elif not before.endswith("topic"):
        return ()
    is_one_word = len(named.split()) == 1
    return tuple(named.split(",")) if is_one_word else ()


def _read_command(message: dict[str, Any]) -> Incoming:
    """Read an answer of the option market, which names the topics and no request."""
    request_id, text, code = request_id_of(message), _text(message), _code(message)
    failed, accepted = (_topics(message, name) for name in ("failTopics", "successTopics"))
    if failed:
        text = text or "Bybit names it among the failTopics"
        return Refused(request_id, failed, code, text, accepted=accepted)
    if accepted:
        return Acknowledged(request_id, accepted)
    if message.get("success") is False:
        return Refused(request_id, code=code, text=text, whole_request=True)
    return Answer(request_id)


def _topics(message: dict[str, Any], name: str) -> tuple[str, ...]:
    data = message.get("data")
    found = data.get(name) if isinstance(data, dict) else None
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


def _text(message: dict[str, Any]) -> str:
    return text_said(message.get("ret_msg") or message.get("retMsg"))


def _code(message: dict[str, Any]) -> int | str | None:
    return code_said(message.get("retCode"))


def _login_refused(message: dict[str, Any], text: str) -> LoginRefused:
    code = _code(message)
    lowered = text.lower()
    is_clock = code == _CLOCK_CODE or "request expired" in lowered  # observed
    is_about_key = code is None and any(word in lowered for word in _FATAL_WORDS)
    is_final = code in _FATAL_CODES or (is_about_key and not is_clock)
    # Observed of expired and of badly formed ones. Only of just this: behind a longer text nothing
    # may stand before it is redacted.
    if text == "Params Error":
        text += (
            ", which Bybit says of an expired time and of wrong credentials alike: check the clock "
            "of this machine (NTP), key and secret"
        )
    told = _SERVER_TIME.search(text)
    return LoginRefused(
        code=code,
        text=text,
        final=is_final,
        # What is not known may pass: once more.
        retries=None if is_final or is_clock or code in _PASSING_CODES else 1,
        clock=is_clock,
        server_time=int(told[1]) / 1000 if told else None,
    )


# Names and numbers of data. A message of another shape than documented has none.


def identity_of(message: Any) -> Hashable | None:
    """Name a :class:`~wsresilient.Message`, or give None where nothing names it."""
    raw = message.raw
    topic = raw.get("topic") if isinstance(raw, dict) else None
    if not isinstance(topic, str):
        return None
    make = _IDENTITIES.get(topic.partition(".")[0])
    if make is None:
        return None
    try:
        parts = make(raw)
    except (AttributeError, IndexError, KeyError, TypeError):
        return None
    named = bool(parts) and all(isinstance(part, (int, str)) for part in parts)
    return (topic, *parts) if named else None


def sequence_of(message: Any) -> SequenceNumbers | None:
    """Give the update number of an order book, or None."""
    raw, data = message.raw, message.data
    if not isinstance(raw, dict) or not isinstance(data, dict):
        return None
    topic, update = raw.get("topic"), data.get("u")
    if not isinstance(topic, str) or not topic.startswith("orderbook."):
        return None
    if not isinstance(update, int):
        return None
    # 1: Bybit's service has restarted. A snapshot may replace the book at any time.
    restart = update == 1 or raw.get("type") == "snapshot"
    return SequenceNumbers(topic, update, update, restart=restart)


def _book(raw: dict[str, Any]) -> tuple[Any, ...]:
    # Level 1 comes again every 3 s without a change: the same numbers, the same message.
    data = raw["data"]
    return raw["type"], data["u"], data["seq"]


def _trades(raw: dict[str, Any]) -> tuple[Any, ...]:
    rows = raw["data"]
    return rows[0]["i"], rows[-1]["i"], len(rows)


def _candle(raw: dict[str, Any]) -> tuple[Any, ...]:
    row = raw["data"][-1]
    return row["start"], row["timestamp"], row["confirm"], row["volume"]


def _ticker(raw: dict[str, Any]) -> tuple[Any, ...]:
    # Options have an id; elsewhere several changes may share one cross sequence.
    return (raw["id"],) if "id" in raw else (raw["type"], raw["cs"], raw["ts"])


def _executions(raw: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row["execId"] for row in raw["data"])


def _orders(raw: dict[str, Any]) -> tuple[Any, ...]:
    names = ("orderId", "updatedTime", "orderStatus")
    return tuple(row[name] for row in raw["data"] for name in names)


_IDENTITIES: dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    "orderbook": _book,
    "publicTrade": _trades,
    "kline": _candle,
    "tickers": _ticker,
    "execution": _executions,
    "order": _orders,
}
