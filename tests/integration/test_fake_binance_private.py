"""The fake Binance: the own account on spot and futures, and the routes of the futures."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from wsresilient.testing import FakeExchange, wait_until
from wsresilient.venues import Binance

from .venue_peers import TIMEOUT, VenuePeer, get_json, opened

KLINE, DEPTH, TRADE = "btcusdt@kline_1m", "btcusdt@depth", "btcusdt@aggTrade"
REPORT = {"e": "executionReport", "s": "BTCUSDT", "I": 1}


@pytest.fixture
def spot() -> Iterator[FakeExchange]:
    with FakeExchange("binance", rate=500.0) as exchange:
        yield exchange


@pytest.fixture
def futures() -> Iterator[FakeExchange]:
    with FakeExchange(Binance("futures"), rate=500.0) as exchange:
        yield exchange


def connect(exchange: FakeExchange, path: str) -> AbstractContextManager[VenuePeer]:
    return opened(
        f"{exchange.base_url}{path}",
        lambda message: "event" in message or "data" in message or "e" in message,
    )


def sign_up(request_id: str = "login", **changes: Any) -> dict[str, Any]:
    params: dict[str, Any] = {"apiKey": "key", "timestamp": int(time.time() * 1000), **changes}
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    params["signature"] = hmac.new(b"secret", text.encode(), hashlib.sha256).hexdigest()
    method = "userDataStream.subscribe.signature"
    return {"id": request_id, "method": method, "params": params}


def listen_key(exchange: FakeExchange, method: str = "POST") -> Any:
    request = urllib.request.Request(
        f"{exchange.rest_url}/fapi/v1/listenKey", method=method, headers={"X-MBX-APIKEY": "key"}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        return json.load(response).get("listenKey")


def ask(client: VenuePeer, method: str, *params: str) -> Any:
    return client.ask({"method": method, "params": list(params), "id": 1})


# Spot.


def test_the_own_account_on_spot(spot: FakeExchange) -> None:
    with connect(spot, "/ws-api/v3") as client:
        assert spot.push_private("userData", REPORT) == 0
        assert client.ask(sign_up()) == {
            "id": "login",
            "status": 200,
            "result": {"subscriptionId": 0},
        }
        assert spot.active_topics(1) == ("userData",)
        assert spot.push_private("userData", REPORT) == 1
        assert client.data(1) == [{"subscriptionId": 0, "event": REPORT}]

        leave = {"id": 2, "method": "userDataStream.unsubscribe"}
        assert client.ask(leave) == {"id": 2, "status": 200, "result": {}}
        assert spot.push_private("userData", REPORT) == 0


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [({"apiKey": "other"}, 401, -2015), ({"timestamp": 1}, 400, -1021)],
)
def test_a_bad_signature_is_told_and_the_connection_lives(
    spot: FakeExchange, changes: dict[str, Any], status: int, code: int
) -> None:
    with connect(spot, "/ws-api/v3") as client:
        refused = client.ask(sign_up(**changes))
        assert (refused["status"], refused["error"]["code"]) == (status, code)
        assert client.ask(sign_up("again"))["status"] == 200

    assert [attempt.code for attempt in spot.logins] == [code, None]


def test_the_end_is_announced_to_streams_and_api(spot: FakeExchange) -> None:
    with connect(spot, "/stream") as stream, connect(spot, "/ws-api/v3") as api:
        assert spot.announce_shutdown() == 2

        assert stream.data(1)[0]["stream"] == "!serverShutdown"
        assert api.data(1)[0]["event"]["e"] == "serverShutdown"


# The futures' account.


def test_the_own_account_on_futures(futures: FakeExchange) -> None:
    order, account = {"e": "ORDER_TRADE_UPDATE", "o": {}}, {"e": "ACCOUNT_UPDATE", "a": {}}
    key = listen_key(futures)
    assert listen_key(futures) == listen_key(futures, "PUT") == key
    with (
        connect(futures, f"/private/ws/{key}") as all_events,
        connect(futures, f"/private/stream?listenKey={key}&events=ACCOUNT_UPDATE") as some,
        connect(futures, "/private/ws/nosuchkey"),
    ):
        wait_until(lambda: futures.connection_count == 3)
        assert futures.push_private("userData", order) == 1
        assert futures.push_private("userData", account) == 2

        assert all_events.data(2) == [order, account]
        assert some.data(1) == [{"stream": key, "data": account}]


def test_a_listen_key_expires(futures: FakeExchange) -> None:
    key = listen_key(futures)
    with connect(futures, f"/private/ws/{key}") as client:
        futures.expire_listen_keys()
        (notice,) = client.data(1)

        assert (notice["e"], notice["listenKey"]) == ("listenKeyExpired", key)
        assert isinstance(notice["E"], str)
        assert futures.push_private("userData", {"e": "A"}) == 0
    assert listen_key(futures) != key


def test_a_listen_key_that_nobody_extends() -> None:
    with FakeExchange("binance-futures", listen_key_age=0.1) as futures:
        key = listen_key(futures)
        with connect(futures, f"/private/ws/{key}") as client:
            assert client.data(1)[0]["e"] == "listenKeyExpired"
            assert futures.push_private("userData", {"e": "A"}) == 0


# The futures' routes.


def test_a_stream_on_the_wrong_route_is_acknowledged_and_silent(futures: FakeExchange) -> None:
    with (
        connect(futures, "/public/stream") as public,
        connect(futures, "/market/stream") as market,
        connect(futures, "/stream") as legacy,
    ):
        for client in (public, market, legacy):
            assert ask(client, "SUBSCRIBE", KLINE, DEPTH) == {"result": None, "id": 1}

        streams = [{m["stream"] for m in c.data(5)} for c in (public, market, legacy)]

    assert streams == [{DEPTH}, {KLINE}, {DEPTH}]


def test_the_url_of_topics_has_their_route(futures: FakeExchange) -> None:
    with opened(futures.url_for(KLINE, TRADE), lambda m: "stream" in m) as client:
        assert {message["stream"] for message in client.data(10)} == {KLINE, TRADE}


def test_a_book_of_the_futures_is_followed_by_its_previous_number(futures: FakeExchange) -> None:
    with opened(futures.url_for(DEPTH), lambda m: "stream" in m) as client:
        before = client.data(3)
        status, book = get_json(f"{futures.rest_url}/fapi/v1/depth?symbol=BTCUSDT&limit=1000")
        updates = [message["data"] for message in before]
        while updates[-1]["u"] < book["lastUpdateId"]:  # the socket may hold older ones
            updates += [message["data"] for message in client.data(20)]

    assert status == 200
    assert all(b["pu"] == a["u"] for a, b in itertools.pairwise(updates))
    assert all(b["U"] > a["u"] + 1 for a, b in itertools.pairwise(updates))
    relevant = [update for update in updates if update["u"] >= book["lastUpdateId"]]
    assert relevant[0]["U"] <= book["lastUpdateId"] <= relevant[0]["u"]
