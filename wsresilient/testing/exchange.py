"""An exchange on loopback that streams like a real one and misbehaves on demand.

This module is the door for other threads; what can be seen and done there is in ``controls``, what
happens inside is in ``server.py``. It imports without the ``websockets`` library, which is needed
only when an exchange is made.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from wsresilient.core.credentials import Credentials
from wsresilient.errors import ConfigurationError
from wsresilient.testing.async_thread import AsyncThread
from wsresilient.testing.controls import (
    AnswerControls,
    ConnectionControls,
    FeedControls,
    Records,
    RestControls,
)
from wsresilient.testing.feed import Feed
from wsresilient.testing.formats import format_of, venue_of
from wsresilient.testing.formats.base import ExchangeFormat
from wsresilient.testing.listener import HeldPort, join_address
from wsresilient.testing.market import Market
from wsresilient.venues.base import Venue

if TYPE_CHECKING:
    from wsresilient.testing.server import ExchangeServer

__all__ = ["FakeExchange"]


class FakeExchange(Records, FeedControls, ConnectionControls, AnswerControls, RestControls):
    """A WebSocket and REST server that speaks like a venue, for tests and for the demo.

    All members may be used from any thread; when a method has returned, it has happened. One thread
    serves all clients. Whatever a client sends to the path ``/echo`` comes back as it was.

    .. code-block:: python

        with FakeExchange("binance") as exchange:
            ws = wsresilient.connect(exchange.url_for("btcusdt@trade"), on_message=print)
            exchange.stop_feed()       # connected, and silent
            exchange.resume_feed()
            exchange.restart()         # gone, and back again

        with FakeExchange("okx", idle_limit=0.5) as exchange:
            ws = wsresilient.connect(exchange.url, venue=exchange.venue)
            ws.subscribe("tickers:BTC-USDT")

    The market goes on while nobody is connected: a client that comes back finds that the trade
    numbers have moved on, as on a real exchange. A topic leaves the market when its last subscriber
    unsubscribes. Trades, candles and order books over REST are those of the streams.

    The limits of the real exchange are enforced (:attr:`limits`), all of them by address and
    connection as there. Any of them may be given by name, such as ``max_topics=100``,
    ``message_rate=5`` (a second), ``connect_rate=(3, 1.0)``, ``idle_limit=0.5``, ``max_age=2.0``
    or ``request_quota=None`` (no limit); see :class:`~wsresilient.testing.limits.VenueLimits`.

    :param venue: a venue's name ("binance", "binance-futures", "okx", "okx-private",
        "okx-business", "bybit", "bybit-spot", "bybit-inverse", "bybit-option", "bybit-private",
        "mexc"), without regard to case; a venue of ``wsresilient.venues``; or an
        :class:`~wsresilient.testing.formats.base.ExchangeFormat`.
    :param host: where to listen.
    :param port: where to listen; 0 lets the system choose, and the choice stays over restarts.
    :param rest_port: the same for REST.
    :param ssl_context: for TLS (``wss``, ``https``); None: plain.
    :param rate: messages per second of all subscribed topics together: what one client gets that
        subscribes to everything. The topics take turns. Sent every 20 ms.
    :param symbols: what is traded, the one with the largest turnover of 24 hours first; None: a few
        symbols of the venue. Others are acknowledged or refused as the venue does it, and get no
        data.
    :param seed: the same seed gives the same prices; None: each exchange has others.
    :param max_unsent: how many bytes a client may be behind that does not read; with more it is
        reset, as real exchanges do. None: any number, in memory.
    :param credentials: with whom logins succeed; None: ``Credentials("key", "secret", "pass")``.
    :param listen_key_age: seconds that a listen key lasts (Binance futures).
    :param limits: by name; None: no such limit.
    :raises ConfigurationError: the venue is unknown, rate is negative, symbols is empty, a limit
        does not exist or is not above 0, or the ``websockets`` library is not installed.
    """

    def __init__(
        self,
        venue: str | Venue | ExchangeFormat = "binance",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        rest_port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        rate: float = 200.0,
        symbols: Iterable[str] | None = None,
        seed: int | None = None,
        max_unsent: int | None = 16 * 1024 * 1024,
        credentials: Credentials | None = None,
        listen_key_age: float = 3600.0,
        **limits: Any,
    ) -> None:
        self._format = format_of(venue)
        self._venue = venue_of(venue)
        chosen = self._format.default_symbols if symbols is None else symbols
        self._feed = Feed(Market(chosen, seed=seed), rate)
        self._port = HeldPort(host, port)
        self._rest_port = HeldPort(host, rest_port)
        self._is_encrypted = ssl_context is not None
        self._server = _make_server(
            venue=self._format,
            feed=self._feed,
            port=self._port,
            rest_port=self._rest_port,
            limits=self._format.limits.changed(limits),
            credentials=credentials or Credentials("key", "secret", "pass"),
            listen_key_age=listen_key_age,
            ssl_context=ssl_context,
            max_unsent=max_unsent,
        )
        self._thread = AsyncThread("wsr-test-exchange", self._server.begin, self._server.end)

    def __repr__(self) -> str:
        state = "running" if self._thread.is_running else "stopped"
        faults = ", ".join(self._faults()) or "none"
        return (
            f"<FakeExchange {self._format.name} {self.url} {state},"
            f" {len(self._server.peers)} connections, faults: {faults}>"
        )

    def _faults(self) -> list[str]:
        server, clerk = self._server, self._server.clerk
        faults = {
            "feed stopped": not self._feed.is_running,
            "silent topics": self._feed.silenced,
            "ignores pings": clerk.is_ignoring_pings,
            "refuses connects": self._thread.is_running and not self._port.is_listening,
            "scripted responses": server.responses or server.rest.responses,
            "refuses logins": clerk.login_refusal is not None,
            "delays logins": not clerk.logins.is_idle,
            "refuses topics": clerk.refusals,
            "loses acknowledgements": clerk.acks_to_lose,
            "delays acknowledgements": not clerk.acks.is_idle,
            "delays REST": not server.rest.answers.is_idle,
        }
        return [name for name, there_is in faults.items() if there_is]

    # Life.

    def start(self) -> FakeExchange:
        """Listen. May be called again after :meth:`stop`, the ports are the same.

        :returns: itself.
        :raises ConfigurationError: it runs already.
        :raises OSError: a port cannot be had.
        """
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close every connection with 1001, then cut it, and end the thread; idempotent.

        Takes at most 2 s, and only when a client does not answer the close frame.
        """
        self._thread.stop()

    def __enter__(self) -> FakeExchange:
        return self if self._thread.is_running else self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # Where it is.

    @property
    def host(self) -> str:
        """Where it listens."""
        return self._port.host

    @property
    def port(self) -> int:
        """Where it listens: chosen at the first start and never changed; 0 before that."""
        return self._port.port

    @property
    def url(self) -> str:
        """Where a client connects and then subscribes."""
        return self.url_for()

    @property
    def base_url(self) -> str:
        """The URL of the server alone, without a path."""
        scheme = "wss" if self._is_encrypted else "ws"
        return f"{scheme}://{join_address(self.host, self.port)}"

    @property
    def echo_url(self) -> str:
        """Where a client gets back what it sends."""
        return f"{self.base_url}/echo"

    def url_for(self, *topics: str) -> str:
        """Give the URL that connects and subscribes, on venues that have that.

        :raises ConfigurationError: the venue has no subscription by URL.
        """
        return f"{self.base_url}{self._format.target(topics)}"

    @property
    def rest_url(self) -> str:
        """Where REST is, without a path."""
        scheme = "https" if self._is_encrypted else "http"
        return f"{scheme}://{join_address(self.host, self._rest_port.port)}"

    @property
    def venue(self) -> Venue:
        """The library's venue, with the URLs of this exchange; only while it runs they are known.

        :raises ConfigurationError: this exchange was made from a format, which is no venue.
        """
        if self._venue is None:
            raise ConfigurationError(
                f"this exchange speaks {self._format!r}, for which there is no venue; make one with"
                " wsresilient.venues.Custom"
            )
        return self._venue.replace(url=self.url, rest_url=self.rest_url)


def _make_server(**settings: Any) -> ExchangeServer:
    """Import what needs the websockets library, and make the server."""
    try:
        from wsresilient.testing.server import ExchangeServer, ServerSettings
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "websockets":
            raise
        raise ConfigurationError(
            "FakeExchange needs the library websockets, which is not installed;"
            " the extra demo brings it: pip install 'wsresilient[demo]'"
        ) from error
    return ExchangeServer(ServerSettings(**settings))
