"""How the fake exchange misbehaves when it is told to."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus

from wsresilient.testing import FakeExchange, wait_until

from .binance_peers import A_MOMENT, TICKER, TIMEOUT, TRADE, answer, ask, connect, end_of, receive


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with FakeExchange(rate=500.0) as exchange:
        yield exchange


# Ends.


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "going"), (1013, ""), (4401, "\u20ac" * 41)]
)
def test_close_all(exchange: FakeExchange, code: int, reason: str) -> None:
    with connect(exchange.url_for(TRADE)) as one, connect(exchange.echo_url) as two:
        assert exchange.close_all(code, reason) == 2
        assert exchange.close_all() == 0
        assert exchange.connection_count == 0
        assert exchange.subscriptions == {}

        for client in (one, two):
            closed = end_of(client).rcvd
            assert closed is not None
            assert (closed.code, closed.reason) == (code, reason)

    wait_until(lambda: exchange.close_codes == [code, code])


def test_a_close_frame_without_a_code(exchange: FakeExchange) -> None:
    with connect(exchange.url) as client:
        exchange.close_all(None)
        closed = end_of(client).rcvd
        assert closed is not None
        assert closed.code == 1005


def test_the_code_of_the_client_is_written_down(exchange: FakeExchange) -> None:
    with connect(exchange.url_for(TRADE)) as client:
        client.close(3456, "bye")
    with socket.create_connection((exchange.host, exchange.port), TIMEOUT):
        pass  # no connection of WebSocket, so no code

    wait_until(lambda: exchange.close_codes == [3456])


def test_abort_all_is_a_reset(exchange: FakeExchange) -> None:
    with connect(exchange.url_for(TRADE)) as client:
        assert exchange.abort_all() == 1
        assert exchange.connection_count == 0
        assert isinstance(end_of(client).__cause__, ConnectionResetError)

    wait_until(lambda: exchange.close_codes == [1006])


@pytest.mark.parametrize("code", [1012, None])
def test_restart(exchange: FakeExchange, code: int | None) -> None:
    url = exchange.url_for(TRADE)
    with connect(url) as client:
        exchange.restart(0.05, code=code)
        closed = end_of(client).rcvd
        assert closed is None if code is None else closed is not None and closed.code == code

    assert exchange.url_for(TRADE) == url
    with connect(url) as client:
        assert receive(client)["stream"] == TRADE


def test_a_restart_ends_handshakes_too(exchange: FakeExchange) -> None:
    clients = [socket.create_connection((exchange.host, exchange.port), TIMEOUT) for _ in range(50)]
    try:
        clients[0].sendall(b"GET / HTTP/1.1\r\n")
        exchange.restart(0.0)
        for client in clients:
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
    finally:
        for client in clients:
            client.close()


def test_restart_without_waiting(exchange: FakeExchange) -> None:
    exchange.restart(0.3, wait=False)

    with pytest.raises(ConnectionRefusedError):
        connect(exchange.url)
    assert "refuses connects" in repr(exchange)
    wait_until(lambda: "faults: none" in repr(exchange))
    with connect(exchange.url):
        pass


def test_stop_during_a_restart(exchange: FakeExchange) -> None:
    exchange.restart(1000.0, wait=False)

    exchange.stop()

    with exchange.start(), connect(exchange.url_for(TRADE)) as client:
        assert receive(client)["stream"] == TRADE


def test_pause_accepting(exchange: FakeExchange) -> None:
    with connect(exchange.url_for(TRADE)) as client:
        for _ in range(2):
            exchange.pause_accepting()
            exchange.pause_accepting()
            assert receive(client)["stream"] == TRADE
            with pytest.raises(ConnectionRefusedError):
                connect(exchange.url)

            exchange.resume_accepting()
            exchange.resume_accepting()
            with connect(exchange.url):
                pass


def test_pings(exchange: FakeExchange) -> None:
    with connect(exchange.url_for(TRADE), ping_interval=None) as client:
        assert client.ping().wait(TIMEOUT)
        exchange.ignore_pings()
        ignored = client.ping()
        wait_until(lambda: exchange.ping_count == 2)
        assert receive(client)["stream"] == TRADE
        assert not ignored.wait(A_MOMENT)
        exchange.answer_pings()
        assert client.ping().wait(TIMEOUT)
        assert exchange.ping_count == 3


def test_a_lost_acknowledgement(exchange: FakeExchange) -> None:
    exchange.lose_next_ack()
    with connect(exchange.url) as client:
        client.send(json.dumps({"method": "SUBSCRIBE", "params": [TRADE], "id": 1}))

        # It was done all the same.
        assert receive(client)["stream"] == TRADE
        assert ask(client, "SUBSCRIBE", TICKER, request_id=2)["id"] == 2


def test_acknowledgements_of_one_topic_lost_for_good(exchange: FakeExchange) -> None:
    exchange.lose_next_ack(None, topic=TRADE)
    with connect(exchange.url) as client:
        for request_id in (1, 2):
            client.send(json.dumps({"method": "SUBSCRIBE", "params": [TRADE], "id": request_id}))

        assert ask(client, "SUBSCRIBE", TICKER, request_id=3)["id"] == 3


def test_a_refused_topic(exchange: FakeExchange) -> None:
    exchange.refuse_topic(TRADE, 9, "no such thing")
    with connect(exchange.url_for(TRADE, TICKER)) as client:
        assert exchange.subscriptions == {TICKER: 1}
        assert ask(client, "SUBSCRIBE", TRADE, request_id=4) == {
            "error": {"code": 9, "msg": "no such thing"},
            "id": 4,
        }
        exchange.permit_topic(TRADE)
        assert ask(client, "SUBSCRIBE", TRADE)["result"] is None


def test_scripted_responses(exchange: FakeExchange) -> None:
    exchange.respond_status(503, {"Retry-After": "7"}, b"busy", count=2)
    exchange.respond_status(401)
    statuses, headers, bodies = [], [], []
    for _ in range(3):
        with pytest.raises(InvalidStatus) as rejected:
            connect(exchange.url)
        statuses.append(rejected.value.response.status_code)
        headers.append(rejected.value.response.headers.get("Retry-After"))
        bodies.append(bytes(rejected.value.response.body or b""))

    assert statuses == [503, 503, 401]
    assert headers == ["7", "7", None]
    assert bodies == [b"busy", b"busy", b""]
    with connect(exchange.url):
        assert [h.status for h in exchange.handshakes] == [503, 503, 401, 101]
    assert exchange.connection_count == 0 or exchange.close_codes == []


def test_a_scripted_response_for_all_until_it_is_taken_back(exchange: FakeExchange) -> None:
    exchange.respond_status(429, count=None)
    for _ in range(3):
        with pytest.raises(InvalidStatus):
            connect(exchange.url)

    exchange.respond_normally()

    with connect(exchange.url):
        pass


# Silence, and what comes late.


def test_a_silenced_topic_is_subscribed_and_gets_nothing(exchange: FakeExchange) -> None:
    exchange.silence(TRADE)
    with connect(exchange.url_for(TRADE, TICKER)) as client:
        assert {receive(client)["stream"] for _ in range(20)} == {TICKER}
        assert exchange.subscriptions == {TRADE: 1, TICKER: 1}

        exchange.unsilence(TRADE)
        wait_until(lambda: receive(client)["stream"] == TRADE)


def test_acknowledgements_are_held_and_released_in_order(exchange: FakeExchange) -> None:
    exchange.hold_acks()
    with connect(exchange.url) as client:
        for request_id, topic in ((1, TRADE), (2, TICKER)):
            request = {"method": "SUBSCRIBE", "params": [topic], "id": request_id}
            client.send(json.dumps(request))
        # It is done, and not told.
        assert {receive(client)["stream"] for _ in range(20)} == {TRADE, TICKER}

        assert exchange.release_acks() == 2
        assert [answer(client)["id"], answer(client)["id"]] == [1, 2]
        assert ask(client, "UNSUBSCRIBE", TRADE, request_id=3)["id"] == 3
        assert exchange.release_acks() == 0


def test_acknowledgements_take_a_while(exchange: FakeExchange) -> None:
    exchange.delay_acks(0.05)
    with connect(exchange.url) as client:
        started = time.monotonic()
        assert ask(client, "SUBSCRIBE", TRADE)["result"] is None
        assert time.monotonic() - started >= 0.05


def test_an_acknowledgement_for_who_has_gone_is_dropped(exchange: FakeExchange) -> None:
    exchange.hold_acks()
    with connect(exchange.url) as client:
        client.send(json.dumps({"method": "SUBSCRIBE", "params": [TRADE], "id": 1}))
        wait_until(lambda: exchange.subscriptions == {TRADE: 1})
    wait_until(lambda: exchange.connection_count == 0)

    assert exchange.release_acks() == 1
    with connect(exchange.url) as client:
        assert ask(client, "SUBSCRIBE", TRADE)["result"] is None


def test_no_more_acknowledgements_are_lost(exchange: FakeExchange) -> None:
    exchange.lose_next_ack(None)
    exchange.answer_all()
    with connect(exchange.url) as client:
        assert ask(client, "SUBSCRIBE", TRADE)["result"] is None


def test_the_end_may_be_announced_and_not_come(exchange: FakeExchange) -> None:
    with connect(exchange.url) as one, connect(exchange.echo_url):
        assert exchange.announce_shutdown() == 1
        assert receive(one)["stream"] == "!serverShutdown"
        assert exchange.connections == (1, 2)


def test_a_request_and_a_goodbye_in_one_piece(exchange: FakeExchange) -> None:
    with socket.create_connection((exchange.host, exchange.port), TIMEOUT) as client:
        client.sendall(
            b"GET /stream HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        wait_until(lambda: exchange.connection_count == 1)
        request = b'{"method":"LIST_SUBSCRIPTIONS","id":1}'
        text = bytes([0x81, 0x80 + len(request)]) + bytes(4) + request
        client.sendall(text + b"\x88\x82" + bytes(4) + b"\x03\xe8")
        while client.recv(65536):
            continue

    wait_until(lambda: exchange.close_codes == [1000])
    assert len(exchange.requests) == 1
