"""What the fake exchange and the proxy check and show without being started."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from wsresilient.errors import ConfigurationError
from wsresilient.testing import FakeExchange, FaultProxy
from wsresilient.testing.formats import format_of
from wsresilient.testing.formats.base import ExchangeFormat
from wsresilient.testing.formats.binance import BinanceFormat
from wsresilient.testing.formats.okx import OKXFormat
from wsresilient.testing.limits import Rate, VenueLimits
from wsresilient.testing.listener import HeldPort, join_address
from wsresilient.testing.peer import text_frame
from wsresilient.testing.records import ReceivedRequest, ScriptedResponse
from wsresilient.venues import MEXC, OKX, VENUE_NAMES, Binance, Bybit, Venue, venue_by_name


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda e: FakeExchange("nyse"), "unknown venue 'nyse'. Known: binance, "),
        (lambda e: FakeExchange(Venue(url="ws://h")), "does not speak like Venue.*Binance()"),
        (lambda e: FakeExchange(max_topic=1), "unknown limit 'max_topic'; did you mean 'max_topi"),
        (lambda e: FakeExchange(idle_limit=0), "idle_limit is 0; allowed: above 0, or None"),
        (lambda e: FakeExchange(connect_rate=(0, 1.0)), "count of Rate is 0"),
        (lambda e: e.change_limits(max_age=-1), "max_age is -1"),
        (lambda e: FakeExchange("okx").url_for("tickers:BTC-USDT"), "OKX has no subscription by U"),
        (lambda e: FakeExchange(BinanceFormat()).venue, "for which there is no venue"),
        (lambda e: e.announce_shutdown(close_after=-1), "close_after must be 0 or more seconds"),
        (lambda e: e.announce_shutdown(code=1005), "code must be a close code"),
        (lambda e: e.delay_acks(-1), "seconds must be 0 or more, not -1"),
        (lambda e: e.delay_logins(-1), "seconds must be 0 or more, not -1"),
        (lambda e: e.respond_rest(20), "status must be a number of three digits"),
        (lambda e: FakeExchange(rate=-1), "rate must be 0 or more"),
        (lambda e: FakeExchange(symbols=()), "symbols must name at least one"),
        (lambda e: setattr(e, "rate", -5), "rate must be 0 or more"),
        (lambda e: e.close_all(1006), "code must be a close code that may be sent .* not 1006"),
        (lambda e: e.close_all(99), "code must be a close code"),
        (lambda e: e.close_all(1000, "x" * 124), "reason must be at most 123 bytes"),
        (lambda e: e.restart(-1), "downtime must be 0 or more seconds, not -1"),
        (lambda e: e.restart(code=1005), "code must be a close code"),
        (lambda e: e.lose_messages(0), "count must be 1 or more"),
        (lambda e: e.lose_next_ack(0), "count must be 1 or more"),
        (lambda e: e.respond_status(20), "status must be a number of three digits"),
        (lambda e: e.respond_status(503, count=0), "count must be 1 or more or None"),
        (lambda e: e.respond_status(503, {"a": "b\r\nc: d"}), "headers must not contain line"),
    ],
)
def test_the_exchange_checks_what_it_is_given(
    act: Callable[[FakeExchange], object], message: str
) -> None:
    exchange = FakeExchange()

    with pytest.raises(ConfigurationError, match=message):
        act(exchange)


def test_an_exchange_that_is_not_started() -> None:
    exchange = FakeExchange("Binance", port=1234, symbols=["btcusdt"])

    exchange.pause_accepting()
    exchange.resume_accepting()
    exchange.restart(0)
    exchange.stop()

    assert repr(exchange) == (
        "<FakeExchange binance ws://127.0.0.1:1234/stream stopped, 0 connections, faults: none>"
    )
    assert exchange.symbols == ("BTCUSDT",)
    assert exchange.connection_count == 0
    assert exchange.subscriptions == {}
    assert (exchange.requests, exchange.handshakes, exchange.close_codes) == ([], [], [])
    assert (exchange.logins, exchange.violations, exchange.rest_requests) == ([], [], [])
    assert exchange.connections == ()
    assert exchange.active_topics(1) == ()
    assert exchange.push_private("userData", {}) == exchange.announce_shutdown() == 0
    assert exchange.broadcast("x") == exchange.close_all() == exchange.abort_all() == 0


def test_the_exchange_shows_its_faults() -> None:
    exchange = FakeExchange()
    exchange.stop_feed()
    exchange.ignore_pings()
    exchange.respond_status(503)
    assert repr(exchange).endswith("faults: feed stopped, ignores pings, scripted responses>")

    exchange.resume_feed()
    exchange.answer_pings()
    exchange.respond_normally()
    exchange.silence("btcusdt@trade")
    exchange.refuse_topic("ethusdt@trade")
    exchange.reject_logins()
    exchange.hold_logins()
    exchange.delay_acks(1.0)
    exchange.lose_next_ack(None)
    exchange.delay_rest(1.0)
    exchange.respond_rest(503)
    assert repr(exchange).endswith(
        "faults: silent topics, scripted responses, refuses logins, delays logins, refuses topics,"
        " loses acknowledgements, delays acknowledgements, delays REST>"
    )

    exchange.unsilence("btcusdt@trade")
    exchange.permit_topic("ethusdt@trade")
    exchange.accept_logins()
    exchange.release_logins()
    exchange.delay_acks(0.0)
    exchange.answer_all()
    exchange.delay_rest(0.0)
    exchange.respond_rest_normally()

    assert repr(exchange).endswith("faults: none>")


def test_without_the_websockets_library_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inside = ("server", "peer", "publishing", "answering")
    for name in list(sys.modules):
        if name in {f"wsresilient.testing.{each}" for each in inside}:
            monkeypatch.delitem(sys.modules, name)
        if name.partition(".")[0] == "websockets":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "websockets", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'wsresilient\[demo\]'"):
        FakeExchange()


@pytest.mark.parametrize(
    ("venue", "path"),
    [
        ("binance", "/stream"),
        ("Binance-Spot", "/stream"),
        ("binance-futures", "/market/stream"),
        ("OKX", "/ws/v5/public"),
        ("okx-public", "/ws/v5/public"),
        ("okx-private", "/ws/v5/private"),
        ("okx-business", "/ws/v5/business"),
        ("bybit", "/v5/public/linear"),
        ("bybit-linear", "/v5/public/linear"),
        ("bybit-spot", "/v5/public/spot"),
        ("bybit-inverse", "/v5/public/inverse"),
        ("bybit-option", "/v5/public/option"),
        ("bybit-private", "/v5/private"),
        ("mexc", "/edge"),
        (Binance(), "/stream"),
        (Binance("futures", "testnet"), "/market/stream"),
        (OKX("private", "demo"), "/ws/v5/private"),
        (Bybit("spot"), "/v5/public/spot"),
        (Bybit(private=True), "/v5/private"),
        (MEXC(), "/edge"),
        (OKXFormat("business"), "/ws/v5/business"),
    ],
)
def test_venues(venue: str | Venue | ExchangeFormat, path: str) -> None:
    exchange = FakeExchange(venue, port=1234)

    assert exchange.url == f"ws://127.0.0.1:1234{path}"
    assert exchange.base_url == "ws://127.0.0.1:1234"
    assert exchange.echo_url == "ws://127.0.0.1:1234/echo"


@pytest.mark.parametrize("name", VENUE_NAMES)
def test_the_library_s_venue_is_pointed_at_the_exchange(name: str) -> None:
    exchange = FakeExchange(name, port=1234, rest_port=4321)

    venue = exchange.venue

    assert venue.urls() == (exchange.url,)
    assert venue.rest_url == exchange.rest_url == "http://127.0.0.1:4321"
    assert repr(venue) == repr(venue_by_name(name))


def test_limits_are_those_of_the_venue_unless_given() -> None:
    exchange = FakeExchange("okx", request_quota=3, connect_rate=None, message_rate=(5, 2.0))

    assert exchange.limits == VenueLimits(
        max_request_size=65536,
        request_quota=Rate(3, 3600.0),
        message_rate=Rate(5, 2.0),
        idle_limit=30.0,
    )
    exchange.change_limits(connect_rate=7, idle_limit=None)
    assert exchange.limits.connect_rate == Rate(7, 1.0)
    assert exchange.limits.idle_limit is None


def test_a_format_of_ones_own() -> None:
    mine = BinanceFormat()

    assert format_of(mine) is mine


def test_a_scripted_response_as_http() -> None:
    plain = ScriptedResponse(503, {"Retry-After": "7"}, b"busy", 1)
    lying = ScriptedResponse(799, {"CONTENT-LENGTH": "99"}, b"", 1)

    assert plain.encode() == (
        b"HTTP/1.1 503 Service Unavailable\r\n"
        b"Content-Length: 4\r\nConnection: close\r\nRetry-After: 7\r\n\r\nbusy"
    )
    assert lying.encode() == (
        b"HTTP/1.1 799 Unknown\r\nContent-Length: 99\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(("count", "rest"), [(1, None), (3, 2), (None, None)])
def test_a_scripted_response_is_used_up(count: int | None, rest: int | None) -> None:
    left = ScriptedResponse(503, {}, b"", count).used_once()

    if count == 1:
        assert left is None
    else:
        assert left == ScriptedResponse(503, {}, b"", rest)


def test_a_received_request_as_json() -> None:
    assert ReceivedRequest(0.0, 1, '{"id":1}').message == {"id": 1}


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65535, b"\x81\x7e\xff\xff"),
        (65536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_text_frames(size: int, header: bytes) -> None:
    assert text_frame("x" * size) == header + b"x" * size


def test_a_text_frame_counts_bytes() -> None:
    assert text_frame("\u20ac") == b"\x81\x03\xe2\x82\xac"


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda p: FaultProxy("h", 1, latency=-1), "latency must be 0 or more"),
        (lambda p: setattr(p, "bandwidth", 0), "bandwidth must be above 0 or None"),
        (lambda p: setattr(p, "slice_size", 0), "slice_size must be 1 or more or None"),
        (lambda p: setattr(p, "slice_interval", -1), "slice_interval must be 0 or more"),
        (lambda p: p.cut_after(-1), "n_bytes must be 0 or more or None, not -1"),
        (lambda p: p.reset_after(1, times=0), "times must be 1 or more or None, not 0"),
    ],
)
def test_the_proxy_checks_what_it_is_given(
    act: Callable[[FaultProxy], object], message: str
) -> None:
    proxy = FaultProxy("localhost", 80)

    with pytest.raises(ConfigurationError, match=message):
        act(proxy)


def test_the_proxy_shows_its_faults() -> None:
    proxy = FaultProxy("::1", 80, port=81, latency=0.5, slice_size=3)
    proxy.refuse()
    proxy.freeze()
    proxy.black_hole()
    proxy.stall_handshake()
    assert repr(proxy) == (
        "<FaultProxy 127.0.0.1:81 -> [::1]:80 stopped, 0 connections, faults: "
        "refusing, frozen, black_hole, stall_handshake, latency=0.5, slice_size=3>"
    )

    proxy.heal()

    assert repr(proxy).endswith("faults: none>")


def test_the_proxy_keeps_its_pace() -> None:
    proxy = FaultProxy("localhost", 80, bandwidth=5, slice_interval=2)
    proxy.latency, proxy.slice_size = 1, 3
    proxy.bandwidth = None

    assert (proxy.latency, proxy.bandwidth, proxy.slice_size, proxy.slice_interval) == (
        1,
        None,
        3,
        2,
    )


def test_addresses() -> None:
    assert join_address("127.0.0.1", 1) == "127.0.0.1:1"
    assert repr(HeldPort("::1", 1)) == "<HeldPort [::1]:1 closed>"
    assert FaultProxy("h", 1, host="::1", port=2).through("wss://h:1/p?q=1#f") == (
        "wss://[::1]:2/p?q=1#f"
    )
