"""URLs: taken apart as RFC 6455 has it, refused with a reason, and never shown with a secret."""

from __future__ import annotations

import base64
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from wsresilient import ConfigurationError
from wsresilient.core.redact import Redactor
from wsresilient.core.urls import WebSocketURL, parse_url, redact_name, redact_url


@pytest.mark.parametrize(
    ("url", "secure", "host", "port", "resource"),
    [
        ("ws://example.com", False, "example.com", 80, "/"),
        ("wss://example.com", True, "example.com", 443, "/"),
        ("ws://example.com:8080/a/b?c=d&e", False, "example.com", 8080, "/a/b?c=d&e"),
        ("WSS://EXAMPLE.com/A", True, "example.com", 443, "/A"),
        ("ws://example.com?x=1", False, "example.com", 80, "/?x=1"),
        ("ws://127.0.0.1:1/", False, "127.0.0.1", 1, "/"),
        ("wss://[::1]:9443/x", True, "::1", 9443, "/x"),
        ("ws://[2001:db8::5]/x", False, "2001:db8::5", 80, "/x"),
        ("wss://me:pw@example.com/x", True, "example.com", 443, "/x"),
        ("ws://bücher.example/", False, "xn--bcher-kva.example", 80, "/"),
        ("ws://example.com/ü?ö=€", False, "example.com", 80, "/%C3%BC?%C3%B6=%E2%82%AC"),
        ("ws://example.com/a%20b?c=%2F", False, "example.com", 80, "/a%20b?c=%2F"),
        ("wss://s.example:9443/ws/btcusdt@trade", True, "s.example", 9443, "/ws/btcusdt@trade"),
    ],
)
def test_a_url_is_taken_apart(url: str, secure: bool, host: str, port: int, resource: str) -> None:
    parsed = parse_url(url)

    assert (parsed.secure, parsed.host, parsed.port, parsed.resource) == (
        secure,
        host,
        port,
        resource,
    )


@pytest.mark.parametrize(
    ("url", "host_header", "origin", "location"),
    [
        ("ws://h", "h", "http://h", "ws://h:80/"),
        ("ws://h:80/x", "h", "http://h", "ws://h:80/x"),
        ("ws://h:443/", "h:443", "http://h:443", "ws://h:443/"),
        ("wss://h:443/", "h", "https://h", "wss://h:443/"),
        ("wss://h:80/", "h:80", "https://h:80", "wss://h:80/"),
        ("ws://[::1]:81/", "[::1]:81", "http://[::1]:81", "ws://[::1]:81/"),
        ("wss://me:pw@h/?a=b", "h", "https://h", "wss://h:443/?a=b"),
    ],
)
def test_what_the_handshake_needs(url: str, host_header: str, origin: str, location: str) -> None:
    parsed = parse_url(url)

    assert parsed.host_header == host_header
    assert parsed.origin == origin
    assert parsed.location == location


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("wss://h/ws/btcusdt@trade?token=abc", "h/ws/btcusdt@trade"),
        ("wss://me:pw@h:444/", "h:444"),
        ("ws://h", "h"),
        ("ws://[::1]/x/", "[::1]/x"),
    ],
)
def test_the_name_that_nobody_gave_is_host_and_path(url: str, name: str) -> None:
    assert parse_url(url).default_name == name


@pytest.mark.parametrize(
    ("user_info", "pair"),
    [
        ("me:pw", "me:pw"),
        ("me", "me:"),
        (":pw", ":pw"),
        ("me:p%40w%2F", "me:p@w/"),
        ("m%C3%BC:p:w", "mü:p:w"),
    ],
)
def test_user_info_becomes_a_basic_authorization(user_info: str, pair: str) -> None:
    authorization = parse_url(f"ws://{user_info}@h/").authorization

    assert authorization is not None
    scheme, _, encoded = authorization.partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(encoded).decode() == pair


def test_without_user_info_there_is_no_authorization() -> None:
    assert parse_url("ws://h/?user=me").authorization is None


# Refused.


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "the scheme must be"),
        ("example.com/ws", "the scheme must be"),
        ("http://example.com", "the scheme must be"),
        ("https://example.com/ws", "the scheme must be"),
        ("wss:example.com", "no host name"),
        ("wss://", "no host name"),
        ("ws:///path", "no host name"),
        ("ws://:80/", "no host name"),
        ("ws://h:0/", "port 0"),
        ("ws://h:65536/", "port is malformed"),
        ("ws://h:x/", "port is malformed"),
        ("ws://[::1/", "malformed"),
        ("ws://h/#part", "#fragment"),
        ("ws://h/a b", "a space or a control character"),
        (" ws://h/", "a space or a control character"),
        ("ws://h/\r\nX: y", "a space or a control character"),
        ("ws://h/\x7f", "a space or a control character"),
        ("ws://" + "ä" * 70 + ".example/", "cannot be encoded"),
        ("ws://h/\ud800", "cannot be encoded"),
    ],
)
def test_what_is_no_websocket_url_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_url(url)

    text = str(caught.value)
    assert text.startswith("url is ")
    assert why in text
    assert "allowed: ws://host[:port]/path or wss://..." in text


@pytest.mark.parametrize(
    "url", [None, 5, b"wss://me:swordfish@h/", PurePosixPath("swordfish"), ["swordfish"]]
)
def test_what_is_no_str_is_refused_and_not_shown(url: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_url(url)

    assert "allowed: a str" in str(caught.value)
    assert "swordfish" not in str(caught.value)
    assert type(url).__name__ in str(caught.value) or url is None


def test_a_wrong_scheme_is_shown_with_the_rest_of_the_url() -> None:
    with pytest.raises(ConfigurationError, match=r"https://h/ws/btcusdt@trade\?token=\*\*\*'"):
        parse_url("https://h/ws/btcusdt@trade?token=swordfish")


# Shown.


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("wss://me:pw@example.com/ws?token=abc&x=1", "wss://***@example.com/ws?token=***&x=***"),
        ("wss://example.com/ws", "wss://example.com/ws"),
        ("wss://me@h", "wss://***@h"),
        ("ws://a@b@h/", "ws://***@h/"),
        ("ws://h/?abc", "ws://h/?***"),
        ("ws://h/?", "ws://h/?"),
        ("ws://h/?a=&b=c=d", "ws://h/?a=***&b=***"),
        ("ws://h/x#token=abc", "ws://h/x"),
        ("wss://h/ws/btcusdt@trade", "wss://h/ws/btcusdt@trade"),
        ("me:pw@h/x", "***@h/x"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_user_info_query_values_and_fragment(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@given(st.text(max_size=60))
def test_showing_never_fails(url: str) -> None:
    redact_url(url)


# Letters that stand nowhere else in these URLs, and what people forget to encode.
SECRETS = st.text("QXZJKV579", min_size=4, max_size=20)
RAW = st.text("QXZJKV579/?#@:%&=[]ß ", min_size=1, max_size=12).map(lambda text: f"QZ{text}XJK")


def everything_shown(url: WebSocketURL) -> str:
    return " ".join([repr(url), str(url), url.shown, url.default_name, url.host_header, url.origin])


@given(user=SECRETS, password=SECRETS, value=SECRETS, bare=SECRETS)
def test_nothing_that_is_shown_holds_a_secret(
    user: str, password: str, value: str, bare: str
) -> None:
    url = parse_url(f"wss://{user}:{password}@example.com:8443/a/b?token={value}&{bare}&c=d")

    for secret in (user, password, value, bare):
        assert secret not in everything_shown(url)


ECHOES = [
    lambda text: text,
    lambda text: quote(text, safe=""),
    lambda text: text.replace("&", "&amp;"),
    lambda text: text.replace("&", "\\u0026").replace("/", "\\/"),
]


@pytest.mark.parametrize("echo", ECHOES)
@given(
    st.text("QXZJKV579+/ &=%ü", min_size=4, max_size=20),
    st.text("QXZJKV579+/ &=@:ü", min_size=4, max_size=20),
)
@example("QX%2fZJ", "pass word")
def test_a_server_that_echoes_the_url_gives_no_secret_away(
    echo: Any, value: str, password: str
) -> None:
    assume(value.strip() == value and password.strip() == password)
    query = quote(value, safe="")
    url = parse_url(f"wss://user:{quote(password, safe='')}@h/p?token={query}&{query}#"[:-1])
    redact = Redactor(url.secrets)

    for text in (url.resource, url.location, url.authorization, value, query, password):
        assert text is not None
        shown = redact(f"no access: {echo(text)} (HTTP 403)")
        for secret in (value, query, password, (url.authorization or "")[6:]):
            assert secret not in shown


def test_a_query_that_is_all_value_is_a_secret_too() -> None:
    url = parse_url("wss://h/ws?swordfish&open%20sesame")

    shown = Redactor(url.secrets)("no access for swordfish, open sesame or open%20sesame")

    assert shown == "no access for ***, *** or ***"


@given(secret=RAW, rest=st.sampled_from(["h", "h:80/x", "h/x?y=z", "", "h h", "[::1"]))
@example(secret="QZ/XJK", rest="h/")
@example(secret="QZ#XJK", rest="h/")
@example(secret="QZ?XJK", rest="h/")
@example(secret="QZ[XJK", rest="h/")
@pytest.mark.parametrize("scheme", ["wss://", "http://", "wss:", "wss:/", ""])
def test_a_malformed_url_is_refused_without_giving_its_password_away(
    scheme: str, secret: str, rest: str
) -> None:
    try:
        parse_url(f"{scheme}user:{secret}@{rest}")
    except ConfigurationError as error:
        refusal = str(error)
    else:
        refusal = ""  # an unusual, but a sound password

    assert "QZ" not in refusal
    assert "XJK" not in refusal


KEY = "pqia91ma19a5s61cv6a81va65sdf19v8"  # as long as the shortest that is taken for one


def test_a_key_in_the_path_is_shown_nowhere() -> None:
    url = parse_url(f"wss://a.example/{KEY}/ws/{KEY.upper()}?x=1")

    assert url.shown == "wss://a.example/***/ws/***?x=***"
    assert url.default_name == "a.example/***/ws/***"
    assert {KEY, KEY.upper()} <= set(url.secrets)
    assert url.resource == f"/{KEY}/ws/{KEY.upper()}?x=1"


@pytest.mark.parametrize("part", [KEY[:-1], f"{KEY}-{KEY}", f"{KEY}@trade", f"{KEY}.json"])
def test_words_of_a_path_are_no_keys(part: str) -> None:
    assert parse_url(f"wss://a.example/{part}").shown == f"wss://a.example/{part}"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("orders", "orders"),
        ("a/b?c", "a/b?c"),
        (KEY, KEY),
        ("BTC-USDT #2 (spot)", "BTC-USDT #2 (spot)"),
        (f"wss://me:pw@h/ws/{KEY}?token=abcd", "wss://***@h/ws/***?token=***"),
    ],
)
def test_a_name_that_is_a_url_hides_what_the_url_would(name: str, shown: str) -> None:
    assert redact_name(name) == shown


def test_a_secret_of_the_path_is_shown_nowhere() -> None:
    url = parse_url("wss://a.example/ws/a%2Fkey?token=abc").hiding(["a/key"])

    assert url.shown == "wss://a.example/ws/***?token=***"
    assert url.default_name == "a.example/ws/***"
    assert "key" not in repr(url)
    assert url.resource == "/ws/a%2Fkey?token=abc"
    assert {"a/key", "a%2Fkey", "abc"} <= set(url.secrets)
