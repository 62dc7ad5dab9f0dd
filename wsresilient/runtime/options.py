"""What a connection was made with, checked once, and what each attempt makes of it."""

from __future__ import annotations

import importlib.metadata
import os
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..config import check_callable
from ..core.backoff import ReconnectPolicy
from ..core.endpoints import parse_urls
from ..core.failure import Failure
from ..core.handshake import check_headers, check_subprotocols
from ..core.proxies import DIRECT, ProxyURL, choose_proxy, parse_proxy
from ..core.redact import Redactor
from ..core.urls import WebSocketURL
from ..errors import ConfigurationError
from .tunnel import check_available

__all__ = ["ConnectionOptions"]


def _user_agent() -> str:
    try:
        return f"wsresilient/{importlib.metadata.version('wsresilient')}"
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        return "wsresilient"


USER_AGENT = _user_agent()
#: A subprotocol of so many characters is no name any more, but a token.
LONG_NAME = 24


@dataclass(frozen=True)
class ConnectionOptions:
    """The arguments of a connection that are not plain settings.

    :ivar url: str, sequence of str, or a callable returning either.
    :ivar headers: mapping, or a callable returning one, or None.
    :ivar subprotocols: offered ones.
    :ivar proxy: URL, "direct", or None: what the environment says.
    :ivar ssl_context: None takes the system's certificates.
    :ivar policy: when to try again.
    :ivar classify: the user's last word on a failure, or None.
    """

    url: Any = field(repr=False)
    headers: Any = field(default=None, repr=False)
    subprotocols: tuple[str, ...] = ()
    proxy: str | None = field(default=None, repr=False)
    ssl_context: ssl.SSLContext | None = None
    policy: ReconnectPolicy = field(default_factory=ReconnectPolicy)
    classify: Callable[[Failure], Failure] | None = None

    @classmethod
    def checked(
        cls,
        *,
        url: Any,
        headers: Any,
        subprotocols: Iterable[str] | None,
        proxy: Any,
        ssl_context: Any,
        reconnect: Any,
        classify: Any,
    ) -> ConnectionOptions:
        """Check the arguments.

        :raises ConfigurationError: one is wrong; the text says which and what is allowed.
        """
        if not callable(url):
            parse_urls(url)
        if not callable(headers):
            check_headers(headers)
        if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
            raise ConfigurationError(
                f"ssl_context is a {type(ssl_context).__name__}; allowed: an SSLContext, or None"
            )
        if reconnect is not None and not isinstance(reconnect, ReconnectPolicy):
            raise ConfigurationError(
                f"reconnect is {reconnect!r:.60}; allowed: a ReconnectPolicy, or None"
            )
        if proxy is not None and proxy != DIRECT:
            parse_proxy(proxy)
            check_available()
        check_callable("classify", classify)
        return cls(
            url=url,
            headers=headers,
            subprotocols=check_subprotocols(subprotocols),
            proxy=proxy,
            ssl_context=ssl_context,
            policy=reconnect or ReconnectPolicy(),
            classify=classify,
        )

    @property
    def credentials_can_change(self) -> bool:
        """Whether a callable could give other credentials next time."""
        return callable(self.url) or callable(self.headers)

    def urls(self) -> tuple[WebSocketURL, ...]:
        """Ask for the URLs of the next attempt; calls the user's function, if there is one.

        :raises ConfigurationError: what it gave is no URL.
        """
        return parse_urls(self.url() if callable(self.url) else self.url)

    def headers_for(self, url: WebSocketURL) -> dict[str, str | None]:
        """Ask for the headers of the next attempt; calls the user's function, if there is one.

        :raises ConfigurationError: what it gave cannot be sent.
        """
        headers = check_headers(self.headers() if callable(self.headers) else self.headers)
        given = {name.lower() for name in headers}
        if url.authorization and "authorization" not in given:
            headers["Authorization"] = url.authorization
        if "user-agent" not in given:
            headers["User-Agent"] = USER_AGENT
        return headers

    def proxy_for(self, url: WebSocketURL) -> ProxyURL | None:
        """Choose the proxy of the next attempt.

        :raises ConfigurationError: the environment names none that can be used.
        """
        proxy = choose_proxy(url, self.proxy, os.environ)
        if proxy is not None:
            check_available()
        return proxy

    def default_name(self) -> str:
        """Host and path of the first URL; a URL that is not known yet has neither."""
        if callable(self.url):
            name = str(getattr(self.url, "__name__", "connection"))
            return name if name.isidentifier() else "connection"
        return parse_urls(self.url)[0].default_name

    def shown_url(self) -> str:
        """The first URL without secrets, or "" where it is not known yet."""
        return "" if callable(self.url) else parse_urls(self.url)[0].shown


def redactor(
    urls: Iterable[WebSocketURL],
    headers: Mapping[str, str | None],
    proxy: ProxyURL | None,
    subprotocols: Iterable[str],
) -> Redactor:
    """Make what hides the secrets of one attempt."""
    secrets = [secret for url in urls for secret in url.secrets]
    # Some servers take a token as a subprotocol, since browsers can send no headers.
    secrets += [name for name in subprotocols if len(name) >= LONG_NAME]
    if proxy is not None:
        secrets += proxy.secrets
    return Redactor(secrets).with_headers(headers)
