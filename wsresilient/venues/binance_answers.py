"""What Binance answers to requests: acknowledgements, errors in two shapes, and the login.

After Binance's web-socket-streams.md, web-socket-api.md and errors.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from typing import Any

from ..core.credentials import Credentials
from ..core.encoding import encode_json
from ..core.incoming import (
    Acknowledged,
    Answer,
    Incoming,
    LoggedIn,
    LoginRefused,
    Refused,
    code_said,
    text_said,
)

__all__ = ["LOGIN_ID", "hashable_id", "login_request", "read_answer", "signed_text"]

#: The id of the login request; those of the others are numbers.
LOGIN_ID = "login"

#: The key, its signature, its address or its permissions are wrong.
_WRONG_CREDENTIALS = frozenset({-1002, -1022, -2014, -2015})
_WRONG_CLOCK = frozenset({-1021})
#: Too many requests or connections; the server is busy.
_BUSY = frozenset({-1003, -1008, -1034})
#: Something went wrong at the server, and it is not known what has become of the request.
_INTERNAL = frozenset({-1000, -1001, -1006, -1007, -1016})
_PASSING = _BUSY | _INTERNAL
_ABOUT_LOGIN = _WRONG_CREDENTIALS | _WRONG_CLOCK | _BUSY
#: Later times, in milliseconds, are none: it is the year 5138.
_LATEST = 1e14


def signed_text(parameters: Mapping[str, Any]) -> str:
    """Write the text that is signed: all parameters in the order of their names.

    >>> signed_text({"timestamp": 1747385641636, "apiKey": "key"})
    'apiKey=key&timestamp=1747385641636'
    """
    return "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))


def login_request(credentials: Credentials, now: float) -> str:
    """Make the request for the user's data; its signature is good for a few seconds.

    :param now: wall clock, seconds since the epoch.
    """
    parameters: dict[str, Any] = {"apiKey": credentials.api_key, "timestamp": int(now * 1000)}
    parameters["signature"] = credentials.hex_signature(signed_text(parameters))
    method = "userDataStream.subscribe.signature"
    return encode_json({"id": LOGIN_ID, "method": method, "params": parameters})


def hashable_id(message: Any) -> Hashable:
    """Give the id that a message carries, or None."""
    request_id = message.get("id") if isinstance(message, dict) else None
    return request_id if isinstance(request_id, (int, str)) else None


def read_answer(message: dict[str, Any]) -> Incoming:
    """Read a message with an id, a result, a code or an error at its top."""
    request_id = hashable_id(message)
    nested = message.get("error")
    error = nested if isinstance(nested, dict) else message if "code" in message else None
    if error is not None:
        return _read_error(message, error, request_id)
    if request_id == LOGIN_ID and message.get("status") == 200:
        return LoggedIn()
    if "result" in message and message["result"] is None:
        return Acknowledged(request_id)
    return Answer(request_id)


def _read_error(
    message: dict[str, Any], error: dict[str, Any], request_id: Hashable
) -> LoginRefused | Refused:
    code, text = code_said(error.get("code")), text_said(error.get("msg"))
    status = message.get("status")
    # Only the WebSocket API has a status. Without an id it speaks of the session itself.
    about_session = request_id is None and "status" in message and code in _ABOUT_LOGIN
    if request_id == LOGIN_ID or about_session:
        refusal = _login_refused(code, text, status, error.get("data"))
        return dataclasses.replace(refusal, revoked=about_session and refusal.final)
    # Which stream is at fault is not said, and none of the request is subscribed.
    temporary = _is_passing(code, status)
    return Refused(request_id, code=code, text=text, whole_request=True, temporary=temporary)


def _is_passing(code: int | str | None, status: Any) -> bool:
    # 403 is a firewall, 418 and 429 are limits, 5xx is the server's own trouble.
    bad_status = isinstance(status, int) and (status in (403, 418, 429) or 500 <= status < 600)
    return bad_status or code in _PASSING


def _login_refused(code: int | str | None, text: str, status: Any, details: Any) -> LoginRefused:
    """Judge a refused login by its code, and an unknown code by its HTTP-like status."""
    times = details if isinstance(details, dict) else {}
    server_time, retry_at = _seconds(times.get("serverTime")), _seconds(times.get("retryAfter"))
    wait = None if server_time is None or retry_at is None else max(0.0, retry_at - server_time)
    is_temporary = _is_passing(code, status)
    return LoginRefused(
        code,
        text,
        final=code in _WRONG_CREDENTIALS,
        retries=None if code in _ABOUT_LOGIN or is_temporary else 1,
        clock=code in _WRONG_CLOCK,
        server_time=server_time,
        retry_after=wait,
    )


def _seconds(milliseconds: Any) -> float | None:
    # A comparison with NaN is false, and of a number of any length exact.
    is_time = isinstance(milliseconds, (int, float)) and 0 <= milliseconds <= _LATEST
    return milliseconds / 1000 if is_time else None
