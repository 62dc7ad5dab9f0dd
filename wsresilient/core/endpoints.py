"""Several URLs for one stream: which is next, and when all have been tried.

Pure: the connection says how an attempt ended, this says where the next one goes.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ConfigurationError
from .urls import WebSocketURL, parse_url

__all__ = ["EndpointList", "parse_urls"]


def parse_urls(urls: object) -> tuple[WebSocketURL, ...]:
    """Check one URL or a sequence of them.

    :raises ConfigurationError: one of them is no WebSocket URL, or there is none.
    """
    if isinstance(urls, (str, bytes)) or not isinstance(urls, Sequence):
        return (parse_url(urls),)
    if not urls:
        raise ConfigurationError(
            "url is an empty sequence; allowed: at least one ws:// or wss:// URL"
        )
    return tuple(parse_url(url) for url in urls)


class EndpointList:
    """Goes through URLs in failover order.

    After a connection that opened, the first URL is the first choice again, after a pause;
    after a failed attempt the next one is tried, without a pause before every one has been.
    """

    def __init__(self) -> None:
        self._failed = 0

    def choose(self, urls: Sequence[WebSocketURL]) -> WebSocketURL:
        """Return where the next attempt goes."""
        self._failed = max(0, self._failed)
        return urls[self._failed % len(urls)]

    def failed(self, count: int) -> bool:
        """Note a failed attempt, or the end of a connection.

        :param count: how many URLs there are.
        :returns: whether a pause is due, since all of them have been tried or one did open.
        """
        self._failed += 1
        return self._failed % max(1, count) == 0

    def opened(self) -> None:
        """Note a connection that opened."""
        # Its end is not yet a failed attempt: two servers that accept and close at once would
        # be asked in turns without any pause.
        self._failed = -1
