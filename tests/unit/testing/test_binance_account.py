"""Binance spot's WebSocket API for the own account, after samples of the documentation."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from wsresilient.core.credentials import Credentials
from wsresilient.testing.formats.base import Action, Login, Reply, Session, Unsubscribe
from wsresilient.testing.formats.binance import BinanceFormat

BINANCE = BinanceFormat()
NOW = 1_747_385_641_636
CREDENTIALS = Credentials("theKey", "the-secret")


def session() -> Session:
    made = BINANCE.open("/ws-api/v3")
    assert made is not None
    made.now = NOW
    return made


def parse(message: object, at: Session | None = None) -> Action:
    (action,) = BINANCE.parse(json.dumps(message), at or session())
    return action


def reply(message: object, at: Session | None = None) -> Any:
    action = parse(message, at)
    assert isinstance(action, Reply)
    return json.loads(action.payload)


def login(**changes: Any) -> Login:
    params: dict[str, Any] = {"apiKey": "theKey", "timestamp": NOW, **changes}
    text = "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
    signature = hmac.new(b"the-secret", text.encode(), hashlib.sha256).hexdigest()
    params = {"signature": signature, **params}
    method = "userDataStream.subscribe.signature"
    action = parse({"id": "d3df8a22", "method": method, "params": params})
    assert isinstance(action, Login)
    return action


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"timestamp": NOW - 5000}, None),
        ({"timestamp": NOW + 999}, None),
        ({"timestamp": NOW - 5001}, -1021),
        ({"timestamp": NOW + 1000}, -1021),
        ({"timestamp": NOW - 59_000, "recvWindow": 60_000}, None),
        ({"timestamp": NOW - 61_000, "recvWindow": 90_000}, -1021),
        ({"timestamp": NOW - 200, "recvWindow": 100}, -1021),
        ({"timestamp": "soon"}, -1102),
        ({"apiKey": "other"}, -2015),
        ({"apiKey": ""}, -2014),
        ({"signature": "0" * 64}, -1022),
        ({"signature": "\u20ac"}, -1022),
    ],
)
def test_a_signed_request_is_checked(changes: dict[str, Any], code: int | None) -> None:
    refusal = BINANCE.check_login(login(**changes), CREDENTIALS, NOW)

    assert (None if refusal is None else refusal.code) == code


def test_the_documentation_s_own_signature() -> None:
    secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    key = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
    params = {
        **{"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC"},
        **{"quantity": "0.01000000", "price": "52000.00", "recvWindow": 100, "apiKey": key},
        **{"timestamp": 1645423376532},
        "signature": "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
    }

    assert BINANCE.check_login(Login(key, params), Credentials(key, secret), 1645423376600) is None


def test_a_subscription_has_a_number() -> None:
    at = session()
    first = BINANCE.login_answer(login(), None, at)
    second = BINANCE.login_answer(login(), None, at)

    assert first == ['{"id":"d3df8a22","status":200,"result":{"subscriptionId":0}}']
    assert second == ['{"id":"d3df8a22","status":200,"result":{"subscriptionId":1}}']
    assert BINANCE.private("userData", {"e": "balanceUpdate"}, at, NOW) == (
        '{"subscriptionId":1,"event":{"e":"balanceUpdate"}}'
    )
    assert login().topics == ("userData",)


@pytest.mark.parametrize(("changes", "status"), [({"apiKey": "no"}, 401), ({"timestamp": 0}, 400)])
def test_a_refusal_has_a_status(changes: dict[str, Any], status: int) -> None:
    attempt = login(**changes)
    refusal = BINANCE.check_login(attempt, CREDENTIALS, NOW)
    assert refusal is not None

    (answer,) = BINANCE.login_answer(attempt, refusal, session())

    assert isinstance(answer, str)
    assert json.loads(answer) == {
        "id": "d3df8a22",
        "status": status,
        "error": {"code": refusal.code, "msg": refusal.message},
    }


def test_the_other_requests() -> None:
    at = session()
    assert reply({"id": 1, "method": "session.subscriptions"}, at)["result"] == []
    at.subscribed["userData"] = None

    assert reply({"id": 1, "method": "session.subscriptions"}, at) == {
        "id": 1,
        "status": 200,
        "result": [{"subscriptionId": 0}],
    }
    assert reply({"id": 2, "method": "ping"}) == {"id": 2, "status": 200, "result": {}}
    assert reply({"id": 3, "method": "time"})["result"] == {"serverTime": NOW}
    leave = parse({"id": 4, "method": "userDataStream.unsubscribe"})
    assert leave == Unsubscribe(("userData",), 4)
    assert BINANCE.answer(leave, leave.topics, {}, at) == ['{"id":4,"status":200,"result":{}}']


@pytest.mark.parametrize(
    ("message", "code"),
    [({"id": 5, "method": "order.moon"}, -1020), ({"id": 5}, -1020), ([], -1135), (7, -1135)],
)
def test_what_is_no_request(message: object, code: int) -> None:
    error = reply(message)

    assert error["status"] == 400
    assert error["error"]["code"] == code
    assert error["id"] == (5 if isinstance(message, dict) else None)


def test_what_is_no_json() -> None:
    (action,) = BINANCE.parse("nonsense", session())

    assert isinstance(action, Reply)
    assert json.loads(action.payload)["error"]["code"] == -1135
