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
from ..core.credentials import Credentials
from ..core.endpoints import EndpointPolicy, parse_urls
from ..core.failure import Failure
from ..core.handshake import check_headers, check_subprotocols
from ..core.proxies import DIRECT, ProxyURL, choose_proxy, parse_proxy
from ..core.redact import Redactor
from ..core.urls import WebSocketURL
from ..errors import ConfigurationError, named_type
from ..venues.base import Venue
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
    :ivar venue: the exchange, or None; gives the URLs where ``url`` is None.
    :ivar auth: Credentials, a callable returning them, or None.
    :ivar endpoint_policy: when one of several URLs is left alone.
    :ivar connect_limiter: a budget of connects that connections share, or None.
    """

    url: Any = field(repr=False)
    headers: Any = field(default=None, repr=False)
    subprotocols: tuple[str, ...] = ()
    proxy: str | None = field(default=None, repr=False)
    ssl_context: ssl.SSLContext | None = None
    policy: ReconnectPolicy = field(default_factory=ReconnectPolicy)
    classify: Callable[[Failure], Failure] | None = None
    venue: Venue | None = None
    auth: Any = field(default=None, repr=False)
    endpoint_policy: EndpointPolicy = field(default_factory=EndpointPolicy)
    connect_limiter: Any = None

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
        venue: Any = None,
        auth: Any = None,
        endpoint_policy: Any = None,
        connect_limiter: Any = None,
    ) -> ConnectionOptions:
        """Check the arguments.

        :raises ConfigurationError: one is wrong; the text says which and what is allowed.
        """
        venue, auth = _checked_venue(venue), _checked_auth(auth, venue)
        if venue is not None and url is not None and not callable(url):
            parse_urls(url)
            venue, url = venue.replace(url=url), None
        if url is None and venue is None:
            raise ConfigurationError(
                "there is no url; allowed: a ws:// or wss:// URL, a list of them, a function that "
                "returns either, or venue=, which knows its own"
            )
        if isinstance(url, Venue):
            raise ConfigurationError(f"url is {url!r}; write venue={url!r}")
        if not callable(url):
            parse_urls(url if venue is None or url is not None else venue.urls())
        if not callable(headers):
            check_headers(headers)
        if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
            raise ConfigurationError(
                f"ssl_context is {named_type(ssl_context)}; allowed: an SSLContext, or None"
            )
        if reconnect is not None and not isinstance(reconnect, ReconnectPolicy):
            raise ConfigurationError(
                f"reconnect is {reconnect!r:.60}; allowed: a ReconnectPolicy, or None"
            )
        if proxy is not None and proxy != DIRECT:
            parse_proxy(proxy)
            check_available()
        check_callable("classify", classify)
        if connect_limiter is not None and not callable(getattr(connect_limiter, "reserve", None)):
            raise ConfigurationError(
                f"connect_limiter is {connect_limiter!r:.60}; allowed: a ConnectLimiter, a "
                "RateLimiter, or None"
            )
        if endpoint_policy is not None and not isinstance(endpoint_policy, EndpointPolicy):
            raise ConfigurationError(
                f"endpoint_policy is {endpoint_policy!r:.60}; allowed: an EndpointPolicy, or None"
            )
        return cls(
            url=url,
            headers=headers,
            subprotocols=check_subprotocols(subprotocols),
            proxy=proxy,
            ssl_context=ssl_context,
            policy=reconnect or (ReconnectPolicy() if venue is None else venue.policy()),
            classify=classify,
            venue=venue,
            auth=auth,
            endpoint_policy=endpoint_policy or EndpointPolicy(),
            connect_limiter=connect_limiter,
        )

    @property
    def credentials_can_change(self) -> bool:
        """Whether a callable could give other credentials next time."""
        return callable(self.url) or callable(self.headers) or callable(self.auth)

    def urls(
        self, *, group: str | None = None, listen_key: str | None = None
    ) -> tuple[WebSocketURL, ...]:
        """Ask for the URLs of the next attempt; calls the user's function, if there is one.

        :param group: of the topics that are wanted; see :meth:`Venue.group_of`.
        :param listen_key: that stands in the URL, where the venue wants one.
        :raises ConfigurationError: what it gave is no URL.
        """
        venue = self.venue
        if self.url is None and venue is not None:
            given: object = venue.urls(group=group, listen_key=listen_key)
        else:
            given = self.url() if callable(self.url) else self.url
        urls = parse_urls(given)
        if venue is None:
            return urls
        return tuple(url.hiding(venue.secrets_in(url.location)) for url in urls)

    def credentials(self) -> Credentials | None:
        """Ask for the credentials of the next login; calls the user's function, if there is one.

        :raises ConfigurationError: what it gave are none.
        """
        if self.auth is None:
            return None
        given = self.auth() if callable(self.auth) else self.auth
        if not isinstance(given, Credentials):
            # Not shown: it may hold secrets.
            raise ConfigurationError(
                f"auth gave {named_type(given)}; allowed: Credentials(api_key, secret)"
            )
        return given

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
        return self.urls()[0].default_name

    def shown_url(self) -> str:
        """The first URL without secrets, or "" where it is not known yet."""
        return "" if callable(self.url) else self.urls()[0].shown


def _checked_venue(venue: object) -> Venue | None:
    if venue is not None and not isinstance(venue, Venue):
        hint = "; write Binance(), not Binance" if isinstance(venue, type) else ""
        raise ConfigurationError(
            f"venue is {venue!r:.60}; allowed: a Venue, such as Binance(), OKX(), Bybit(), MEXC() "
            f"of wsresilient.venues, or None{hint}"
        )
    return venue


def _checked_auth(auth: object, venue: Venue | None) -> object:
    if auth is not None and not callable(auth) and not isinstance(auth, Credentials):
        raise ConfigurationError(
            f"auth is {named_type(auth)}; allowed: Credentials(api_key, secret), a function "
            "that returns them, or None"
        )
    if auth is not None and venue is None:
        raise ConfigurationError("auth= needs venue=, which knows how to log in")
    if auth is None and venue is not None and venue.needs_login():
        raise ConfigurationError(
            f"{venue!r} needs auth=Credentials(api_key, secret), and a passphrase where the "
            "exchange has one"
        )
    if isinstance(auth, Credentials) and venue is not None:
        venue.check_credentials(auth)
    return auth


def redactor(
    urls: Iterable[WebSocketURL],
    headers: Mapping[str, str | None],
    proxy: ProxyURL | None,
    subprotocols: Iterable[str],
    credentials: Credentials | None = None,
) -> Redactor:
    """Make what hides the secrets of one attempt."""
    secrets = list(credentials.secrets) if credentials is not None else []
    secrets += [secret for url in urls for secret in url.secrets]
    # Some servers take a token as a subprotocol, since browsers can send no headers.
    secrets += [name for name in subprotocols if len(name) >= LONG_NAME]
    if proxy is not None:
        secrets += proxy.secrets
    return Redactor(secrets).with_headers(headers)
