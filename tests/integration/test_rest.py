"""RestClient against a server that answers, refuses, drips, bans and redirects."""

from __future__ import annotations

import gzip
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support import BOUND, Running, eventually
from wsresilient import ConfigurationError, NotConnectedError, ReconnectPolicy, VenueError
from wsresilient.core.market import OrderBook
from wsresilient.runtime import rest
from wsresilient.runtime.clock import monotonic
from wsresilient.runtime.host_pauses import HostPauses
from wsresilient.runtime.http_client import HttpClient, NoAnswerError, parse_base_url
from wsresilient.runtime.rest import RestClient
from wsresilient.venues import OKX, Binance, Bybit, Custom

from .clients import chain
from .http_servers import HttpServer, http_server, reply
from .servers import LOCALHOST, free_port

TIME = {"serverTime": 1499827319559}
TIME_AT = 1499827319.559
QUICK = ReconnectPolicy(initial_delay=0.01, max_delay=0.02, jitter=0.5, max_attempts=3)


@pytest.fixture(autouse=True)
def quick_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once, and know of no pause of another test's server on the same port."""
    pauses = HostPauses()
    monkeypatch.setattr(rest, "RETRIES", QUICK)
    monkeypatch.setattr(rest, "default_host_pauses", lambda: pauses)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server() as made:
        yield made


@pytest.fixture
def client(server: HttpServer) -> Iterator[RestClient]:
    with RestClient(Binance(), base_url=server.url, timeout=BOUND) as made:
        yield made


def patient(server: HttpServer, timeout: float) -> RestClient:
    return RestClient(Binance(), base_url=server.url, timeout=timeout)


def failure_of(call: Any, *arguments: Any) -> VenueError:
    with pytest.raises(VenueError) as caught:
        call(*arguments)
    # nothing of requests is left in the chain, where URLs and headers are
    assert list(chain(caught.value)) == [caught.value]
    return caught.value


# What is asked and what comes of it.


def test_the_symbols_with_the_highest_volume(server: HttpServer, client: RestClient) -> None:
    names = ["AUSDT", "BUSDT", "CUSDT", "DBTC", "OLDUSDT"]
    volumes = ["10", "3000000", "200.5", "99999999", "99999999999"]
    server.by_path["/api/v3/exchangeInfo"] = reply(
        {
            "symbols": [
                {
                    "symbol": name,
                    "status": "BREAK" if name == "OLDUSDT" else "TRADING",
                    "baseAsset": name[0],
                    "quoteAsset": "BTC" if name == "DBTC" else "USDT",
                }
                for name in names
            ]
        }
    )
    server.by_path["/api/v3/ticker/24hr"] = reply(
        [
            {"symbol": name, "quoteVolume": volume, "lastPrice": "1"}
            for name, volume in zip(names, volumes, strict=True)
        ]
    )

    assert client.top_by_volume(2) == ["DBTC", "BUSDT"]
    assert client.top_by_volume(2, quote="USDT") == ["BUSDT", "CUSDT"]
    assert client.top_by_volume(10, quote="USDT") == ["BUSDT", "CUSDT", "AUSDT"]
    assert [symbol.name for symbol in client.symbols()] == names[:4]
    assert [symbol.name for symbol in client.symbols(include_inactive=True)] == names
    assert len(client.tickers()) == 5
    with pytest.raises(ConfigurationError, match="n is 0"):
        client.top_by_volume(0)


def test_klines_trades_and_books_are_asked_for_on_the_wire(
    server: HttpServer, client: RestClient
) -> None:
    server.by_path["/api/v3/klines"] = reply([[60000, "1", "2", "1", "2", "5"]])
    server.by_path["/api/v3/trades"] = reply([])
    server.by_path["/api/v3/depth"] = reply({"lastUpdateId": 7, "bids": [], "asks": []})

    assert client.klines("BTCUSDT", "1m", 1)[0].opened_at == 60.0
    assert client.trades("BTCUSDT", limit=5) == ()
    assert client.order_book("BTCUSDT", 20) == OrderBook("BTCUSDT", (), (), 7, None)

    assert [asked.path for asked in server.asked] == [
        "/api/v3/klines",
        "/api/v3/trades",
        "/api/v3/depth",
    ]
    assert server.asked[0].query == {"symbol": "BTCUSDT", "interval": "1m", "limit": "1"}
    assert {asked.method for asked in server.asked} == {"GET"}


def test_pages_are_put_together(server: HttpServer) -> None:
    def page(name: str, cursor: str) -> Any:
        row = {"symbol": name, "status": "Trading", "baseCoin": name, "quoteCoin": "USDT"}
        return reply({"retCode": 0, "result": {"list": [row], "nextPageCursor": cursor}})

    server.next.extend([page("A", "x%3D1"), page("B", "y"), page("C", "")])
    with RestClient(Bybit(), base_url=server.url, timeout=BOUND) as client:
        found = client.symbols()

    assert [symbol.name for symbol in found] == ["A", "B", "C"]
    assert [asked.query.get("cursor") for asked in server.asked] == [None, "x%3D1", "y"]


def test_a_list_without_an_end_has_one_here(server: HttpServer) -> None:
    row = {"symbol": "A", "status": "Trading", "baseCoin": "A", "quoteCoin": "USDT"}
    server.usual = reply({"retCode": 0, "result": {"list": [row], "nextPageCursor": "again"}})
    with RestClient(Bybit(), base_url=server.url, timeout=BOUND) as client:
        error = failure_of(client.symbols)

    assert "does not end after 50 pages" in str(error)
    assert len(server.asked) == 50


def test_klines_of_several_pages_are_in_order(server: HttpServer) -> None:
    def page(first: int, count: int) -> Any:
        made = [[str(60_000 * n), *["1"] * 7, "1"] for n in range(first, first - count, -1)]
        return reply({"code": "0", "msg": "", "data": made})

    server.next.extend([page(249, 100), page(149, 100), page(49, 50)])
    with RestClient(OKX(), base_url=server.url, timeout=BOUND) as client:
        found = client.klines("BTC-USDT", "1m", 250, start=0.0)

    assert [kline.opened_at for kline in found] == [60.0 * n for n in range(250)]


def test_the_headers_of_the_venue_go_along(server: HttpServer) -> None:
    server.usual = reply({"code": "0", "data": [{"ts": "1000"}]})
    venue = OKX(environment="demo", rest_url=server.url)
    with RestClient(venue, timeout=BOUND) as client:
        assert client.server_time() == 1.0

    assert server.asked[0].headers["x-simulated-trading"] == "1"


def test_several_threads_share_a_client(server: HttpServer, client: RestClient) -> None:
    server.usual = reply(TIME)
    threads = [Running(lambda: [client.server_time() for _ in range(5)]) for _ in range(8)]

    assert all(thread.result() == [TIME_AT] * 5 for thread in threads)
    assert len(server.asked) == 40


# Errors.


def test_an_error_names_venue_path_code_and_what_was_said(
    server: HttpServer, client: RestClient
) -> None:
    server.usual = reply({"code": -1121, "msg": "Invalid symbol."}, 400)
    error = failure_of(client.klines, "NOSUCH", "1m")

    assert (error.code, error.status, error.retry_after) == (-1121, 400, None)
    assert str(error) == (
        "binance: GET /api/v3/klines: HTTP 400, code -1121: Invalid symbol.; "
        "symbols() lists those that exist"
    )
    assert len(server.asked) == 1


def test_an_error_without_json_shows_the_beginning_of_the_page(
    server: HttpServer, client: RestClient
) -> None:
    server.usual = reply(b"<html>\n<h1>Bad &request</h1>?token=abcdef</html>" * 100, 400)
    error = failure_of(client.server_time)

    assert "HTTP 400: <html> <h1>Bad &request</h1>" in str(error)
    assert "abcdef" not in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"serverTime":NaN}', b"\xff\xfe"])
def test_what_is_no_json_is_an_error(body: bytes, server: HttpServer, client: RestClient) -> None:
    server.usual = reply(body)
    error = failure_of(client.server_time)

    assert error.status == 200
    assert "no JSON" in str(error)
    assert len(server.asked) == 1


@pytest.mark.parametrize("body", [{}, [], {"serverTime": None}, {"serverTime": "x"}, 1, "x", None])
def test_json_of_another_form_is_an_error(
    body: object, server: HttpServer, client: RestClient
) -> None:
    server.usual = reply(body)
    error = failure_of(client.server_time)

    assert "the answer is not understood" in str(error)


def test_a_redirect_is_not_followed(server: HttpServer, client: RestClient) -> None:
    with http_server() as other:
        server.usual = reply({}, 302, Location=f"{other.url}/api?token=abcdef")
        error = failure_of(client.server_time)

        assert error.status == 302
        assert f"a redirect to {other.url}/api?token=***, which is not followed" in str(error)
        assert other.asked == []
    assert len(server.asked) == 1


# Trying again.


def reset(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


@pytest.mark.parametrize(
    "bad", [reply({}, 503), reply(b"x", 500), reply(act=reset), reply({"code": -1008, "msg": ""})]
)
def test_what_passes_is_tried_again(bad: Any, server: HttpServer, client: RestClient) -> None:
    server.next.extend([bad, bad, reply(TIME)])

    assert client.server_time() == TIME_AT
    assert len(server.asked) == 3


def test_not_for_ever(server: HttpServer, client: RestClient) -> None:
    server.usual = reply(b"down for maintenance", 503)
    error = failure_of(client.server_time)

    assert error.status == 503
    assert "down for maintenance" in str(error)
    assert len(server.asked) == 4


def test_nobody_listens() -> None:
    with RestClient(Binance(), base_url=f"http://{LOCALHOST}:{free_port()}") as client:
        error = failure_of(client.server_time)

    assert (error.status, error.code) == (None, None)
    assert "binance: GET /api/v3/time: no answer from 127.0.0.1:" in str(error)
    assert "refused" in str(error)


def test_a_name_without_an_address() -> None:
    with RestClient(Binance(), base_url="http://no-such-host.invalid") as client:
        error = failure_of(client.server_time)

    assert "no-such-host.invalid" in str(error)


def test_a_retry_after_is_a_lower_bound(server: HttpServer, client: RestClient) -> None:
    server.next.extend([reply({}, 503, Retry_After="0.2"), reply(TIME)])

    assert client.server_time() == TIME_AT
    assert server.asked[1].at - server.asked[0].at >= 0.2


def test_a_retry_after_beyond_the_patience_is_told_at_once(server: HttpServer) -> None:
    server.usual = reply({}, 503, Retry_After="3600")
    with patient(server, BOUND) as client:
        begin = monotonic()
        error = failure_of(client.server_time)

    assert error.retry_after == 3600.0
    assert "ask again after 3600 s" in str(error)
    assert monotonic() - begin < BOUND
    assert len(server.asked) == 1


# Leaving a host alone.


@pytest.mark.parametrize("status", [429, 418])
def test_nobody_asks_before_a_ban_is_over(status: int, server: HttpServer) -> None:
    banned = threading.Event()

    def ban(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Retry-After", "0.3")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        banned.set()

    server.next.append(reply(act=ban))
    server.usual = reply(TIME)
    with patient(server, BOUND) as one, patient(server, BOUND) as other:
        first = Running(one.server_time)
        assert banned.wait(BOUND)
        assert eventually(lambda: other._pauses.running(other._base.host))
        second = Running(other.server_time)

        assert (first.result(), second.result()) == (TIME_AT, TIME_AT)

    begin, *later = [asked.at for asked in server.asked]
    assert len(later) == 2
    assert all(at - begin >= 0.3 for at in later)


def test_a_long_ban_is_told_to_all_clients_of_the_host_without_a_request(
    server: HttpServer,
) -> None:
    server.usual = reply({"code": -1003, "msg": "IP banned"}, 418, Retry_After="120")
    with patient(server, BOUND) as one, patient(server, BOUND) as other:
        error = failure_of(one.server_time)
        assert (error.status, error.code, error.retry_after) == (418, -1003, 120.0)

        for client in (one, other):
            again = failure_of(client.server_time)
            assert "not asked" in str(again)
            assert "IP banned" in str(again)
            assert again.retry_after == pytest.approx(120.0, abs=60.0)
        assert len(server.asked) == 1

        # another host is another matter
        with http_server() as elsewhere, patient(elsewhere, BOUND) as third:
            elsewhere.usual = reply(TIME)
            assert third.server_time() == TIME_AT


def test_bybit_is_left_alone_for_ten_minutes_after_403(server: HttpServer) -> None:
    server.usual = reply(b"access too frequent", 403)
    with RestClient(Bybit(), base_url=server.url) as client:
        error = failure_of(client.server_time)
        assert (error.status, error.retry_after) == (403, 600.0)
        assert "access too frequent" in str(error)
        failure_of(client.symbols)

    assert len(server.asked) == 1


def test_a_503_keeps_nobody_else_away(server: HttpServer) -> None:
    server.next.append(reply({}, 503, Retry_After="3600"))
    server.usual = reply(TIME)
    with patient(server, BOUND) as one, patient(server, BOUND) as other:
        failure_of(one.server_time)
        assert other.server_time() == TIME_AT


# Deadlines.


def drip_a_head(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Endless: ")
    for _ in itertools.count():
        handler.wfile.write(b"x")
        time.sleep(0.01)


def drip_a_body(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    for _ in itertools.count():
        handler.wfile.write(b" ")
        time.sleep(0.01)


def drip_chunks(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in itertools.count():
        handler.wfile.write(b"1\r\n \r\n")
        time.sleep(0.01)


@pytest.mark.parametrize("drip", [drip_a_head, drip_a_body, drip_chunks])
def test_a_server_that_drips_is_late_all_the_same(drip: Any, server: HttpServer) -> None:
    server.usual = reply(act=drip)
    with patient(server, 0.3) as client:
        error = failure_of(client.server_time)

    assert "it took too long" in str(error)


def test_a_silent_connection_is_given_up_in_time_for_another(server: HttpServer) -> None:
    server.usual = reply(act=lambda handler: server.over.wait(BOUND))
    client = HttpClient()
    with pytest.raises(NoAnswerError, match=r"silent for 0\.1 s") as caught:
        client.request("GET", server.url, deadline=monotonic() + BOUND, silence=0.1)
    server.over.set()
    client.close()

    assert caught.value.temporary


def test_half_of_the_time_may_be_silent(
    server: HttpServer, client: RestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.usual = reply(TIME)
    send = client._http.request
    allowed: list[float] = []

    def recorded(*arguments: Any, silence: float, **others: Any) -> Any:
        allowed.append(silence)
        return send(*arguments, silence=silence, **others)

    monkeypatch.setattr(client._http, "request", recorded)
    client.server_time()

    assert allowed == [BOUND / 2]


def test_a_silent_server_is_an_error_in_the_end(server: HttpServer) -> None:
    server.usual = reply(act=lambda handler: server.over.wait(BOUND))
    with patient(server, 0.3) as client:
        error = failure_of(client.server_time)
        server.over.set()

    assert error.status is None
    assert str(error).startswith("binance: GET /api/v3/time: no answer from 127.0.0.1:")


# Bounds.


def stream(piece: bytes, *, forever: bool = True) -> Any:
    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while forever:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    return reply(act=act)


def ask(client: HttpClient, server: HttpServer) -> Any:
    return client.request("GET", server.url, deadline=monotonic() + BOUND, silence=BOUND)


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_is_bounded_also_when_it_is_packed(packed: bool, server: HttpServer) -> None:
    client = HttpClient(max_body=100_000)
    if packed:
        server.usual = reply(gzip.compress(bytes(10_000_000)), Content_Encoding="gzip")
    else:
        server.usual = stream(bytes(10_000))

    with pytest.raises(NoAnswerError, match="larger than 100,000 bytes") as caught:
        ask(client, server)
    client.close()

    assert not caught.value.temporary


def test_an_answer_that_breaks_off_is_none(server: HttpServer) -> None:
    client = HttpClient()

    def half(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    server.usual = reply(act=half)
    with pytest.raises(NoAnswerError, match="IncompleteRead") as caught:
        ask(client, server)
    client.close()

    assert caught.value.temporary


def test_what_is_no_http_is_no_answer(server: HttpServer) -> None:
    client = HttpClient()
    server.usual = reply(act=lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n"))
    with pytest.raises(NoAnswerError, match=r"BadStatusLine|SSH"):
        ask(client, server)
    client.close()


def test_packed_answers_are_unpacked(server: HttpServer, client: RestClient) -> None:
    body = gzip.compress(b'{"serverTime":1499827319559}')
    server.usual = reply(body, Content_Encoding="gzip")

    assert client.server_time() == TIME_AT


# What is kept to itself.


def test_no_cookies_and_no_credentials_of_a_file(
    server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "netrc"
    file.write_text(f"machine {LOCALHOST} login me password abcdef\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    server.usual = reply(TIME, Set_Cookie="session=abcdef; Path=/")
    with patient(server, BOUND) as client:
        client.server_time()
        client.server_time()

    for asked in server.asked:
        assert "cookie" not in asked.headers
        assert "authorization" not in asked.headers


def test_a_proxy_of_the_environment_is_used(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.usual = reply(TIME)
    with RestClient(Binance(), base_url="http://exchange.invalid") as client:
        assert client.server_time() == TIME_AT

    assert server.asked[0].headers["host"] == "exchange.invalid"


# TLS.


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure_server(authority: trustme.CA) -> Iterator[HttpServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    with http_server(tls=context) as made:
        made.usual = reply(TIME)
        yield made


def test_over_tls(
    secure_server: HttpServer,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with patient(secure_server, BOUND) as client:
        assert [client.server_time() for _ in range(3)] == [TIME_AT] * 3


def test_an_unknown_certificate_is_told_and_not_tried_again(
    secure_server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with patient(secure_server, BOUND) as client:
        error = failure_of(client.server_time)

    assert "certificate" in str(error)
    assert "REQUESTS_CA_BUNDLE" in str(error)
    assert secure_server.asked == []


@pytest.mark.parametrize("closes", [False, True])
def test_a_server_that_never_begins_tls_is_late_too(closes: bool) -> None:
    with socket.create_server((LOCALHOST, 0)) as mute:
        port = mute.getsockname()[1]
        url = f"https://{LOCALHOST}:{port}"
        client = RestClient(Binance(), base_url=url, timeout=BOUND if closes else 0.2)
        call = Running(failure_of, client.server_time)
        if closes:
            assert call.waits_in("do_handshake")
            client.close()

        assert "given up" in str(call.result()) if closes else "no answer" in str(call.result())
        client.close()


# The end.


def test_close_gives_up_what_is_under_way(server: HttpServer) -> None:
    server.usual = reply(act=lambda handler: server.over.wait(BOUND))
    client = patient(server, BOUND)
    call = Running(failure_of, client.server_time)
    assert eventually(lambda: server.asked)

    client.close()

    assert "given up" in str(call.result())
    server.over.set()


def test_close_ends_a_pause(server: HttpServer) -> None:
    server.usual = reply({}, 503, Retry_After="15")
    client = patient(server, BOUND)
    call = Running(client.server_time)
    assert eventually(lambda: server.asked)
    assert call.waits_in("_sleep")

    client.close()

    with pytest.raises(NotConnectedError, match="closed"):
        call.result()


def test_a_closed_client_says_so(server: HttpServer) -> None:
    client = patient(server, BOUND)
    client.close()
    client.close()

    with pytest.raises(NotConnectedError, match="closed; make a new one"):
        client.server_time()
    assert server.asked == []


def test_a_child_process_makes_its_own_connections(server: HttpServer) -> None:
    server.usual = reply(TIME)
    client = patient(server, BOUND)
    client.server_time()
    before = client._http._session

    client._http._process -= 1  # as it is found after a fork
    client.server_time()

    assert client._http._session is not before
    before.close()
    client.close()


# Arguments.


def test_the_arguments_are_checked_at_once() -> None:
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        ("binance", {}, "venue is 'binance'; allowed: a venue"),
        (Custom(subscribe=str, unsubscribe=str, topic_of=str), {}, "has no REST"),
        (Binance(), {"timeout": 0}, "timeout is 0"),
        (Binance(), {"base_url": "ftp://x"}, "base_url is 'ftp://x'; allowed: http://"),
        (Binance(), {"base_url": 5}, "base_url is of type int"),
    ]
    for venue, settings, text in wrong:
        with pytest.raises(ConfigurationError, match=text):
            RestClient(venue, **settings)


@pytest.mark.parametrize(
    "url", ["http://me:abcdef@host", "http://host/?key=abcdef", "http://host:x", "http://", "host"]
)
def test_a_base_url_with_a_secret_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url is") as caught:
        parse_base_url("base_url", url)

    assert "abcdef" not in str(caught.value)


def test_a_base_url_may_have_a_path() -> None:
    found = parse_base_url("base_url", "https://Example.com:8443/api/")

    assert (found.url, found.host) == ("https://Example.com:8443/api", "example.com:8443")


def test_it_tells_of_whom_it_asks() -> None:
    with RestClient(Binance("futures")) as client:
        assert repr(client) == "<RestClient of binance at https://fapi.binance.com>"
