"""A WebSocket URL taken apart once, and the ways in which it may be shown.

Whatever is shown has no user info, no query values and no long word of letters and digits in its
path: they are where keys hide.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from ..errors import ConfigurationError
from .redact import redact_text

__all__ = ["WebSocketURL", "parse_url", "redact_malformed", "redact_name", "redact_url"]

DEFAULT_PORTS = {"ws": 80, "wss": 443}
KNOWN_SCHEMES = ("ws://", "wss://", "http://", "https://")
HIDDEN = "***"
#: A part of a path that is a key, such as Binance's listen keys; words and numbers are shorter.
_KEY = re.compile(r"(?<=/)[A-Za-z0-9]{32,}(?![^/?#\s])")


@dataclass(frozen=True, slots=True)
class WebSocketURL:
    """The parts of a ``ws://`` or ``wss://`` URL.

    :ivar secure: whether TLS is spoken.
    :ivar host: name or address, IPv6 without brackets.
    :ivar port: the port, filled in where the URL has none.
    :ivar resource: path and query, as the request line wants them.
    :ivar shown: the URL without user info, query values and keys in its path.
    :ivar secrets: strings of the URL that must never be shown.
    :ivar authorization: the Basic value that the user info stands for, or None.
    """

    secure: bool
    host: str
    port: int
    resource: str = field(repr=False)
    shown: str
    secrets: tuple[str, ...] = field(repr=False)
    authorization: str | None = field(repr=False)

    @property
    def location(self) -> str:
        """The URL for the handshake: without user info, with the query."""
        scheme = "wss" if self.secure else "ws"
        return f"{scheme}://{_bracketed(self.host)}:{self.port}{self.resource}"

    @property
    def host_header(self) -> str:
        """The Host header (RFC 9110 section 7.2): no port where it is the default one."""
        host = _bracketed(self.host)
        default = DEFAULT_PORTS["wss" if self.secure else "ws"]
        return host if self.port == default else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The Origin header that a browser page of the same host would send."""
        return f"{'https' if self.secure else 'http'}://{self.host_header}"

    @property
    def default_name(self) -> str:
        """Host and path, as a connection is called when nobody named it."""
        path = urlsplit(self.shown).path  # which may hide more than user info and query
        return self.host_header + path.rstrip("/")

    def hiding(self, secrets: Iterable[str]) -> WebSocketURL:
        """Return one that shows none of these strings, which stand in its path."""
        shown, hidden = self.shown, []
        for secret in secrets:
            hidden += [secret, quote(secret, safe="")]
        for form in hidden:
            shown = shown.replace(form, HIDDEN)
        return replace(self, shown=shown, secrets=(*self.secrets, *hidden)) if hidden else self


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def parse_url(url: object) -> WebSocketURL:
    """Take a URL apart.

    :param url: ``ws://`` or ``wss://``; user info becomes a Basic Authorization header.
    :raises ConfigurationError: it is no such URL. The text shows it redacted.
    """
    if not isinstance(url, str):
        # Not shown: bytes and URL objects may hold secrets.
        what = "None" if url is None else f"of type {type(url).__name__}"
        raise ConfigurationError(f"url is {what}; allowed: a str")
    if any(ord(char) <= 32 or ord(char) == 127 for char in url):
        raise _bad_url(url, "it contains a space or a control character; percent-encode it")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        # The error's own text may repeat a piece of a password.
        raise _bad_url(
            url, "host or port is malformed (in user info, percent-encode / ? # @)"
        ) from None
    if parts.scheme not in DEFAULT_PORTS:
        shown = redact_url(url) if parts.netloc else ""
        raise _bad_url(url, "the scheme must be ws:// or wss://", shown=shown)
    if not host:
        raise _bad_url(url, "there is no host name")
    if port == 0:
        raise _bad_url(url, "port 0 cannot be connected to")
    if parts.fragment:
        raise _bad_url(url, "a WebSocket URL has no #fragment (RFC 6455 section 3)")
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
        ascii_resource = _resource(parts)
    except UnicodeError as error:
        raise _bad_url(url, f"it cannot be encoded: {error.args[-1]}") from None
    return WebSocketURL(
        secure=parts.scheme == "wss",
        host=ascii_host,
        port=port or DEFAULT_PORTS[parts.scheme],
        resource=ascii_resource,
        shown=redact_url(url),
        secrets=_secrets(parts),
        authorization=_basic(parts),
    )


def _bad_url(url: str, why: str, *, shown: str = "") -> ConfigurationError:
    return ConfigurationError(
        f"url is {shown or redact_malformed(url)!r:.200}: {why}; "
        "allowed: ws://host[:port]/path or wss://..."
    )


def redact_malformed(url: str) -> str:
    """Show a URL of which nobody knows where its user info ends, so all before the last @ goes."""
    before, at, after = url.rpartition("@")
    if not at:
        return redact_url(url)
    scheme = next((scheme for scheme in KNOWN_SCHEMES if url.lower().startswith(scheme)), "")
    if "?" in before or "#" in before:
        return scheme + HIDDEN
    return redact_url(f"{scheme}{HIDDEN}@{after}")


def _resource(parts: SplitResult) -> str:
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if resource.isascii():
        return resource
    return "".join(
        char if char.isascii() else "".join(f"%{byte:02X}" for byte in char.encode("utf-8"))
        for char in resource
    )


def _secrets(parts: SplitResult) -> tuple[str, ...]:
    found = [value for _, value in parse_qsl(parts.query, keep_blank_values=True)]
    for pair in parts.query.split("&"):
        name, equals, value = pair.partition("=")
        secret = value if equals else name  # a query without "=" is all value
        found += [secret, unquote(secret)]
    found += _KEY.findall(parts.path)
    for part in (parts.username, parts.password):
        if part:
            found += [part, unquote(part)]
    basic = _basic(parts)
    if basic:
        found.append(basic.partition(" ")[2])
    return tuple(dict.fromkeys(value for value in found if value))


def _basic(parts: SplitResult) -> str | None:
    if parts.username is None and parts.password is None:
        return None
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")


def redact_url(url: str) -> str:
    """Show a URL without user info, query values, keys in its path and fragment; never raises.

    >>> redact_url("wss://me:pw@example.com/ws?token=abc&x=1")
    'wss://***@example.com/ws?token=***&x=***'
    """
    head, question, query = url.partition("#")[0].partition("?")
    scheme, separator, rest = head.partition("://")
    if not separator:
        scheme, rest = "", head
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        authority = f"{HIDDEN}@{authority.rpartition('@')[2]}"
    pairs = []
    for pair in query.split("&"):
        name, equals, _ = pair.partition("=")
        pairs.append(f"{name}={HIDDEN}" if equals else (HIDDEN if pair else ""))
    shown_query = "&".join(pairs)
    shown_path = _KEY.sub(HIDDEN, slash + path)
    return f"{scheme}{separator}{authority}{shown_path}{question}{shown_query}"


def redact_name(name: str) -> str:
    """Hide what looks like a secret in the name of a connection: many name it by its URL.

    >>> redact_name("orders"), redact_name("wss://me:pw@example.com/ws?token=abc")
    ('orders', 'wss://***@example.com/ws?token=***')
    """
    return _KEY.sub(HIDDEN, redact_text(name))
