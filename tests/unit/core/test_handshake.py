"""The server's answer to the handshake: accepted, or refused with what it said, without secrets."""

from __future__ import annotations

import base64
import email.utils
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsresilient import ConfigurationError, HandshakeError
from wsresilient.core.handshake import (
    ResponseHead,
    accept_value,
    check_headers,
    check_subprotocols,
    check_upgrade,
    parse_head,
    parse_retry_after,
    refusal,
    request_key,
)
from wsresilient.core.redact import Redactor

# The example of RFC 6455 section 1.3.
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
SECRET = "QXZJ-swordfish"
REDACT = Redactor([SECRET])
NOW = 1_700_000_000.0


def upgrade(**changes: str | None) -> ResponseHead:
    """Make a sound answer, but for these headers; None leaves one out."""
    headers: dict[str, str | None] = {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-accept": ACCEPT,
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    present = {name: value for name, value in headers.items() if value is not None}
    return ResponseHead(101, "Switching Protocols", present)


def parse(head: bytes) -> ResponseHead:
    return parse_head(head, redact=REDACT)


def check(head: ResponseHead, *subprotocols: str) -> str | None:
    return check_upgrade(head, key=KEY, redact=REDACT, subprotocols=subprotocols)


# Status line and headers.


def test_an_answer_is_taken_apart() -> None:
    head = parse(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nCONNECTION:  Upgrade \r\n"
        b"X-Empty:\r\n\r\n"
    )

    assert (head.status, head.phrase) == (101, "Switching Protocols")
    assert head.headers == {"upgrade": "websocket", "connection": "Upgrade", "x-empty": ""}


def test_several_headers_of_one_name_are_joined() -> None:
    head = parse(b"HTTP/1.1 101 x\r\nVia: a\r\nvia: b\r\n\r\n")

    assert head.headers == {"via": "a, b"}
    assert head.tokens("via") == ["a", "b"]
    assert head.tokens("missing") == [""]


@pytest.mark.parametrize("line", [b"HTTP/1.1 204", b"HTTP/1.0 204 ", b"HTTP/1.1 204 No Content"])
def test_a_reason_phrase_may_be_missing(line: bytes) -> None:
    assert parse(line + b"\r\n\r\n").status == 204


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2",
        b"220 mail.example ESMTP",
        b"HTTP/2 200",
        b"HTTP/1.1 abc",
        b"HTTP/1.1 1010 x",
        b"HTTP/1.1",
        b"\xff\xfe",
    ],
)
def test_what_is_no_http_is_refused_and_shown(line: bytes) -> None:
    with pytest.raises(HandshakeError, match=r"did not answer with HTTP/1.1 but") as caught:
        parse(line + b"\r\n\r\n")
    assert caught.value.status is None
    assert line[:9].decode("ascii", "ignore") in str(caught.value)


@pytest.mark.parametrize(
    "line", [b"no colon", b": no name", b" folded: x", b"space : x", b"\tTab: x"]
)
def test_a_malformed_header_line_is_refused(line: bytes) -> None:
    with pytest.raises(HandshakeError, match="malformed header line"):
        parse(b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n" + line + b"\r\n\r\n")


@given(st.binary(max_size=200))
def test_an_answer_is_parsed_or_refused_but_nothing_else(head: bytes) -> None:
    for answer in (head, b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n"):
        try:
            parsed = parse(answer)
        except HandshakeError:
            continue
        assert 0 <= parsed.status <= 999
        assert all(name == name.lower() for name in parsed.headers)


# An upgrade.


def test_the_accept_value_is_that_of_the_rfc() -> None:
    assert accept_value(KEY) == ACCEPT


def test_a_sound_upgrade_is_accepted() -> None:
    assert check(upgrade()) is None
    assert check(upgrade(upgrade="WebSocket", connection="keep-alive, UPGRADE")) is None
    assert check(upgrade(sec_websocket_protocol="b"), "a", "b") == "b"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"upgrade": None}, "Upgrade is missing"),
        ({"upgrade": "h2c"}, "Upgrade is 'h2c'"),
        ({"upgrade": "websocketx"}, "Upgrade is"),
        ({"connection": None}, "Connection is missing"),
        ({"connection": "close"}, "Connection is 'close'"),
        ({"sec_websocket_accept": None}, "Sec-WebSocket-Accept is missing"),
        ({"sec_websocket_accept": ACCEPT.lower()}, "Sec-WebSocket-Accept is"),
        ({"sec_websocket_accept": f"{ACCEPT}, {ACCEPT}"}, "Sec-WebSocket-Accept is"),
    ],
)
def test_an_upgrade_that_is_none_is_refused_by_the_header(
    changes: dict[str, str | None], name: str
) -> None:
    with pytest.raises(HandshakeError) as caught:
        check(upgrade(**changes))

    assert name in str(caught.value)
    assert caught.value.status == 101


@pytest.mark.parametrize("offered", [(), ("a",), ("A-B", "c")])
def test_a_subprotocol_that_was_not_offered_is_refused(offered: tuple[str, ...]) -> None:
    with pytest.raises(HandshakeError, match="chose subprotocol 'a-b'; offered: ") as caught:
        check(upgrade(sec_websocket_protocol="a-b"), *offered)
    assert (", ".join(offered) or "none") in str(caught.value)


# A refusal.


def refused(
    status: int = 503, phrase: str = "", body: bytes = b"", **headers: str
) -> HandshakeError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(ResponseHead(status, phrase, named), body, redact=REDACT, now=NOW)


def test_a_refusal_has_status_headers_body_and_retry_after() -> None:
    error = refused(503, "Busy", b"come\r\n back ", retry_after="30", server="nginx")

    assert str(error) == "HTTP 503 Busy (Retry-After: 30 s): come back"
    assert (error.status, error.retry_after, error.body) == (503, 30.0, "come back")
    assert error.headers == {"retry-after": "30", "server": "nginx"}


def test_a_refusal_that_says_nothing_says_its_status() -> None:
    assert str(refused(404)) == "HTTP 404"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_says_where_it_pointed_and_is_not_followed(status: int) -> None:
    error = refused(status, location=f"wss://me:pw@other.example/x?token={SECRET}")

    assert f"HTTP {status}: a redirect to wss://***@other.example/x?token=***" in str(error)
    assert "not followed" in str(error)
    assert "nowhere" in str(refused(status))


def test_an_ordinary_page_is_told_from_a_websocket() -> None:
    error = refused(200, "OK", b"<html>Welcome</html>")

    assert "not a WebSocket" in str(error)
    assert "<html>Welcome</html>" in str(error)


@given(st.binary(max_size=5000))
def test_a_body_is_shown_short_and_printable(body: bytes) -> None:
    error = refused(500, "", body)

    assert len(error.body) <= 200
    assert error.body.isprintable()


# What the server says may repeat what we sent.

ECHO = f"GET /ws?token={SECRET} HTTP/1.1"


def assert_no_secret(error: HandshakeError) -> None:
    assert "swordfish" not in f"{error} {error.headers} {error.body} {error.args} {error!r}"


def test_no_refusal_repeats_a_secret() -> None:
    assert_no_secret(
        refused(
            400,
            SECRET,
            f"you sent {SECRET}".encode(),
            location=f"/?x={SECRET}",
            set_cookie="id=swordfish",
            x_echo=SECRET,
        )
    )


@pytest.mark.parametrize(
    "answer",
    [
        f"{ECHO}\r\nHost: x\r\n\r\n",
        f"{SECRET}\r\n\r\n",
        f"HTTP/1.1 {SECRET}\r\n\r\n",
        f"HTTP/1.1 400 x\r\n{ECHO}\r\n\r\n",
        f"HTTP/1.1 400 x\r\n{SECRET} : x\r\n\r\n",
    ],
)
def test_no_answer_that_is_not_http_repeats_a_secret(answer: str) -> None:
    with pytest.raises(HandshakeError) as caught:
        parse(answer.encode())
    assert_no_secret(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"upgrade": SECRET},
        {"connection": SECRET},
        {"sec_websocket_accept": SECRET},
        {"sec_websocket_protocol": SECRET},
        {"upgrade": None, "set_cookie": "id=swordfish", "x_echo": SECRET},
    ],
)
def test_no_broken_upgrade_repeats_a_secret(changes: dict[str, str | None]) -> None:
    with pytest.raises(HandshakeError) as caught:
        check(upgrade(**changes))
    assert_no_secret(caught.value)


# Retry-After in its three forms.


@given(st.integers(0, 10**9))
def test_retry_after_in_seconds(seconds: int) -> None:
    assert parse_retry_after(str(seconds), now=NOW) == seconds
    assert parse_retry_after(f"  {seconds}\t", now=NOW) == seconds


@given(st.integers(-(10**8), 10**8), st.booleans())
def test_retry_after_as_http_date(ahead: int, gmt: bool) -> None:
    text = email.utils.formatdate(NOW + ahead, usegmt=gmt)  # "GMT", or "-0000"

    assert parse_retry_after(text, now=NOW) == max(0, ahead)


@pytest.mark.parametrize(
    "date",
    [
        "Tue, 14 Nov 2023 22:13:50 GMT",
        "Tuesday, 14-Nov-23 22:13:50 GMT",  # RFC 850
        "Tue Nov 14 22:13:50 2023",  # asctime
        "Tue, 14 Nov 2023 23:13:50 +0100",
    ],
)
def test_retry_after_in_every_form_of_an_http_date(date: str) -> None:
    assert parse_retry_after(date, now=NOW) == 30.0


@given(st.integers(-(10**8), 10**8))
def test_retry_after_as_unix_time(ahead: int) -> None:
    assert parse_retry_after(str(int(NOW) + ahead), now=NOW) == max(0, ahead)
    milliseconds = str((int(NOW) + ahead) * 1000)
    assert parse_retry_after(milliseconds, now=NOW) == max(0, ahead)


def test_retry_after_may_have_a_fraction() -> None:
    assert parse_retry_after("1.5", now=NOW) == 1.5


@pytest.mark.parametrize(
    "value",
    [None, "", " ", "soon", "-1", "nan", "inf", "-inf", "1e300", "0x10", "Tue, 99 Nov 2023", "5 s"],
)
def test_a_retry_after_that_cannot_be_read_is_none(value: str | None) -> None:
    assert parse_retry_after(value, now=NOW) is None


@given(st.text(max_size=40))
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_a_retry_after_is_never_negative_and_never_raises(value: str) -> None:
    seconds = parse_retry_after(value, now=NOW)

    assert seconds is None or 0.0 <= seconds < 1e15


# What is sent.


def test_the_key_is_found_in_the_request() -> None:
    request = f"GET / HTTP/1.1\r\nHost: h\r\nsec-websocket-KEY:  {KEY} \r\n\r\n".encode()

    assert request_key(request) == KEY


@pytest.mark.parametrize(
    "line", ["Host: h", "Sec-WebSocket-Key:", "Sec-WebSocket-Key: ***", "Sec-WebSocket-Key: QUJD"]
)
def test_a_request_without_a_valid_key_is_refused(line: str) -> None:
    with pytest.raises(HandshakeError, match="no valid Sec-WebSocket-Key"):
        request_key(f"GET / HTTP/1.1\r\n{line}\r\n\r\n".encode())


@given(st.binary(min_size=16, max_size=16))
def test_every_key_of_16_bytes_is_valid(key: bytes) -> None:
    encoded = base64.b64encode(key).decode()

    assert request_key(f"GET / HTTP/1.1\r\nSec-WebSocket-Key: {encoded}\r\n\r\n".encode())


def test_headers_are_copied_and_none_stands_for_one_that_is_not_wanted() -> None:
    wanted = {"X-A": "b", "Authorization": "Bearer x", "Origin": None, "X-L": "\xe9"}

    checked = check_headers(wanted)

    assert checked == wanted
    assert checked is not wanted
    assert check_headers(None) == {}


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        (["X: swordfish"], "headers is a list; allowed: a mapping"),
        ("X: swordfish", "headers is a str"),
        ({"X Y": "swordfish"}, "header name 'X Y'"),
        ({"": "swordfish"}, "header name ''"),
        ({5: "swordfish"}, "header name 5"),
        ({"X\r\nY": "swordfish"}, "header name"),
        ({"Authorization: Bearer swordfish": ""}, "header name"),
        ({"X": "swordfish\r\nY: z"}, "the value of header X"),
        ({"X": "swordfish\0"}, "the value of header X"),
        ({"X": b"swordfish"}, "its type is bytes"),
        ({"X": 5}, "its type is int"),
        ({"X": "swordfish€"}, "beyond latin-1"),
        ({"Upgrade": "h2c"}, "belongs to the handshake"),
        ({"connection": "close"}, "belongs to the handshake"),
        ({"Content-Length": "5"}, "belongs to the handshake"),
        ({"Sec-WebSocket-Key": KEY}, "belongs to the handshake"),
        ({"sec-websocket-protocol": "a"}, "use subprotocols="),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused_without_its_value(headers: Any, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_headers(headers)

    assert why in str(caught.value)
    assert "swordfish" not in str(caught.value)


@given(st.text("aZ9-:\r\n\0 \té€", max_size=4), st.text("aZ9-:\r\n\0 \té€", max_size=4))
def test_a_header_that_passes_cannot_break_out_of_its_line(name: str, value: str) -> None:
    try:
        checked = check_headers({name: value})
    except ConfigurationError:
        checked = {}
    # exactly those pass of which nothing can be taken for another header
    sound = name != "" and set(name) <= set("aZ9-") and not set(value) & set("\r\n\0€")
    assert checked == ({name: value} if sound else {})


def test_subprotocols_are_kept_in_their_order() -> None:
    assert check_subprotocols(None) == ()
    assert check_subprotocols(["b", "a"]) == ("b", "a")
    assert check_subprotocols(name for name in ("b", "a.b+c")) == ("b", "a.b+c")


@pytest.mark.parametrize("subprotocols", ["a", b"a", 5, ["a b"], [""], ["a", None], ["a", "a"]])
def test_subprotocols_that_cannot_be_offered_are_refused(subprotocols: Any) -> None:
    with pytest.raises(ConfigurationError, match="subprotocol"):
        check_subprotocols(subprotocols)
