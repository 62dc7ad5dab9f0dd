"""What the fake exchange understands of HTTP, and what a test has it answer."""

from __future__ import annotations

from collections import deque

import pytest

from wsresilient.testing.records import ScriptedResponse, take_scripted
from wsresilient.testing.rest_server import parse_head
from wsresilient.testing.rest_shapes.base import RestRequest


def test_the_head_of_a_request() -> None:
    head = b"get /a/b?x=1&y=%26&x=2&z= HTTP/1.1\r\nHost: h\r\nX-Key:  v \r\nContent-Length: 5"

    request, length = parse_head(head)

    assert request == RestRequest(
        "GET",
        "/a/b",
        {"x": "2", "y": "&", "z": ""},
        {"host": "h", "x-key": "v", "content-length": "5"},
    )
    assert length == 5
    assert parse_head(b"GET / HTTP/1.0")[1] == 0


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (b"", "no HTTP"),
        (b"GET /", "no HTTP"),
        (b"GET / HTTP/2", "no HTTP"),
        (b"\x16\x03\x01 / \xff", "no HTTP"),
        (b"GET / HTTP/1.1\r\nnonsense", "no colon"),
        (b"GET / HTTP/1.1\r\nContent-Length: x", "is no number"),
        (b"GET / HTTP/1.1\r\nContent-Length: -1", "is no number"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked", "must come with a Content-Length"),
    ],
)
def test_what_is_no_request(head: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_head(head)


def test_numbers_of_a_query() -> None:
    request = RestRequest("GET", "/", {"limit": "7", "many": "900", "bad": "x"})

    assert request.number("limit", 5) == 7
    assert request.number("many", 5, most=100) == 100
    assert request.number("bad", 5) == request.number("none", 5) == 5
    assert request.moment("limit") == 7
    assert request.moment("bad") is request.moment("none") is None


def test_scripted_responses_wait_for_their_path() -> None:
    one = ScriptedResponse(429, {}, b"", 2, "/a")
    two = ScriptedResponse(503, {}, b"", None)
    queue = deque([one, two])

    statuses = []
    for path in ("/b", "/a", "/a", "/a", None):
        response = take_scripted(queue, path)
        statuses.append(None if response is None else response.status)

    assert statuses == [503, 429, 429, 503, 503]
    assert list(queue) == [two]
    assert take_scripted(deque([one]), "/b") is None
