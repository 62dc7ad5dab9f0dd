"""Binance spot's WebSocket API, as far as the own account's stream needs it (HMAC keys).

After https://github.com/binance/binance-spot-api-docs (web-socket-api.md, errors.md).
``session.logon``, which needs an Ed25519 key, is not there.
"""

from __future__ import annotations

import hmac
import json
from typing import Any

from wsresilient.core.credentials import Credentials
from wsresilient.testing.formats.base import Action, Login, Refusal, Reply, Session, Unsubscribe

__all__ = ["API", "USER_DATA", "WRONG_KEY", "check", "done", "event", "login_answer", "parse"]

#: Route and variant of a connection to the API.
API = "api"
#: The topic of everything about the own account.
USER_DATA = "userData"

WRONG_KEY = Refusal(-2015, "Invalid API-key, IP, or permissions for action.")
_BAD_KEY_FORMAT = Refusal(-2014, "API-key format invalid.")
_WRONG_SIGNATURE = Refusal(-1022, "Signature for this request is not valid.")
_TOO_OLD = Refusal(-1021, "Timestamp for this request is outside of the recvWindow.")
_TOO_NEW = Refusal(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")

_DEFAULT_WINDOW, _LONGEST_WINDOW = 5000, 60_000  # milliseconds
_AHEAD = 1000


def parse(payload: str | bytes, session: Session) -> list[Action]:
    """Understand one request."""
    try:
        message = json.loads(payload)
    except ValueError:
        return [Reply(_failed(None, 400, Refusal(-1135, "Invalid JSON Request")))]
    if not isinstance(message, dict):
        return [Reply(_failed(None, 400, Refusal(-1135, "Invalid JSON Request")))]
    return [_action(message, session)]


def _action(message: dict[str, Any], session: Session) -> Action:
    method, request_id = message.get("method"), message.get("id")
    params = message.get("params")
    params = params if isinstance(params, dict) else {}
    if method == "userDataStream.subscribe.signature":
        return Login(str(params.get("apiKey", "")), params, (USER_DATA,), request_id)
    if method == "userDataStream.unsubscribe":
        return Unsubscribe((USER_DATA,), request_id)
    if method == "session.subscriptions":
        found = [_subscription(session)] if USER_DATA in session.subscribed else []
        return Reply(done(request_id, found))
    if method == "ping":
        return Reply(done(request_id, {}))
    if method == "time":
        return Reply(done(request_id, {"serverTime": session.now}))
    return Reply(_failed(request_id, 400, Refusal(-1020, "This operation is not supported.")))


def check(login: Login, credentials: Credentials, now: int) -> Refusal | None:
    """Check a signed request.

    :param now: milliseconds since 1970.
    """
    params = login.details
    if login.api_key != credentials.api_key:
        return WRONG_KEY if login.api_key.isalnum() else _BAD_KEY_FORMAT
    try:
        timestamp = int(params["timestamp"])
        window = min(int(params.get("recvWindow", _DEFAULT_WINDOW)), _LONGEST_WINDOW)
    except (KeyError, TypeError, ValueError):
        return Refusal(-1102, "Mandatory parameter 'timestamp' was not sent or malformed.")
    signed = "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
    expected = credentials.hex_signature(signed).encode()
    if not hmac.compare_digest(expected, str(params.get("signature", "")).encode()):
        return _WRONG_SIGNATURE
    if timestamp >= now + _AHEAD:
        return _TOO_NEW
    return _TOO_OLD if now - timestamp > window else None


def login_answer(login: Login, refusal: Refusal | None, session: Session) -> str:
    """Answer a request for the account's stream."""
    if refusal is not None:
        return _failed(login.request_id, 401 if refusal.code == -2015 else 400, refusal)
    session.memory["subscription"] = session.memory.get("subscription", -1) + 1
    return done(login.request_id, _subscription(session))


def event(data: object, session: Session) -> str:
    """Put an event into its envelope."""
    return _compact({**_subscription(session), "event": data})


def done(request_id: object, result: object) -> str:
    """Say that a request was done."""
    return _compact({"id": request_id, "status": 200, "result": result})


def _failed(request_id: object, status: int, refusal: Refusal) -> str:
    error = {"code": refusal.code, "msg": refusal.message}
    return _compact({"id": request_id, "status": status, "error": error})


def _subscription(session: Session) -> dict[str, object]:
    return {"subscriptionId": session.memory.get("subscription", 0)}


def _compact(body: object) -> str:
    return json.dumps(body, separators=(",", ":"))
