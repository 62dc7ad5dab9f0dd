"""The opening handshake: what is sent, what is refused, and that no answer betrays a secret."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from wsresilient import (
    AuthenticationError,
    ConnectionFailedError,
    HandshakeError,
    OpenTimeoutError,
)

from .clients import QUICK, SLOW_RETRY, Seen, running
from .servers import PATIENCE, TEXT, Behaviour, Peer, frame, raw_server, serve_nothing, wait_until

FATAL = [("404 Not Found", 404), ("302 Found", 302), ("200 OK", 200), ("400 Bad Request", 400)]


def refusing(status: str, *headers: str, body: str = "") -> Behaviour:
    return lambda peer: peer.refuse(status, *headers, body=body)


def given_up(url: object, **settings: object) -> tuple[ConnectionFailedError, Seen]:
    with running(url, connected=False, **settings) as (ws, seen):
        assert ws.join(PATIENCE)
        with pytest.raises(ConnectionFailedError) as caught:
            ws.wait_until_connected(PATIENCE)
    return caught.value, seen


# What is asked for.


def test_request_has_path_query_host_and_own_headers() -> None:
    with raw_server(serve_nothing) as server:
        url = f"ws://me:pass%20word@127.0.0.1:{server.port}/stream/x?token=abc&empty="
        with running(url, headers={"X-Own": "yes"}, subprotocols=["one", "two"]):
            peer = server.peers[0]
            assert peer.target == "/stream/x?token=abc&empty="
            assert peer.headers["host"] == f"127.0.0.1:{server.port}"
            assert peer.headers["x-own"] == "yes"
            assert peer.headers["authorization"] == "Basic bWU6cGFzcyB3b3Jk"
            assert peer.headers["sec-websocket-protocol"] == "one, two"
            assert peer.headers["sec-websocket-version"] == "13"
            assert "wsresilient" in peer.headers["user-agent"]


def test_chosen_subprotocol_is_told() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(peer.accept_answer("Sec-WebSocket-Protocol: two"))
        peer.serve()

    with (
        raw_server(behave, handshake=False) as server,
        running(server.url, subprotocols=["one", "two"]) as (ws, _),
    ):
        assert ws.subprotocol == "two"


def test_url_and_headers_callables_are_called_once_per_attempt_on_its_thread() -> None:
    calls: list[tuple[str, str]] = []

    def behave(peer: Peer) -> None:
        if peer.number == 3:
            peer.serve()

    with raw_server(behave) as server:

        def url() -> str:
            calls.append(("url", threading.current_thread().name))
            return f"{server.url}/{len(calls)}"

        def headers() -> dict[str, str]:
            calls.append(("headers", threading.current_thread().name))
            return {"X-Number": str(len(calls))}

        with running(url, headers=headers, connected=False):
            server.wait_for(3)
            wait_until(lambda: bool(server.peers[2].head))
        assert calls == [("url", "wsr-test"), ("headers", "wsr-test")] * 3
        assert [peer.target for peer in server.peers] == ["/1", "/3", "/5"]
        assert [peer.headers["x-number"] for peer in server.peers] == ["2", "4", "6"]


def test_callable_that_raises_costs_one_attempt_only() -> None:
    answers: list[Exception | str] = [RuntimeError("no token yet"), ValueError("nor now")]

    def url() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with raw_server(serve_nothing) as server:
        answers.append(server.url)
        with running(url) as (ws, seen):
            assert [str(error) for error in seen.errors] == ["no token yet", "nor now"]
            assert ws.get_stats()["error_count"] == 2


def test_callable_that_ends_its_thread_leaves_a_true_state() -> None:
    def url() -> str:
        raise SystemExit(3)

    with running(url, connected=False, reconnect=SLOW_RETRY) as (ws, seen):
        wait_until(lambda: seen.errors or not ws.is_running)
        assert ws.state in ("reconnecting", "failed")


# What came with the answer.


def test_frames_in_the_packet_of_the_handshake_are_delivered_at_once() -> None:
    def behave(peer: Peer) -> None:
        peer.accept(followed_by=b"".join(frame(TEXT, str(n)) for n in range(500)))
        peer.serve()

    with raw_server(behave, handshake=False) as server, running(server.url) as (_, seen):
        assert seen.wait_for_messages(500) == [str(n) for n in range(500)]


def test_answer_in_single_bytes_is_understood() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        for byte in peer.accept_answer() + frame(TEXT, "there"):
            peer.sock.sendall(bytes([byte]))
        peer.serve()

    with raw_server(behave, handshake=False) as server, running(server.url) as (_, seen):
        assert seen.wait_for_messages(1) == ["there"]


# Refusals.


@pytest.mark.parametrize(("line", "status"), FATAL, ids=[line for line, _ in FATAL])
def test_refusal_that_will_not_change_is_final(line: str, status: int) -> None:
    with raw_server(refusing(line, body="because so"), handshake=False) as server:
        error, seen = given_up(server.url)
        assert server.count == 1
        assert str(status) in str(error)
        assert "because so" in str(error)
        assert isinstance(seen.errors[0], HandshakeError)
        assert seen.errors[0].status == status
        assert seen.closes == []


def test_redirect_is_not_followed_and_says_where_it_pointed() -> None:
    with raw_server(serve_nothing) as other:
        location = f"Location: {other.url}/there?token=abcdef"
        with raw_server(refusing("302 Found", location), handshake=False) as server:
            error, _ = given_up(server.url, headers={"Authorization": "Bearer sesame-open"})
            assert f"{other.url}/there" in str(error)
            assert "abcdef" not in str(error)
            assert other.count == 0
            assert server.count == 1


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_final_when_nothing_could_give_others(status: int) -> None:
    with raw_server(refusing(f"{status} No", body="who are you"), handshake=False) as server:
        error, seen = given_up(server.url)
        assert isinstance(error, AuthenticationError)
        assert error.status == status
        assert "who are you" in str(error)
        assert isinstance(seen.errors[0], AuthenticationError)
        assert len(seen.errors) == 1
        assert server.count == 1


@pytest.mark.parametrize("which", ["url", "headers"])
@pytest.mark.parametrize("status", [401, 403])
def test_callables_may_give_other_credentials_once(status: int, which: str) -> None:
    with raw_server(refusing(f"{status} No"), handshake=False) as server:
        url: object = (lambda: server.url) if which == "url" else server.url
        headers = (lambda: {"X": "y"}) if which == "headers" else None
        error, _ = given_up(url, headers=headers)
        assert isinstance(error, AuthenticationError)
        assert server.count == 2


def test_other_credentials_that_are_accepted_go_on() -> None:
    def behave(peer: Peer) -> None:
        if peer.number == 1:
            peer.refuse("401 Unauthorized")
        else:
            peer.accept()
            peer.serve()

    tokens = iter(["old-token", "new-token"])
    with (
        raw_server(behave, handshake=False) as server,
        running(server.url, headers=lambda: {"Authorization": next(tokens)}) as (ws, _),
    ):
        assert [peer.headers["authorization"] for peer in server.peers] == [
            "old-token",
            "new-token",
        ]
        assert "AuthenticationError" in ws.last_error


def test_after_each_connection_other_credentials_may_be_given_again() -> None:
    def behave(peer: Peer) -> None:
        if peer.number in (1, 3):
            peer.refuse("401 Unauthorized")
        else:
            peer.accept()
            if peer.number == 2:
                peer.close(1012, "restart")  # long before min_uptime
            peer.serve()

    with (
        raw_server(behave, handshake=False) as server,
        running(server.url, headers=lambda: {"X": "y"}, min_uptime=600.0) as (_, seen),
    ):
        seen.wait_for_opens(2)
        assert server.count == 4


@pytest.mark.parametrize("code", [4401, 4403])
def test_close_codes_for_authentication_are_final(code: int) -> None:
    with raw_server(lambda peer: peer.close(code, "expired")) as server:
        error, _ = given_up(server.url)
        assert isinstance(error, AuthenticationError)
        assert error.status == code
        assert server.count == 1


def test_policy_violation_is_final_only_with_an_authentication_text() -> None:
    def behave(peer: Peer) -> None:
        peer.close(1008, "too many messages" if peer.number == 1 else "invalid api key")

    with raw_server(behave) as server:
        error, _ = given_up(server.url)
        assert isinstance(error, AuthenticationError)
        assert server.count == 2


@pytest.mark.parametrize("status", ["500 Oops", "503 Busy", "429 Too Many", "408 Timeout"])
def test_refusal_that_may_pass_is_tried_again(status: str) -> None:
    def behave(peer: Peer) -> None:
        if peer.number <= 7:
            peer.refuse(status)
        else:
            peer.accept()
            peer.serve()

    with raw_server(behave, handshake=False) as server, running(server.url) as (_, seen):
        assert server.count == 8
        assert len(seen.errors) == 7


def test_retry_after_is_a_lower_bound_of_the_delay() -> None:
    def behave(peer: Peer) -> None:
        if peer.number == 1:
            peer.refuse("503 Busy", "Retry-After: 1")
        else:
            peer.accept()
            peer.serve()

    started = time.monotonic()
    with raw_server(behave, handshake=False) as server, running(server.url) as (_, seen):
        assert time.monotonic() - started >= 1.0
        error = seen.errors[0]
        assert isinstance(error, HandshakeError)
        assert error.retry_after == 1.0


def test_server_that_never_answers_is_retried_for_ever() -> None:
    settings: dict[str, Any] = {"open_timeout": 0.05, "reconnect": QUICK, "connected": False}
    with (
        raw_server(Peer.ignore, handshake=False) as server,
        running(server.url, **settings) as (ws, seen),
    ):
        errors = seen.wait_for_errors(8)
        assert {type(error) for error in errors} == {OpenTimeoutError}
        assert ws.state != "failed"
        assert "did not answer" in ws.last_error


def test_drip_of_bytes_does_not_outlive_the_open_timeout() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        for byte in b"HTTP/1.1 101 Switching Protocols\r\nX-Long: " + b"y" * 10_000:
            peer.sock.sendall(bytes([byte]))
            if peer.leaving.wait(0.02):
                return

    settings: dict[str, Any] = {"open_timeout": 0.3, "reconnect": SLOW_RETRY, "connected": False}
    with (
        raw_server(behave, handshake=False) as server,
        running(server.url, **settings) as (_, seen),
    ):
        assert isinstance(seen.wait_for_errors(1)[0], OpenTimeoutError)


def test_endless_headers_are_cut_off() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        while True:
            peer.sock.sendall(b"X-More: " + b"y" * 1000 + b"\r\n")

    with (
        raw_server(behave, handshake=False) as server,
        running(server.url, connected=False, reconnect=SLOW_RETRY) as (_, seen),
    ):
        error = seen.wait_for_errors(1)[0]
        assert isinstance(error, HandshakeError)
        assert "65536" in str(error)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n", b"SSH-2.0-OpenSSH\r\n\r\n"]
)
def test_server_that_speaks_no_websocket_is_given_up_after_a_few(answer: bytes) -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(answer)

    with raw_server(behave, handshake=False) as server:
        error, _ = given_up(server.url)
        assert "HandshakeError" in str(error)
        assert 1 < server.count <= 10
