"""compat.WebSocketApp: what its arguments ask for, how it sends, and which TLS it speaks."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
import trustme

from wsresilient import CertificateError, ConfigurationError, NotConnectedError
from wsresilient.compat import ABNF, WebSocketApp

from .apps import Recorder, run, sending
from .servers import Peer, good_server, raw_server

# What is asked for.


@pytest.mark.parametrize(
    "header",
    [
        ["X-One: 1", "X-Two: a:b"],
        {"X-One": "1", "X-Two": "a:b"},
        lambda: ["X-One: 1", "X-Two: a:b"],
        lambda: {"X-One": "1", "X-Two": "a:b"},
    ],
    ids=["list", "dict", "callable list", "callable dict"],
)
def test_header_cookie_subprotocols_host_and_origin(header: Any) -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(peer.accept_answer("Sec-WebSocket-Protocol: two"))
        peer.close(1000)

    with raw_server(behave, handshake=False) as server:
        app = WebSocketApp(server.url, header=header, cookie="id=7", subprotocols=["one", "two"])
        assert run(app, host="other.test", origin="http://from.test") is False
        headers = server.peers[0].headers
    assert (headers["x-one"], headers["x-two"]) == ("1", "a:b")
    assert headers["cookie"] == "id=7"
    assert headers["sec-websocket-protocol"] == "one, two"
    assert headers["host"] == "other.test"
    assert headers["origin"] == "http://from.test"


def test_origin_may_be_suppressed() -> None:
    with raw_server(sending()) as server:
        run(WebSocketApp(server.url), suppress_origin=True)
        assert "origin" not in server.peers[0].headers


def test_send_in_its_three_ways() -> None:
    def send(app: WebSocketApp) -> None:
        app.send("text")
        app.send(b"bytes as text")
        app.send("text as binary", ABNF.OPCODE_BINARY)
        app.send_text("more")
        app.send_bytes(b"\xff")

    got: list[object] = []

    def count(app: WebSocketApp, message: object) -> None:
        got.append(message)
        if len(got) == 5:
            app.close()

    with good_server() as server:
        run(WebSocketApp(server.url, on_open=send, on_message=count))
    assert got == ["text", "bytes as text", b"text as binary", "more", b"\xff"]


def test_send_without_a_connection_is_refused() -> None:
    app = WebSocketApp("ws://127.0.0.1:9")
    with pytest.raises(NotConnectedError):
        app.send("x")
    with pytest.raises(ConfigurationError, match="opcode"):
        app.send("x", 8)
    app.close()
    assert not app.ready()


@pytest.mark.parametrize("opcode", [ABNF.OPCODE_PING, ABNF.OPCODE_PONG])
def test_pings_are_left_to_ping_interval(opcode: int) -> None:
    assert opcode in (9, 10)
    with pytest.raises(ConfigurationError, match="pings are sent by ping_interval"):
        WebSocketApp("ws://127.0.0.1:9").send("x", opcode)


@pytest.mark.parametrize(
    ("where", "argument"),
    [("constructor", "on_cont_message"), ("constructor", "get_mask_key"), ("run", "dispatcher")],
)
def test_what_the_engine_does_itself_is_refused(where: str, argument: str) -> None:
    given: dict[str, Any] = {argument: print}
    constructor, run_forever = (given, {}) if where == "constructor" else ({}, given)
    with pytest.raises(ConfigurationError, match=argument):
        WebSocketApp("ws://127.0.0.1:9", **constructor).run_forever(**run_forever)


def test_bad_arguments_leave_it_ready_for_another_run() -> None:
    with raw_server(sending()) as server:
        app = WebSocketApp(server.url)
        with pytest.raises(ConfigurationError, match="ping_timeout"):
            app.run_forever(ping_interval=1, ping_timeout=2)
        with pytest.raises(ConfigurationError, match="cert_req"):
            app.run_forever(sslopt={"cert_req": ssl.CERT_NONE})
        assert run(app) is False


# TLS.


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_side(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def test_certificates_are_verified_unless_told_otherwise(server_side: ssl.SSLContext) -> None:
    seen = Recorder()
    with raw_server(sending("x"), tls=server_side) as server:
        assert run(WebSocketApp(server.url, **seen.all())) is True
        assert isinstance(seen.calls[0][1], CertificateError)
        app = WebSocketApp(server.url, **seen.all())
        assert run(app, sslopt={"cert_reqs": ssl.CERT_NONE}) is False
    assert ("on_message", "x") in seen.calls


def test_sslopt_takes_ca_certs_and_a_context(
    authority: trustme.CA, server_side: ssl.SSLContext
) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with raw_server(sending("x"), tls=server_side) as server:
        assert run(WebSocketApp(server.url), sslopt={"context": context}) is False
        with authority.cert_pem.tempfile() as path:
            assert run(WebSocketApp(server.url), sslopt={"ca_certs": path}) is False
