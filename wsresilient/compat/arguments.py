"""What websocket-client's arguments mean here: headers, a proxy, pings, retries and TLS.

Functions of their arguments only; they open nothing.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from ..config import unknown_name
from ..core.backoff import ReconnectPolicy
from ..errors import ConfigurationError

__all__ = [
    "effective_ping_timeout",
    "proxy_url",
    "reconnect_policy",
    "refuse",
    "split_headers",
    "ssl_context_of",
]

logger = logging.getLogger("wsresilient.compat")


def refuse(**arguments: object) -> None:
    """Refuse arguments that ask for what the engine does itself, if they are given."""
    for name, value in arguments.items():
        if value:
            raise ConfigurationError(f"{name}= is not supported by this engine; leave it out")


def split_headers(lines: Iterable[str]) -> dict[str, str | None]:
    """Make a mapping of lines "Name: value"."""
    headers: dict[str, str | None] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ConfigurationError("a header line has no colon; allowed: 'Name: value'")
        headers[name.strip()] = value.strip()
    return headers


def proxy_url(
    host: str | None,
    port: int | str | None,
    auth: tuple[str, str] | None,
    proxy_type: str | None,
) -> str | None:
    """Make the proxy's URL of its parts."""
    if not host:
        return None
    user_info = "".join(f"{quote(part, safe='')}:" for part in auth or ()).rstrip(":")
    return f"{proxy_type or 'http'}://{user_info}{'@' if user_info else ''}{host}:{port or 80}"


def effective_ping_timeout(interval: float, timeout: float | None) -> float:
    """Give the timeout that fits an interval where none is given."""
    if timeout is not None:
        return timeout
    return interval / 2 if interval else 30.0


def reconnect_policy(reconnect: float | None) -> ReconnectPolicy:
    """Make a policy of the seconds before the first retry; None or 0: no retry."""
    if not reconnect:
        return ReconnectPolicy(max_attempts=0)
    return ReconnectPolicy(initial_delay=reconnect, max_delay=max(60.0, reconnect))


_SSL_OPTIONS = (
    "cert_reqs",
    "check_hostname",
    "ca_certs",
    "ca_cert_path",
    "certfile",
    "keyfile",
    "password",
    "ciphers",
    "context",
)


def ssl_context_of(sslopt: Mapping[str, Any] | None) -> ssl.SSLContext | None:
    """Make a context of websocket-client's dict."""
    if not sslopt:
        return None
    for name in sslopt:
        if name not in _SSL_OPTIONS:
            raise unknown_name("sslopt", name, _SSL_OPTIONS)
    if sslopt.get("context") is not None:
        context: ssl.SSLContext = sslopt["context"]
        return context
    context = ssl.create_default_context(
        cafile=sslopt.get("ca_certs"), capath=sslopt.get("ca_cert_path")
    )
    if sslopt.get("certfile"):
        context.load_cert_chain(sslopt["certfile"], sslopt.get("keyfile"), sslopt.get("password"))
    if sslopt.get("ciphers"):
        context.set_ciphers(sslopt["ciphers"])
    if sslopt.get("check_hostname") is False or sslopt.get("cert_reqs") == ssl.CERT_NONE:
        context.check_hostname = False
    if "cert_reqs" in sslopt:
        context.verify_mode = sslopt["cert_reqs"]
    if context.verify_mode == ssl.CERT_NONE:
        logger.warning("sslopt switches the verification of certificates off: anybody may listen")
    return context
