"""Which proxy a connection goes through, and how it may be shown; the environment comes in."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from ..errors import ConfigurationError, named_type
from .urls import WebSocketURL, redact_malformed, redact_url

__all__ = ["DIRECT", "ProxyURL", "choose_proxy", "is_exempt", "parse_proxy"]

#: ``proxy="direct"`` ignores the environment.
DIRECT = "direct"

DEFAULT_PORTS = {"http": 80, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
#: Those that are given the name instead of an address.
_RESOLVE_NAMES = frozenset({"http", "socks4a", "socks5h"})


@dataclass(frozen=True, slots=True)
class ProxyURL:
    """A proxy.

    :ivar scheme: http, socks4, socks4a, socks5 or socks5h.
    :ivar host: name or address, IPv6 without brackets.
    :ivar port: the port.
    :ivar username: or None.
    :ivar password: or None.
    :ivar shown: the URL without user info.
    """

    scheme: str
    host: str
    port: int
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)
    shown: str

    @property
    def resolves_names(self) -> bool:
        """Whether the proxy looks names up (http, socks4a, socks5h), as curl has it."""
        return self.scheme in _RESOLVE_NAMES

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        return tuple(part for part in (self.username, self.password) if part)


def parse_proxy(proxy: object) -> ProxyURL:
    """Take a proxy's URL apart.

    :raises ConfigurationError: it is none. The text shows it without user info.
    """
    if not isinstance(proxy, str):
        raise ConfigurationError(
            f"proxy is {named_type(proxy)}; allowed: a URL such as http://host:3128, "
            f"{DIRECT!r}, or None"
        )
    # As curl has it, a proxy without a scheme is an HTTP one.
    text = proxy if "://" in proxy else f"http://{proxy}"
    shown = redact_url(text)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        # The error's own text may repeat a piece of a password.
        raise ConfigurationError(
            f"proxy is {redact_malformed(text)!r}: host or port is malformed "
            "(in user info, percent-encode / ? # @)"
        ) from None
    if parts.scheme not in DEFAULT_PORTS or not host:
        raise ConfigurationError(
            f"proxy is {shown!r}; allowed: {', '.join(sorted(DEFAULT_PORTS))}, "
            f"as in socks5h://user:password@host:1080, or {DIRECT!r}"
        )
    return ProxyURL(
        scheme=parts.scheme,
        host=host,
        port=port or DEFAULT_PORTS[parts.scheme],
        username=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        shown=shown,
    )


def choose_proxy(
    url: WebSocketURL, given: str | None, environment: Mapping[str, str]
) -> ProxyURL | None:
    """Choose the proxy for a URL.

    :param given: ``proxy=``: a URL, "direct", or None for what the environment says.
    :param environment: http_proxy (for ws), https_proxy (for wss), all_proxy, no_proxy;
        the lower-case names win over the upper-case ones.
    :raises ConfigurationError: the one that was chosen is no proxy URL.
    """
    if given is not None:
        return None if given == DIRECT else parse_proxy(given)
    if is_exempt(url, _variable(environment, "no_proxy")):
        return None
    names = ("https_proxy" if url.secure else "http_proxy", "all_proxy")
    found = next(filter(None, (_variable(environment, name) for name in names)), None)
    return None if found is None else parse_proxy(found)


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name) or environment.get(name.upper()) or ""


def is_exempt(url: WebSocketURL, no_proxy: str) -> bool:
    """Tell whether no_proxy names the host: exactly, as a parent domain, or as a network.

    :param no_proxy: comma-separated names, ``.domain``, ``host:port``, networks, or ``*``.
    """
    host = url.host.lower().rstrip(".")
    entries = (part.strip().lower() for part in no_proxy.split(","))
    return any(_names_host(entry, host, url.port) for entry in entries if entry)


def _names_host(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name, colon, only_port = entry.rpartition(":")
    if colon and only_port.isdecimal() and (":" not in name or name.endswith("]")):
        return int(only_port) == port and _names_host(name, host, port)
    name = entry.strip("[]").lstrip(".").rstrip(".")
    return host == name or host.endswith(f".{name}") or _in_network(host, name)


def _in_network(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
