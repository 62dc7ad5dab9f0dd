"""Pull style: recv(), iteration, request(); over reconnects, with a timeout, until stop()."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import Running
from wsresilient import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    Message,
    NotConnectedError,
    ReconnectPolicy,
    ResilientWebSocket,
)

from .clients import SLOW_RETRY, quick, running
from .servers import (
    PATIENCE,
    TEXT,
    Peer,
    free_port,
    good_server,
    raw_server,
    serve_nothing,
    wait_until,
)

PULLED: dict[str, Any] = {"on_message": None}


def counting(peer: Peer) -> None:
    """Send three numbers, the first times without a farewell."""
    peer.text(*(f"{peer.number}.{n}" for n in range(3)))
    if peer.number == 4:
        peer.serve()


def hundred(peer: Peer) -> None:
    peer.text(*map(str, range(100)))
    peer.serve()


# recv and iteration.


def test_recv_takes_messages_in_order_over_reconnects() -> None:
    with raw_server(counting) as server, running(server.url, connected=False, **PULLED) as (ws, _):
        got = [ws.recv(PATIENCE) for _ in range(12)]
        assert got == [f"{connection}.{n}" for connection in range(1, 5) for n in range(3)]


def test_iteration_goes_on_over_reconnects_until_it_is_stopped() -> None:
    with raw_server(counting) as server, running(server.url, connected=False, **PULLED) as (ws, _):
        got = []
        for payload in ws:
            got.append(payload)
            if len(got) == 12:
                ws.stop()
        assert got[0] == "1.0"
        assert got[-1] == "4.2"


def test_text_and_binary_come_as_such() -> None:
    with good_server() as server, running(server.url, **PULLED) as (ws, _):
        ws.send("text")
        ws.send(b"binary")
        assert [ws.recv(PATIENCE), ws.recv(PATIENCE)] == ["text", b"binary"]


def test_timeout_takes_no_message_away() -> None:
    go_on = threading.Event()

    def behave(peer: Peer) -> None:
        go_on.wait(PATIENCE)
        peer.text("at last")
        peer.serve()

    with raw_server(behave) as server, running(server.url, **PULLED) as (ws, _):
        for timeout in (0, 0.01, 0.05):
            before = time.monotonic()
            with pytest.raises(TimeoutError, match="no message within"):
                ws.recv(timeout)
            assert time.monotonic() - before >= timeout
        go_on.set()
        assert ws.recv(PATIENCE) == "at last"


def test_messages_before_the_first_recv_are_kept() -> None:
    with raw_server(hundred) as server, running(server.url, **PULLED) as (ws, _):
        wait_until(lambda: ws.get_stats()["message_count"] == 100)
        assert ws.get_stats()["queue_depth"] == 100
        assert [ws.recv(PATIENCE) for _ in range(100)] == [str(n) for n in range(100)]
        with pytest.raises(TimeoutError):
            ws.recv(0)
        assert ws.get_stats()["queue_depth"] == 0


def test_each_message_goes_to_one_of_several_pullers() -> None:
    def pull(ws: ResilientWebSocket) -> list[object]:
        return list(ws)

    with raw_server(hundred) as server, running(server.url, connected=False, **PULLED) as (ws, _):
        pullers = [Running(pull, ws) for _ in range(4)]
        wait_until(lambda: ws.get_stats()["message_count"] == 100)
        wait_until(lambda: ws.get_stats()["queue_depth"] == 0)
        assert ws.stop(PATIENCE)
        got = [text for puller in pullers for text in puller.result()]
        assert sorted(got, key=int) == [str(n) for n in range(100)]


def test_recv_is_refused_before_the_start_and_after_the_stop() -> None:
    with raw_server(serve_nothing) as server:
        ws = quick(server.url)
        with pytest.raises(NotConnectedError, match="start"):
            ws.recv()
        with ws:
            assert ws.wait_until_connected(PATIENCE)
        with pytest.raises(NotConnectedError, match="stopped"):
            ws.recv()
        assert list(ws) == []


def test_stop_wakes_all_who_wait() -> None:
    with raw_server(serve_nothing) as server, running(server.url, **PULLED) as (ws, _):
        pulling, iterating = Running(ws.recv), Running(lambda: list(ws))
        assert pulling.waits_in("get")
        assert iterating.waits_in("get")
        assert ws.stop()
        with pytest.raises(NotConnectedError):
            pulling.result()
        assert iterating.result() == []


def test_what_came_before_the_end_is_pulled_before_the_failure_is_told() -> None:
    def behave(peer: Peer) -> None:
        peer.text("a", "b")
        peer.close(4401, "expired")

    with raw_server(behave) as server, running(server.url, connected=False, **PULLED) as (ws, _):
        assert ws.join(PATIENCE)
        iterator = iter(ws)
        assert [next(iterator), next(iterator)] == ["a", "b"]
        with pytest.raises(AuthenticationError, match="expired"):
            next(iterator)
        with pytest.raises(AuthenticationError, match="expired"):
            ws.recv()


def test_failure_wakes_who_waits() -> None:
    policy = ReconnectPolicy(max_attempts=0)
    url = f"ws://127.0.0.1:{free_port()}"
    with (
        running(url, connected=False, reconnect=policy, **PULLED) as (ws, _),
        pytest.raises(ConnectionFailedError, match="refused"),
    ):
        ws.recv(PATIENCE)


def test_recv_is_not_for_connections_with_a_handler() -> None:
    with (
        raw_server(serve_nothing) as server,
        running(server.url) as (ws, _),
        pytest.raises(ConfigurationError, match="on_message"),
    ):
        ws.recv(0)


def test_handler_added_later_gets_what_nobody_pulled() -> None:
    def behave(peer: Peer) -> None:
        peer.text("1", "2", "3")
        peer.read_until(TEXT)
        peer.text("4")
        peer.serve()

    got: list[object] = []
    with raw_server(behave) as server, running(server.url, **PULLED) as (ws, _):
        wait_until(lambda: ws.get_stats()["message_count"] == 3)
        assert ws.recv(PATIENCE) == "1"
        ws.on("message", got.append)
        ws.send("go on")
        wait_until(lambda: got == ["2", "3", "4"])
        assert ws.get_stats()["queue_depth"] == 0


# Nobody pulls, or not fast enough.


def test_messages_that_nobody_ever_pulls_hold_nothing_up() -> None:
    with (
        raw_server(hundred) as server,
        running(server.url, queue_size=10, **PULLED) as (ws, seen),
    ):
        wait_until(lambda: ws.get_stats()["message_count"] == 100)
        wait_until(lambda: ws.get_stats()["queue_depth"] == 10)
        stats = ws.get_stats()
        assert (stats["unrouted_messages"], stats["dropped_messages"]) == (90, 0)
        assert seen.gaps == []
        assert [ws.recv(PATIENCE) for _ in range(10)] == [str(n) for n in range(90, 100)]


def test_block_holds_the_reader_back_until_somebody_pulls() -> None:
    def behave(peer: Peer) -> None:
        peer.read_until(TEXT)
        for first in range(0, 1000, 50):
            peer.text(*(str(n) for n in range(first, first + 50)))
        peer.serve()

    with (
        raw_server(behave) as server,
        running(server.url, queue_size=10, **PULLED) as (ws, seen),
    ):
        with pytest.raises(TimeoutError):
            ws.recv(0)  # from now on somebody pulls
        ws.send("go on")
        wait_until(lambda: ws.get_stats()["queue_depth"] >= 10)
        assert [ws.recv(PATIENCE) for _ in range(1000)] == [str(n) for n in range(1000)]
        assert ws.get_stats()["dropped_messages"] == 0
        assert seen.gaps == []


def test_overflow_of_a_puller_is_a_gap() -> None:
    def behave(peer: Peer) -> None:
        peer.read_until(TEXT)
        hundred(peer)

    settings: dict[str, Any] = {"queue_size": 10, "overflow": "drop_oldest", **PULLED}
    with raw_server(behave) as server, running(server.url, **settings) as (ws, seen):
        with pytest.raises(TimeoutError):
            ws.recv(0)
        ws.send("go on")
        wait_until(lambda: bool(seen.gaps))
        wait_until(lambda: ws.get_stats()["message_count"] == 100)
        assert {gap.reason for gap in seen.gaps} == {"overflow"}
        assert ws.get_stats()["dropped_messages"] == 90
        assert [ws.recv(PATIENCE) for _ in range(10)] == [str(n) for n in range(90, 100)]


# request().


def answering(peer: Peer) -> None:
    """Answer {"id": n} with {"id": n, "ok": true}, between other messages."""
    while True:
        asked = peer.read()
        if asked.opcode != TEXT:
            peer.send(asked.opcode, asked.payload)
            return
        peer.text("noise", asked.payload.decode().replace("}", ',"ok":true}'), "[1,2]")


def by_id(number: int) -> Callable[[Message], bool]:
    def match(message: Message) -> bool:
        return isinstance(message.data, dict) and message.data.get("id") == number

    return match


def test_request_returns_the_decoded_answer_that_matches() -> None:
    with raw_server(answering) as server, running(server.url) as (ws, seen):
        answer = ws.request({"id": 7}, timeout=PATIENCE, match=by_id(7))
        assert answer == {"id": 7, "ok": True}
        # The answer is a message like any other.
        assert seen.wait_for_messages(3) == ["noise", '{"id":7,"ok":true}', "[1,2]"]


def test_request_works_beside_pulling() -> None:
    with raw_server(answering) as server, running(server.url, **PULLED) as (ws, _):
        assert ws.request({"id": 1}, timeout=PATIENCE, match=by_id(1))["ok"]
        assert [ws.recv(PATIENCE) for _ in range(3)] == ["noise", '{"id":1,"ok":true}', "[1,2]"]


def test_requests_of_eight_threads_get_their_own_answers() -> None:
    def ask(ws: ResilientWebSocket, first: int) -> list[object]:
        ids = range(first, first + 20)
        return [ws.request({"id": n}, timeout=PATIENCE, match=by_id(n))["id"] for n in ids]

    with raw_server(answering) as server, running(server.url) as (ws, _):
        askers = [Running(ask, ws, 100 * n) for n in range(8)]
        for n, asker in enumerate(askers):
            assert asker.result() == list(range(100 * n, 100 * n + 20))


def test_match_is_told_what_on_data_would_be() -> None:
    got: list[Message] = []
    with raw_server(answering) as server, running(server.url, decoder=str.upper) as (ws, _):

        def match(message: Message) -> bool:
            got.append(message)
            return bool(message.data == '{"ID":1,"OK":TRUE}')

        assert ws.request({"id": 1}, timeout=PATIENCE, match=match) == '{"ID":1,"OK":TRUE}'
        assert [message.data for message in got] == ["NOISE", '{"ID":1,"OK":TRUE}']
        assert (got[0].connection, got[0].generation) == ("test", 1)


def test_request_without_an_answer_times_out_and_the_next_one_works() -> None:
    with raw_server(answering) as server, running(server.url) as (ws, _):
        with pytest.raises(TimeoutError, match="no answer"):
            ws.request({"id": 1}, timeout=0.05, match=by_id(2))
        assert ws.request({"id": 3}, timeout=PATIENCE, match=by_id(3))["ok"]
        assert ws.is_connected


def test_request_ends_when_the_link_drops() -> None:
    def behave(peer: Peer) -> None:
        peer.read_until(TEXT)
        if peer.number > 1:
            peer.serve()

    with (
        raw_server(behave) as server,
        running(server.url, reconnect=SLOW_RETRY) as (ws, _),
        pytest.raises(NotConnectedError, match="before the answer"),
    ):
        ws.request("?", timeout=60.0, match=bool)


def test_request_needs_a_connection_and_a_match() -> None:
    ws = quick("ws://127.0.0.1:9")
    with pytest.raises(NotConnectedError):
        ws.request("?", timeout=1.0, match=bool)
    with pytest.raises(ConfigurationError, match="match"):
        ws.request("?", timeout=1.0)
    with pytest.raises(ConfigurationError, match="timeout"):
        ws.request("?", timeout=0, match=bool)


def test_error_of_match_is_the_callers() -> None:
    def match(_message: Message) -> bool:
        raise LookupError("no")

    with raw_server(answering) as server, running(server.url) as (ws, seen):
        with pytest.raises(LookupError):
            ws.request({"id": 1}, timeout=PATIENCE, match=match)
        assert ws.request({"id": 2}, timeout=PATIENCE, match=by_id(2))["ok"]
        assert seen.errors == []
        assert ws.get_stats()["callback_errors"] == 0
