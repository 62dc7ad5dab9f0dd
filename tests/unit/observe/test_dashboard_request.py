"""From bytes to a request, or to the status that refuses them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.observe.dashboard.request import (
    MAX_HEAD,
    MAX_HEADERS,
    MAX_PARAMETERS,
    MAX_REQUEST_LINE,
    HeadBuffer,
    RefusedRequestError,
    Request,
    parse_request,
)

HOST = "Host: localhost"


def parse(first: str, *headers: str) -> Request:
    return parse_request("\r\n".join([first, *(headers or (HOST,))]).encode("latin-1"))


def refused(first: str, *headers: str) -> RefusedRequestError:
    with pytest.raises(RefusedRequestError) as caught:
        parse(first, *headers)
    return caught.value


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", {}),
        ("/summary", "/summary", {}),
        ("//summary", "/summary", {}),
        ("/summary/", "/summary", {}),
        ("/?token=a%26b", "/", {"token": "a&b"}),
        ("/history?since=1&since=2&x", "/history", {"since": "2", "x": ""}),
        ("http://localhost:1/healthz", "/healthz", {}),
        ("HTTP://localhost", "/", {}),
        ("/%2e%2e/secret", "/../secret", {}),
        ("/a%FF", "/a\N{REPLACEMENT CHARACTER}", {}),
    ],
)
def test_a_target_is_path_and_parameters(target: str, path: str, query: dict[str, str]) -> None:
    request = parse(f"GET {target} HTTP/1.1")

    assert (request.method, request.path, request.query) == ("GET", path, query)


def test_headers_are_found_by_their_names_in_lower_case() -> None:
    request = parse(
        "HEAD / HTTP/1.0", HOST, "Cookie: a=1", "COOKIE: b=2", "Accept: x", "accept:\ty "
    )

    assert request.headers == {"host": "localhost", "cookie": "a=1; b=2", "accept": "x, y"}


def test_a_request_shows_neither_query_nor_headers() -> None:
    assert "secret" not in repr(parse("GET /?token=secret HTTP/1.1", HOST, "Cookie: secret"))


@pytest.mark.parametrize(
    ("first", "status"),
    [
        ("", 400),
        ("GET", 400),
        ("GET /", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET / HTTP/1.1 more", 400),
        ("GET / HTTPS/1.1", 400),
        ("GET / http/1.1", 400),
        ("G\x00T / HTTP/1.1", 400),
        ("\x16\x03\x01\x02\x00", 400),  # TLS where none is spoken
        ("GET / HTTP/2.0", 505),
        ("POST / HTTP/1.1", 405),
        ("DELETE /summary HTTP/1.1", 405),
        ("CONNECT localhost:1 HTTP/1.1", 405),
        ("GET summary HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET ftp://localhost/ HTTP/1.1", 400),
        ("GET /\xe9 HTTP/1.1", 400),
        ("GET /?" + "&".join("x" * (MAX_PARAMETERS + 1)) + " HTTP/1.1", 400),
    ],
)
def test_what_is_not_understood_is_refused(first: str, status: int) -> None:
    assert refused(first).status == status


def test_other_methods_are_told_which_there_are() -> None:
    assert refused("PUT / HTTP/1.1").headers == {"Allow": "GET, HEAD"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Accept: x"], 400),  # no Host
        ([HOST, HOST], 400),
        ([HOST, "no colon"], 400),
        ([HOST, "name : value"], 400),
        ([HOST, " folded"], 400),
        ([HOST, ": nameless"], 400),
        ([HOST, "Name: a\x00b"], 400),
        ([HOST, *["X: y"] * MAX_HEADERS], 431),
    ],
)
def test_bad_headers_are_refused(headers: list[str], status: int) -> None:
    assert refused("GET / HTTP/1.1", *headers).status == status


HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: x"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("before", [b"", b"\r\n\r\n"])
def test_a_head_may_come_in_any_pieces(size: int, before: bytes) -> None:
    data = before + HEAD + b"\r\n\r\n"
    buffer = HeadBuffer()

    answers = [buffer.feed(data[at : at + size]) for at in range(0, len(data), size)]

    assert answers == [None] * (len(answers) - 1) + [HEAD]


def test_bare_line_feeds_and_what_comes_behind_are_taken() -> None:
    assert HeadBuffer().feed(b"GET / HTTP/1.1\nHost: a\n\nGET /next") == b"GET / HTTP/1.1\nHost: a"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"G" * (MAX_REQUEST_LINE + 1), 414),
        (b"GET /" + b"x" * MAX_REQUEST_LINE + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD, 431),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD + b"\r\n\r\n", 431),
    ],
)
def test_what_is_too_long_is_refused_before_it_ends(data: bytes, status: int) -> None:
    with pytest.raises(RefusedRequestError) as caught:
        HeadBuffer().feed(data)

    assert caught.value.status == status


def outcome(*pieces: bytes) -> int | str | None:
    """Feed bytes: the path that was asked for, the status that refused it, or None for more."""
    buffer = HeadBuffer()
    try:
        heads = [head for piece in pieces if (head := buffer.feed(piece)) is not None]
        return parse_request(heads[0]).path if heads else None
    except RefusedRequestError as error:
        return error.status


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_no_bytes_do_anything_else_than_be_refused(pieces: list[bytes]) -> None:
    told = outcome(*pieces)

    assert told is None or str(told).startswith("/") or told in (400, 405, 505)


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_no_target_does_anything_else_than_be_refused(target: str) -> None:
    told = outcome(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode("latin-1"))

    assert str(told).startswith("/") or told in (400, 505)
