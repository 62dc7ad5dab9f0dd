"""From the bytes of a client to a request, or to the status that refuses it; pure, sans-I/O.

A dashboard needs little of HTTP/1.1 (RFC 9112): one GET or HEAD for each connection, no body.
What is not understood to the letter is refused, and everything is bounded: a plain installation
has no HTTP server library, and those of the standard library give a slow client a thread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

__all__ = ["HeadBuffer", "RefusedRequestError", "Request", "parse_request"]

#: Bytes of the request line, and of the whole head; a browser's are a tenth of it.
MAX_REQUEST_LINE = 4096
MAX_HEAD = 16 * 1024
MAX_HEADERS = 100
MAX_PARAMETERS = 20

METHODS = ("GET", "HEAD")

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION = re.compile(r"HTTP/(\d)\.(\d)")
# Visible characters only: neither spaces nor controls nor what is not ASCII (RFC 9112 section 3.2).
_TARGET = re.compile(r"[\x21-\x7e]+")
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class RefusedRequestError(Exception):
    """A request that is answered with an error.

    :ivar status: HTTP status.
    :ivar text: one sentence for a person.
    :ivar headers: that the answer needs besides the usual ones.
    """

    def __init__(self, status: int, text: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text
        self.headers: dict[str, str] = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Request:
    """One request, understood.

    :ivar method: "GET" or "HEAD".
    :ivar path: decoded, begins with one slash, has none at its end unless it is "/".
    :ivar query: the last value of each parameter.
    :ivar headers: by their names in lower case.
    """

    method: str
    path: str
    # These may hold the token: they are no business of a log line.
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class HeadBuffer:
    """Collects the bytes of a client until the head of its request is complete."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> bytes | None:
        """Add bytes.

        :returns: the head, without the empty line that ends it, or None as long as it is not
            complete; what comes behind it is ignored.
        :raises RefusedRequestError: it is too long already.
        """
        held = self._bytes
        held += data
        if self._searched == 0:  # empty lines before a request are allowed (RFC 9112 section 2.2)
            del held[: len(held) - len(held.lstrip(b"\r\n"))]
        end = _END_OF_HEAD.search(held, max(0, self._searched - 3))
        self._searched = len(held)
        head = held if end is None else held[: end.start()]
        line_end = head.find(b"\n")
        if (len(head) if line_end < 0 else line_end) > MAX_REQUEST_LINE:
            raise RefusedRequestError(
                414, f"The request line is longer than {MAX_REQUEST_LINE} bytes."
            )
        if len(head) > MAX_HEAD:
            raise RefusedRequestError(431, f"The headers are longer than {MAX_HEAD} bytes.")
        return None if end is None else bytes(head)


def parse_request(head: bytes) -> Request:
    """Understand the head of a request.

    :param head: request line and headers, without the empty line that ends them.
    :raises RefusedRequestError: 400, 405, 431 or 505.
    """
    first, *lines = head.decode("latin-1").split("\n")
    method, target = _request_line(first.removesuffix("\r"))
    headers = _headers([line.removesuffix("\r") for line in lines])
    if "host" not in headers:
        raise RefusedRequestError(400, "The Host header is missing.")
    path, _, query = target.partition("?")
    return Request(method, "/" + unquote(path).strip("/"), _query(query), headers)


def _request_line(line: str) -> tuple[str, str]:
    """Take "GET /path HTTP/1.1" apart; the target is returned in origin form."""
    parts = line.split(" ")
    if len(parts) != 3:
        raise RefusedRequestError(400, "The request line is not: method, target, version.")
    method, target, protocol = parts
    version = _VERSION.fullmatch(protocol)
    if version is None or not _TOKEN.fullmatch(method):
        raise RefusedRequestError(400, "This is not HTTP.")
    if version[1] != "1":
        raise RefusedRequestError(505, "HTTP/1.0 and HTTP/1.1 are spoken here.")
    if method not in METHODS:
        raise RefusedRequestError(
            405,
            "Nothing can be changed here: GET and HEAD are all there is.",
            headers={"Allow": ", ".join(METHODS)},
        )
    if not _TARGET.fullmatch(target):
        raise RefusedRequestError(400, "The request target has characters that must be encoded.")
    return method, _origin_form(target)


def _origin_form(target: str) -> str:
    if target.startswith("/"):
        return target
    # What a client sends to a proxy, and every server has to take (RFC 9112 section 3.2.2).
    if target.lower().startswith(("http://", "https://")):
        _, _, rest = target.partition("://")
        _, slash, path = rest.partition("/")
        return f"/{path}" if slash else "/"
    raise RefusedRequestError(400, "The request target is neither a path nor a URL.")


def _query(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS))
    except ValueError as error:
        raise RefusedRequestError(
            400, f"There are more than {MAX_PARAMETERS} parameters."
        ) from error


def _headers(lines: list[str]) -> dict[str, str]:
    if len(lines) > MAX_HEADERS:
        raise RefusedRequestError(431, f"There are more than {MAX_HEADERS} headers.")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name) or _BAD_VALUE.search(value):
            raise RefusedRequestError(400, "A header is not: name, colon, value.")
        name, value = name.lower(), value.strip(" \t")
        if name == "host" and name in headers:
            raise RefusedRequestError(400, "There is more than one Host header.")
        # A list may come in several lines (RFC 9110 section 5.3); of cookies it is one with ";".
        glue = "; " if name == "cookie" else ", "
        headers[name] = f"{headers[name]}{glue}{value}" if name in headers else value
    return headers
