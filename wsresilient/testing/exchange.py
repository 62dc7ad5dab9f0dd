"""An exchange on loopback that streams like a real one and misbehaves on demand.

This module is the door for other threads; what happens inside is in ``server.py``. It imports
without the ``websockets`` library, which is needed only when an exchange is made.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from wsresilient.errors import ConfigurationError
from wsresilient.testing.async_thread import AsyncThread
from wsresilient.testing.feed import Feed
from wsresilient.testing.formats import format_of
from wsresilient.testing.formats.base import ExchangeFormat, Refusal
from wsresilient.testing.listener import HeldPort, join_address
from wsresilient.testing.market import Market
from wsresilient.testing.records import Handshake, ReceivedRequest, ScriptedResponse

if TYPE_CHECKING:
    from wsresilient.testing.server import ExchangeServer

__all__ = ["FakeExchange"]

_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})
_MAX_REASON = 123  # bytes: a control frame has room for no more
_RESTART_TIMEOUT = 10.0


class FakeExchange:
    """A WebSocket server that speaks like a venue, for tests and for the demo.

    All members may be used from any thread; when a method has returned, it has happened. One thread
    serves all clients. Whatever a client sends to the path ``/echo`` comes back as it was.

    .. code-block:: python

        with FakeExchange("binance") as exchange:
            ws = wsresilient.connect(exchange.url_for("btcusdt@trade"), on_message=print)
            exchange.stop_feed()       # connected, and silent
            exchange.resume_feed()
            exchange.restart()         # gone, and back again

    The market goes on while nobody is connected: a client that comes back finds that the trade
    numbers have moved on, as on a real exchange. A topic leaves the market when its last subscriber
    unsubscribes.

    :param venue: a venue's name ("binance"), or an object that is an ``ExchangeFormat``.
    :param host: where to listen.
    :param port: where to listen; 0 lets the system choose, and the choice stays over restarts.
    :param ssl_context: for TLS (``wss``); None: plain.
    :param rate: messages per second of all subscribed topics together: what one client gets that
        subscribes to everything. The topics take turns. Sent every 20 ms.
    :param symbols: what is traded; None: a few symbols of the venue. Others are acknowledged or
        refused as the venue does it, and get no data.
    :param seed: the same seed gives the same prices; None: each exchange has others.
    :param max_unsent: how many bytes a client may be behind that does not read; with more it is
        reset, as real exchanges do. None: any number, in memory.
    :raises ConfigurationError: the venue is unknown, rate is negative, symbols is empty, or the
        ``websockets`` library is not installed.
    """

    def __init__(
        self,
        venue: str | ExchangeFormat = "binance",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        rate: float = 200.0,
        symbols: Iterable[str] | None = None,
        seed: int | None = None,
        max_unsent: int | None = 16 * 1024 * 1024,
    ) -> None:
        self._format = format_of(venue)
        chosen = self._format.default_symbols if symbols is None else symbols
        self._feed = Feed(Market(chosen, seed=seed), rate)
        self._port = HeldPort(host, port)
        self._scheme = "ws" if ssl_context is None else "wss"
        make_server = _server_type()
        self._server = make_server(self._format, self._feed, self._port, ssl_context, max_unsent)
        self._thread = AsyncThread("wsr-test-exchange", self._server.begin, self._server.end)
        self._call = self._thread.call

    def __repr__(self) -> str:
        state = "running" if self._thread.is_running else "stopped"
        faults = [
            *([] if self._feed.is_running else ["feed stopped"]),
            *(["ignores pings"] if self._server.is_ignoring_pings else []),
            *(
                ["refuses connects"]
                if self._thread.is_running and not self._port.is_listening
                else []
            ),
            *(["scripted responses"] if self._server.responses else []),
        ]
        return (
            f"<FakeExchange {self._format.name} {self.url} {state},"
            f" {len(self._server.peers)} connections, faults: {', '.join(faults) or 'none'}>"
        )

    # Life.

    def start(self) -> FakeExchange:
        """Listen. May be called again after :meth:`stop`, the port is the same.

        :returns: itself.
        :raises ConfigurationError: it runs already.
        :raises OSError: the port cannot be had.
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
    def echo_url(self) -> str:
        """Where a client gets back what it sends."""
        return f"{self._scheme}://{join_address(self.host, self.port)}/echo"

    def url_for(self, *topics: str) -> str:
        """Give the URL that connects and subscribes, on venues that have that.

        :raises ConfigurationError: the venue has no subscription by URL.
        """
        return f"{self._scheme}://{join_address(self.host, self.port)}{self._format.target(topics)}"

    @property
    def symbols(self) -> tuple[str, ...]:
        """What is traded, in the venue's spelling."""
        return self._feed.market.symbols

    # What has happened.

    @property
    def connection_count(self) -> int:
        """How many WebSocket connections are open now."""
        return self._call(lambda: len(self._server.open_peers()))

    @property
    def subscriptions(self) -> dict[str, int]:
        """How many subscribers each topic has now; a topic without one is not in it."""
        return self._call(
            lambda: {topic: len(peers) for topic, peers in self._server.subscribers.items()}
        )

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The messages of clients, in order, but for echoes; the latest 100,000."""
        return self._call(lambda: list(self._server.requests))

    @property
    def handshakes(self) -> list[Handshake]:
        """The handshakes that were answered, in order, with their headers; the latest 100,000."""
        return self._call(lambda: list(self._server.handshakes))

    @property
    def close_codes(self) -> list[int | None]:
        """With which code clients closed the connections that have ended; 1006: with none."""
        return self._call(lambda: list(self._server.close_codes))

    @property
    def sent_count(self) -> int:
        """How many data messages were sent, to each client counted; acknowledgements are not."""
        return self._call(lambda: self._server.sent_count)

    @property
    def ping_count(self) -> int:
        """How many pings have come, the ignored ones too."""
        return self._call(lambda: self._server.ping_count)

    # The feed.

    @property
    def rate(self) -> float:
        """Messages per second of all subscribed topics together. May be set."""
        return self._feed.rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._call(lambda: setattr(self._feed, "rate", rate))

    def stop_feed(self) -> None:
        """Send no more data; connections stay up and pings are answered. Nothing is missed."""
        self._call(lambda: setattr(self._feed, "is_running", False))

    def resume_feed(self) -> None:
        """End :meth:`stop_feed`."""
        self._call(lambda: setattr(self._feed, "is_running", True))

    def lose_messages(self, count: int = 1, *, topic: str | None = None) -> None:
        """Let the next messages happen and not be sent: trade numbers then have a hole.

        :param count: how many.
        :param topic: of which topic; None: of any.
        :raises ConfigurationError: count is below 1.
        """
        _check_count(count)
        self._call(lambda: self._server.messages_to_lose.update({topic: count}))

    def broadcast(self, payload: str | bytes) -> int:
        """Send one message, text or binary, to every open connection; return how many there are."""
        return self._call(lambda: self._server.broadcast(payload))

    # Connections.

    def close_all(self, code: int | None = 1001, reason: str = "") -> int:
        """Send a close frame to every open connection; return how many there are.

        :param code: the close code; None sends a frame without one.
        :param reason: at most 123 bytes.
        :raises ConfigurationError: the code may not be sent (1005 and 1006, say; see
            :meth:`abort_all`), or the reason is too long.
        """
        _check_close(code, reason)
        return self._call(lambda: self._server.close_all(code, reason))

    def abort_all(self) -> int:
        """Reset every connection (RST); return how many were open."""
        return self._call(self._server.abort_all)

    def pause_accepting(self) -> None:
        """Refuse new connections; those that there are stay. The port stays reserved."""
        self._call(self._server.refuse)

    def resume_accepting(self) -> None:
        """End :meth:`pause_accepting`.

        :raises OSError: the port cannot be had.
        """
        self._call(self._server.accept)

    def restart(self, downtime: float = 0.5, *, code: int | None = 1012, wait: bool = True) -> None:
        """End every connection, refuse new ones for a while, then listen on the same port.

        :param downtime: seconds.
        :param code: the close code that clients get; None: a reset, as from a process that died.
        :param wait: return when it listens again; False: return when it is down.
        :raises ConfigurationError: downtime is negative, or the code may not be sent.
        """
        if downtime < 0:
            raise ConfigurationError(f"downtime must be 0 or more seconds, not {downtime!r}")
        _check_close(code, "")
        self._call(lambda: self._server.go_down(code))
        is_up = self._thread.submit(lambda: self._server.come_up(downtime))
        if wait:
            is_up.result(downtime + _RESTART_TIMEOUT)

    # Answers.

    def ignore_pings(self) -> None:
        """Leave pings unanswered."""
        self._call(lambda: setattr(self._server, "is_ignoring_pings", True))

    def answer_pings(self) -> None:
        """End :meth:`ignore_pings`."""
        self._call(lambda: setattr(self._server, "is_ignoring_pings", False))

    def lose_next_ack(self, count: int | None = 1, *, topic: str | None = None) -> None:
        """Do what the next requests ask for, and do not answer them.

        :param count: how many requests; None: all, for good.
        :param topic: count only requests that name this topic; None: any.
        :raises ConfigurationError: count is below 1.
        """
        _check_count(count)
        self._call(lambda: self._server.acks_to_lose.update({topic: count}))

    def refuse_topic(self, topic: str, code: int | None = None, message: str = "") -> None:
        """Refuse a topic from now on; those that are subscribed to it stay so.

        :param code: the venue's error code; None: that of a topic that does not exist.
        :param message: what the venue says; "": what it says of a topic that does not exist.
        """
        usual = self._format.refusal(topic)
        refusal = Refusal(usual.code if code is None else code, message or usual.message)
        self._call(lambda: self._server.refusals.update({topic: refusal}))

    def permit_topic(self, topic: str) -> None:
        """End :meth:`refuse_topic`."""
        self._call(lambda: self._server.refusals.pop(topic, None))

    def respond_status(
        self,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        count: int | None = 1,
    ) -> None:
        """Answer the next handshakes with this HTTP response; calls queue up.

        :param status: such as 503, 401 or 302.
        :param headers: such as Retry-After or Location; Content-Length and Connection are added
            unless they are given, so a body can be announced longer than it is.
        :param count: how many handshakes; None: all, until :meth:`respond_normally`.
        :raises ConfigurationError: status is not of three digits, count is below 1, or a header
            holds a line end.
        """
        response = ScriptedResponse(status, dict(headers or {}), body, count)
        self._call(lambda: self._server.responses.append(response))

    def respond_normally(self) -> None:
        """Forget what :meth:`respond_status` has queued."""
        self._call(self._server.responses.clear)


def _server_type() -> type[ExchangeServer]:
    """Import what needs the websockets library."""
    try:
        from wsresilient.testing.server import ExchangeServer
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "websockets":
            raise
        raise ConfigurationError(
            "FakeExchange needs the library websockets, which is not installed;"
            " the extra demo brings it: pip install 'wsresilient[demo]'"
        ) from error
    return ExchangeServer


def _check_close(code: int | None, reason: str) -> None:
    if code is not None and code not in _CLOSE_CODES:
        raise ConfigurationError(
            "code must be a close code that may be sent (1000 to 1003, 1007 to 1014, 3000 to 4999)"
            f" or None, not {code!r}"
        )
    if len(reason.encode()) > _MAX_REASON:
        raise ConfigurationError(f"reason must be at most {_MAX_REASON} bytes long")


def _check_count(count: int | None) -> None:
    if count is not None and count < 1:
        raise ConfigurationError(f"count must be 1 or more or None, not {count!r}")
