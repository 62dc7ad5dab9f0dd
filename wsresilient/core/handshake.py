"""The server's answer to the opening handshake, judged without I/O (RFC 6455 section 4.2.2).

websocket-client writes the request and reads the answer line by line; this module has
looked at the answer before, so that a refusal has a status, headers, a shortened body and a
Retry-After, and a redirect is an error that says where it pointed instead of credentials on
their way to another host.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import email.utils
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import ConfigurationError, HandshakeError, named_type
from .redact import Redactor, redact_text, shorten

__all__ = [
    "MAX_BODY",
    "MAX_HEAD",
    "ResponseHead",
    "accept_value",
    "check_headers",
    "check_subprotocols",
    "check_upgrade",
    "parse_head",
    "parse_retry_after",
    "refusal",
    "request_key",
]

#: Bytes of status line and headers that are read before an answer is refused.
MAX_HEAD = 64 * 1024
#: Bytes of an error's body that are read for its text.
MAX_BODY = 4096

HEAD_END = b"\r\n\r\n"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_RESERVED = frozenset({"upgrade", "connection", "content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """Status line and headers of an HTTP answer.

    :ivar status: the status code.
    :ivar phrase: the reason phrase, or "".
    :ivar headers: names in lower case; several of one name are joined with ", ".
    """

    status: int
    phrase: str
    headers: dict[str, str]

    def tokens(self, name: str) -> list[str]:
        """The comma-separated values of a header, in lower case."""
        return [token.strip().lower() for token in self.headers.get(name, "").split(",")]


def parse_head(head: bytes, *, redact: Redactor) -> ResponseHead:
    """Take status line and headers apart.

    :param head: everything up to and including the empty line.
    :param redact: hides the secrets of this attempt, which a server may echo, in the error.
    :raises HandshakeError: it is no HTTP/1.1 answer.
    """
    lines = head.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    code, _, phrase = rest.partition(" ")
    if not version.startswith("HTTP/1.") or not (len(code) == 3 and code.isdecimal()):
        raise HandshakeError(
            f"the server did not answer with HTTP/1.1 but {shorten(redact(lines[0]), 80)!r}"
        )
    headers: dict[str, str] = {}
    for line in lines[1:]:
        if not line:
            continue
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            shown = shorten(redact(line), 80)
            raise HandshakeError(f"the server sent a malformed header line {shown!r}")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return ResponseHead(int(code), phrase.strip(), headers)


def accept_value(key: str) -> str:
    """The Sec-WebSocket-Accept that belongs to a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode("ascii") + _GUID).digest()).decode("ascii")


def check_upgrade(
    head: ResponseHead, *, key: str, redact: Redactor, subprotocols: Sequence[str] = ()
) -> str | None:
    """Check an answer with status 101.

    :param key: the Sec-WebSocket-Key of the request.
    :param redact: hides the secrets of this attempt in the error.
    :param subprotocols: those that were offered.
    :returns: the subprotocol that the server chose, or None.
    :raises HandshakeError: it did not do what RFC 6455 section 4.1 asks.
    """
    if "websocket" not in head.tokens("upgrade"):
        raise _invalid(head, "Upgrade", "websocket", redact)
    if "upgrade" not in head.tokens("connection"):
        raise _invalid(head, "Connection", "Upgrade", redact)
    if head.headers.get("sec-websocket-accept") != accept_value(key):
        raise _invalid(head, "Sec-WebSocket-Accept", accept_value(key), redact)
    chosen = head.headers.get("sec-websocket-protocol")
    if chosen is not None and chosen not in subprotocols:
        offered = redact(", ".join(subprotocols)) or "none"
        raise HandshakeError(
            f"the server chose subprotocol {shorten(redact(chosen), 60)!r}; offered: {offered}",
            status=head.status,
            headers=redact.headers(head.headers),
        )
    return chosen


def _invalid(head: ResponseHead, name: str, wanted: str, redact: Redactor) -> HandshakeError:
    got = head.headers.get(name.lower())
    shown = "is missing" if got is None else f"is {shorten(redact(got), 60)!r}"
    return HandshakeError(
        f"the server's answer is no WebSocket handshake: {name} {shown}, wanted {wanted!r}",
        status=head.status,
        headers=redact.headers(head.headers),
    )


def refusal(head: ResponseHead, body: bytes, *, redact: Redactor, now: float) -> HandshakeError:
    """Make the error for an answer that is not 101.

    :param body: the beginning of its body.
    :param redact: hides the secrets of this attempt.
    :param now: wall clock, to which an HTTP date of Retry-After is compared.
    """
    headers = redact.headers(head.headers)
    text = f"HTTP {head.status}"
    if head.phrase:
        text += f" {shorten(redact(head.phrase), 60)}"
    location = head.headers.get("location")
    if 300 <= head.status < 400:
        where = shorten(redact(location), 200) if location else "nowhere (no Location)"
        text += (
            f": a redirect to {where}, which is not followed, since it would carry the "
            "credentials to another place; if it is right, use that url"
        )
    elif head.status == 200:
        text += ": an ordinary page answered, not a WebSocket; is the path right?"
    retry_after = parse_retry_after(head.headers.get("retry-after"), now=now)
    if retry_after is not None:
        text += f" (Retry-After: {retry_after:g} s)"
    excerpt = shorten(redact(body.decode("utf-8", "replace")), 200)
    if excerpt:
        text += f": {excerpt}"
    return HandshakeError(
        text, status=head.status, headers=headers, retry_after=retry_after, body=excerpt
    )


def parse_retry_after(value: str | None, *, now: float) -> float | None:
    """Read a Retry-After in its three forms: seconds, HTTP date, Unix time.

    :param now: wall clock, seconds since the epoch.
    :returns: seconds from now, at least 0, or None where there is none or it cannot be read.
    """
    if not value:
        return None
    value = value.strip()
    try:
        number = float(value)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(value)
            if date.tzinfo is None:  # HTTP dates are UTC, also where they do not say so
                date = date.replace(tzinfo=datetime.timezone.utc)
            return max(0.0, date.timestamp() - now)
        except (TypeError, ValueError, OverflowError):
            return None
    if not 0.0 <= number < 1e15:
        return None
    if number > 1e12:  # milliseconds since the epoch
        return max(0.0, number / 1000.0 - now)
    if number > 1e9:  # seconds since the epoch
        return max(0.0, number - now)
    return number


def request_key(request: bytes) -> str:
    """Find the Sec-WebSocket-Key in the request that websocket-client wrote.

    :raises HandshakeError: there is none, or one that is not 16 bytes in base64.
    """
    for line in request.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"sec-websocket-key":
            key = value.strip()
            try:
                if len(base64.b64decode(key, validate=True)) == 16:
                    return key.decode("ascii")
            except binascii.Error:
                break
    raise HandshakeError("the request has no valid Sec-WebSocket-Key; leave that header out")


def check_headers(headers: object) -> dict[str, str | None]:
    """Check the additional headers of a handshake.

    :param headers: a mapping from names to values, or None. A value of None suppresses a header
        that would be sent otherwise (Origin, User-Agent).
    :returns: a copy.
    :raises ConfigurationError: it is no such mapping, or a header cannot be sent. Values are
        not shown, since they may be secrets.
    """
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise ConfigurationError(
            f"headers is {named_type(headers)}; allowed: a mapping from names to values, "
            "a function that returns one, or None"
        )
    checked: dict[str, str | None] = {}
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.match(name):
            shown = redact_text(repr(name))
            raise ConfigurationError(f"header name {shown:.60} is not allowed by RFC 9110")
        lower = name.lower()
        if lower in _RESERVED or lower.startswith("sec-websocket-"):
            raise ConfigurationError(
                f"header {name} belongs to the handshake itself; leave it out"
                + ("; use subprotocols=" if lower == "sec-websocket-protocol" else "")
            )
        if value is None:
            checked[name] = None
            continue
        if not isinstance(value, str) or any(char in value for char in "\r\n\0"):
            raise ConfigurationError(
                f"the value of header {name} is not a str on one line (its type is "
                f"{type(value).__name__})"
            )
        if not value.isascii() and not _is_latin1(value):
            raise ConfigurationError(f"the value of header {name} has characters beyond latin-1")
        checked[name] = value
    return checked


def _is_latin1(value: str) -> bool:
    return all(ord(char) < 256 for char in value)


def check_subprotocols(subprotocols: object) -> tuple[str, ...]:
    """Check the subprotocols that are offered (RFC 6455 section 4.1, item 10).

    :raises ConfigurationError: it is no sequence of names, or one stands twice.
    """
    if subprotocols is None:
        return ()
    if isinstance(subprotocols, str) or not isinstance(subprotocols, Iterable):
        raise ConfigurationError(
            f"subprotocols is {subprotocols!r:.60}; allowed: a list of names, or None"
        )
    names = tuple(subprotocols)
    for name in names:
        if not isinstance(name, str) or not _TOKEN.match(name):
            raise ConfigurationError(f"subprotocol {name!r:.60} is no name that RFC 9110 allows")
    if len(set(names)) != len(names):
        raise ConfigurationError(f"subprotocols {names!r:.80} name one twice")
    return names
