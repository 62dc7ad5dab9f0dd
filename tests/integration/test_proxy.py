"""Through real proxies (tiny-proxy): HTTP CONNECT, SOCKS4a, SOCKS5; their refusals and delays."""

from __future__ import annotations

import logging
import ssl
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from wsresilient import (
    ConfigurationError,
    ConnectionFailedError,
    OpenTimeoutError,
    ProxyError,
    ReconnectPolicy,
)

from .clients import SLOW_RETRY, chain, quick, running, stop_in_time
from .servers import (
    LOCALHOST,
    PATIENCE,
    TEXT,
    Peer,
    free_port,
    good_server,
    raw_server,
    serve_nothing,
    wait_until,
)

NEVER = ReconnectPolicy(max_attempts=0)
USER, PASSWORD = "me", "s3cr3t-pw"
SCHEMES = ["http", "socks4", "socks4a", "socks5", "socks5h"]
VARIABLES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]

# A proxy of each kind for everybody, then one of each that asks for credentials. Prints the ports.
PROXIES = """
import sys
import anyio, tiny_proxy
async def main(user, password):
    kinds = (
        lambda *both: tiny_proxy.HttpProxyHandler(*both),
        lambda *both: tiny_proxy.Socks4ProxyHandler(*both[:1]),
        lambda *both: tiny_proxy.Socks5ProxyHandler(*both),
    )
    async with anyio.create_task_group() as group:
        for credentials in ((), (user, password)):
            for make in kinds:
                listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
                print(listener.extra(anyio.abc.SocketAttribute.local_port), flush=True)
                group.start_soon(listener.serve, make(*credentials).handle)
anyio.run(main, *sys.argv[1:])
"""


class Proxies:
    """Where the proxies are."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = ports

    def port(self, scheme: str, *, closed: bool = False) -> int:
        kind = ("http", "socks4", "socks5").index(scheme.rstrip("ah"))
        return self._ports[kind + 3 * closed]

    def url(self, scheme: str, *, user_info: str = "", closed: bool = False) -> str:
        at = "@" if user_info else ""
        return f"{scheme}://{user_info}{at}{LOCALHOST}:{self.port(scheme, closed=closed)}"


@pytest.fixture(scope="module")
def proxies() -> Iterator[Proxies]:
    command = [sys.executable, "-c", PROXIES, USER, PASSWORD]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        yield Proxies([int(process.stdout.readline()) for _ in range(6)])
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def no_proxy_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def answer_once(peer: Peer) -> None:
    peer.text(peer.read_until(TEXT).payload.decode())
    peer.serve()


# Tunnels.


@pytest.mark.parametrize("scheme", SCHEMES)
def test_messages_go_through_a_proxy_both_ways(proxies: Proxies, scheme: str) -> None:
    with good_server() as server:
        url = f"ws://localhost:{server.port}" if scheme[-1] in "ah" else server.url
        with running(url, proxy=proxies.url(scheme)) as (ws, seen):
            ws.send("there and back" * 10_000)
            assert seen.wait_for_messages(1) == ["there and back" * 10_000]
            assert ws.get_stats()["address"] == f"{LOCALHOST}:{proxies.port(scheme)}"


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
def test_credentials_open_the_proxy_that_asks_for_them(proxies: Proxies, scheme: str) -> None:
    proxy = proxies.url(scheme, user_info=f"{USER}:{PASSWORD}", closed=True)
    with raw_server(answer_once) as server, running(server.url, proxy=proxy) as (ws, seen):
        ws.send("let in")
        assert seen.wait_for_messages(1) == ["let in"]


def test_socks4_user_is_its_credential(proxies: Proxies) -> None:
    proxy = proxies.url("socks4a", user_info=USER, closed=True)
    with raw_server(answer_once) as server, running(server.url, proxy=proxy) as (ws, seen):
        ws.send("let in")
        assert seen.wait_for_messages(1) == ["let in"]


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_tls_goes_through_the_tunnel_and_is_verified(proxies: Proxies, scheme: str) -> None:
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_side)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    proxy = proxies.url(scheme)
    with raw_server(answer_once, tls=server_side) as server:
        with running(server.url, proxy=proxy, ssl_context=trusting) as (ws, seen):
            ws.send("sealed")
            assert seen.wait_for_messages(1) == ["sealed"]
        with (
            running(server.url, proxy=proxy, connected=False) as (ws, _),
            pytest.raises(ConnectionFailedError, match="certificate"),
        ):
            ws.wait_until_connected(PATIENCE)


def test_frames_behind_the_handshake_come_through_the_tunnel(proxies: Proxies) -> None:
    def behave(peer: Peer) -> None:
        peer.text(*map(str, range(500)))
        peer.serve()

    with raw_server(behave) as server, running(server.url, proxy=proxies.url("http")) as (_, seen):
        assert seen.wait_for_messages(500) == [str(n) for n in range(500)]


def test_connection_comes_back_through_the_proxy(proxies: Proxies) -> None:
    def behave(peer: Peer) -> None:
        if peer.number > 2:
            peer.serve()

    with raw_server(behave) as server, running(server.url, proxy=proxies.url("socks5")) as (ws, _):
        server.wait_for(3)
        wait_until(lambda: ws.is_connected)


# Refusals.


@pytest.mark.parametrize("user_info", ["", "me:wrong-pw-1@"])
def test_407_is_final_and_says_what_is_missing(user_info: str) -> None:
    def behave(peer: Peer) -> None:
        peer.refuse("407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="x"')

    with raw_server(behave, handshake=False) as server:
        proxy = f"http://{user_info}{LOCALHOST}:{server.port}"
        with running("ws://example.invalid", connected=False, proxy=proxy) as (ws, seen):
            with pytest.raises(ConnectionFailedError) as caught:
                ws.wait_until_connected(PATIENCE)
            assert server.count == 1
            error = seen.wait_for_errors(1)[0]
            assert isinstance(error, ProxyError)
            assert error.status == 407
            assert "407 Proxy Authentication Required" in str(caught.value)
            shown = f"http://{'***@' if user_info else ''}{LOCALHOST}:{server.port}"
            assert f"proxy {shown} did not open a tunnel to example.invalid:80" in str(error)


@pytest.mark.parametrize("scheme", ["http", "socks4", "socks5"])
@pytest.mark.parametrize("user_info", ["", "other:wrong-pw-1"])
def test_real_proxy_that_does_not_let_us_in_is_an_error_of_the_proxy(
    proxies: Proxies, scheme: str, user_info: str
) -> None:
    proxy = proxies.url(scheme, user_info=user_info, closed=True)
    with (
        raw_server(serve_nothing) as server,
        running(server.url, connected=False, proxy=proxy, reconnect=NEVER) as (ws, seen),
    ):
        assert ws.join(PATIENCE)
        assert isinstance(seen.errors[0], ProxyError)
        assert server.count == 0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_target_that_refuses_the_proxy_is_tried_again(proxies: Proxies, scheme: str) -> None:
    url = f"ws://{LOCALHOST}:{free_port()}"
    with running(url, connected=False, proxy=proxies.url(scheme)) as (ws, seen):
        assert isinstance(seen.wait_for_errors(2)[0], ProxyError)
        assert ws.state != "failed"


def test_proxy_that_is_not_there_is_tried_again() -> None:
    proxy = f"http://{LOCALHOST}:{free_port()}"
    with running("ws://example.invalid", connected=False, proxy=proxy) as (ws, seen):
        seen.wait_for_errors(2)
        assert "refused" in ws.last_error
        assert ws.state != "failed"


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"HTTP/1.1 502 Bad Gateway\r\n\r\n", 502), (b"HTTP/1.1 403 No\r\n\r\n", 403)],
)
def test_other_refusals_of_a_proxy_may_pass(answer: bytes, status: int) -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(answer)

    with (
        raw_server(behave, handshake=False) as server,
        running(
            "ws://example.invalid", connected=False, proxy=server.url.replace("ws", "http")
        ) as (ws, seen),
    ):
        error = seen.wait_for_errors(2)[0]
        assert isinstance(error, ProxyError)
        assert error.status == status
        assert ws.state != "failed"
        assert server.peers[0].head.startswith(b"CONNECT example.invalid:80 HTTP/1.1\r\n")


@pytest.mark.parametrize("answer", [b"\x05\xff", b"SSH-2.0-x\r\n\r\n", b""], ids=repr)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_proxy_that_speaks_something_else_is_an_error_of_the_proxy(
    scheme: str, answer: bytes
) -> None:
    def behave(peer: Peer) -> None:
        peer.sock.recv(10)
        peer.sock.sendall(answer)

    with raw_server(behave, handshake=False) as server:
        proxy = server.url.replace("ws", scheme, 1)
        settings: dict[str, Any] = {"proxy": proxy, "connected": False, "reconnect": SLOW_RETRY}
        with running(f"ws://{LOCALHOST}:9", **settings) as (_, seen):
            assert isinstance(seen.wait_for_errors(1)[0], ProxyError)


# Deadlines.


@pytest.mark.parametrize("scheme", SCHEMES)
def test_proxy_that_stalls_ends_with_the_open_timeout(scheme: str) -> None:
    with raw_server(Peer.ignore, handshake=False) as server:
        settings: dict[str, Any] = {
            "proxy": server.url.replace("ws", scheme, 1),
            "open_timeout": 0.2,
            "connected": False,
        }
        with running(f"ws://{LOCALHOST}:9", **settings) as (ws, seen):
            errors = seen.wait_for_errors(2)
            assert {type(error) for error in errors} == {OpenTimeoutError}
            assert "tunnel through proxy" in ws.last_error


@pytest.mark.parametrize("scheme", SCHEMES)
def test_stop_does_not_wait_for_a_proxy_that_stalls(scheme: str) -> None:
    with raw_server(Peer.ignore, handshake=False) as server:
        proxy = server.url.replace("ws", scheme, 1)
        with quick(f"ws://{LOCALHOST}:9", proxy=proxy) as ws:
            server.wait_for(1)
            stop_in_time(ws)


# The environment.


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_environment_names_the_proxy(
    proxies: Proxies, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, proxies.url("http"))
    with raw_server(serve_nothing) as server, running(server.url) as (ws, _):
        assert ws.get_stats()["address"] == f"{LOCALHOST}:{proxies.port('http')}"


def test_https_proxy_is_for_wss_only(proxies: Proxies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://{LOCALHOST}:{free_port()}")
    with raw_server(serve_nothing) as server, running(server.url):
        pass
    with running("wss://example.invalid", connected=False, reconnect=NEVER) as (ws, _):
        assert ws.join(PATIENCE)
        assert "refused" in ws.last_error


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "example.com, 127.0.0.0/8"])
def test_no_proxy_exempts_hosts(exempt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{LOCALHOST}:{free_port()}")
    monkeypatch.setenv("no_proxy", exempt)
    with raw_server(serve_nothing) as server, running(server.url):
        pass


def test_direct_ignores_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{LOCALHOST}:{free_port()}")
    with raw_server(serve_nothing) as server, running(server.url, proxy="direct"):
        pass


def test_bad_proxy_of_the_environment_is_final_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "gopher://me:hunter2-pw@host")
    with running("ws://example.invalid", connected=False) as (ws, _):
        with pytest.raises(ConnectionFailedError, match="gopher") as caught:
            ws.wait_until_connected(PATIENCE)
        assert "hunter2" not in str(caught.value)


# Without python-socks.


def test_without_python_socks_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_socks.sync", None)
    with pytest.raises(ConfigurationError, match=r"wsresilient\[proxy\]"):
        quick("ws://example.invalid", proxy="http://host:3128")
    monkeypatch.setenv("http_proxy", "http://host:3128")
    with (
        running("ws://example.invalid", connected=False) as (ws, _),
        pytest.raises(ConnectionFailedError, match=r"wsresilient\[proxy\]"),
    ):
        ws.wait_until_connected(PATIENCE)
    with raw_server(serve_nothing) as server, running(server.url, proxy="direct"):
        pass


# Secrets.


def echo_credentials(peer: Peer) -> None:
    peer.read_request()
    text = peer.headers.get("proxy-authorization", "none")
    head = f"HTTP/1.1 407 {text} {USER}:{PASSWORD}\r\nX-You-Said: {text}\r\n\r\n{text}"
    peer.sock.sendall(head.encode())


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_credentials_of_a_proxy_are_shown_nowhere(
    proxies: Proxies, scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with raw_server(echo_credentials, handshake=False) as server:
        port = server.port if scheme == "http" else proxies.port(scheme, closed=True)
        user_info = f"{USER}:{PASSWORD}" if scheme == "http" else f"other:{PASSWORD}"
        settings: dict[str, Any] = {"proxy": f"{scheme}://{user_info}@{LOCALHOST}:{port}"}
        url = "ws://example.invalid"
        with running(url, connected=False, reconnect=NEVER, **settings) as (ws, seen):
            assert ws.join(PATIENCE)
            shown = [caplog.text, repr(ws), str(ws.get_stats()), ws.last_error]
            shown += [change.message for change in seen.states]
            for error in seen.errors:
                shown += [f"{link} {link!r} {vars(link)}" for link in chain(error)]
            with pytest.raises(ConnectionFailedError) as caught:
                ws.wait_until_connected()
            shown += [f"{link} {link!r}" for link in chain(caught.value)]
    for text in shown:
        assert PASSWORD not in text
        assert "bWU6czNjcjN0LXB3" not in text  # the pair in base64
