"""The REST of the fake exchange: a small HTTP/1.1 server on the loop's thread.

It reads requests of bounded size and writes answers; what is in them is the shape's business. Each
connection is kept as long as the client wants it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast
from urllib.parse import parse_qsl, urlsplit

from wsresilient.core.credentials import Credentials
from wsresilient.testing.acceptor import Acceptor
from wsresilient.testing.delay import DelayLine
from wsresilient.testing.events import Depth, Kline, Mark, Ticker, Trade
from wsresilient.testing.ledger import Ledger
from wsresilient.testing.listen_keys import ListenKeys
from wsresilient.testing.listener import HeldPort
from wsresilient.testing.market import Market
from wsresilient.testing.records import RestRecord, ScriptedResponse, take_scripted
from wsresilient.testing.rest_shapes.base import RestRequest, RestShape

__all__ = ["RestServer", "parse_head"]

logger = logging.getLogger("wsresilient.testing")

_MAX_HEAD = 16 * 1024
_MAX_BODY = 64 * 1024
_HEAD_END = b"\r\n\r\n"


class MarketDesk:
    """What a shape may look at (``rest_shapes.base.Desk``).

    :param market: the prices.
    :param credentials: whom the exchange knows.
    :param listen_keys: its listen keys.
    :param clock: the exchange's, milliseconds since 1970.
    """

    def __init__(
        self,
        market: Market,
        credentials: Credentials,
        listen_keys: ListenKeys,
        clock: Callable[[], int],
    ) -> None:
        self.credentials = credentials
        self.listen_keys = listen_keys
        self._market = market
        self._clock = clock

    @property
    def now(self) -> int:
        """The exchange's clock."""
        return self._clock()

    @property
    def symbols(self) -> Sequence[str]:
        """All symbols, that with the largest turnover first."""
        return self._market.symbols

    def ticker(self, symbol: str) -> Ticker | None:
        """Give the last 24 hours; None: there is no such symbol."""
        instrument = self._market.instrument(symbol)
        return None if instrument is None else instrument.ticker(self.now)

    def klines(
        self,
        symbol: str,
        interval: int,
        *,
        start: int | None = None,
        end: int | None = None,
        limit: int,
    ) -> list[Kline]:
        """Give candles, the oldest first."""
        instrument = self._market.instrument(symbol)
        if instrument is None:
            return []
        return instrument.klines(interval, self.now, start=start, end=end, limit=limit)

    def trades(
        self, symbol: str, *, first_id: int | None = None, end_id: int | None = None, limit: int
    ) -> list[Trade]:
        """Give trades, the oldest first."""
        instrument = self._market.instrument(symbol)
        if instrument is None:
            return []
        return instrument.trades(self.now, first_id=first_id, end_id=end_id, limit=limit)

    def book(self, symbol: str, levels: int) -> Depth | None:
        """Give the order book; None: there is no such symbol."""
        instrument = self._market.instrument(symbol)
        return None if instrument is None else instrument.book(levels, self.now)

    def mark(self, symbol: str) -> Mark | None:
        """Give mark price and funding; None: there is no such symbol."""
        instrument = self._market.instrument(symbol)
        return None if instrument is None else instrument.mark(self.now)


class RestServer:
    """Answers requests.

    :param shape: how the venue's REST looks; None: there are no paths at all.
    :param market: the prices.
    :param credentials: whom the exchange knows.
    :param listen_keys: its listen keys.
    :param ledger: where requests are written down.
    :param clock: the exchange's, milliseconds since 1970.
    :param port: where it listens.
    :param ssl_context: None: without TLS.
    :ivar responses: what comes in place of answers.
    :ivar answers: where answers pass on their way to the client.
    """

    def __init__(
        self,
        shape: RestShape | None,
        market: Market,
        credentials: Credentials,
        listen_keys: ListenKeys,
        ledger: Ledger,
        clock: Callable[[], int],
        port: HeldPort,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self.responses: deque[ScriptedResponse] = deque()
        self.answers = DelayLine()
        self._shape = shape
        self._desk = MarketDesk(market, credentials, listen_keys, clock)
        self._ledger = ledger
        self._connections: set[RestConnection] = set()
        self._acceptor = Acceptor(port, ssl_context, self._make_connection)

    def __repr__(self) -> str:
        return f"<RestServer {self._acceptor!r} connections={len(self._connections)}>"

    def begin(self) -> None:
        """Listen.

        :raises OSError: the port cannot be had.
        """
        self._acceptor.accept()

    def end(self) -> None:
        """Give the port back and end every connection."""
        self._acceptor.abort_handshakes()
        self._acceptor.close()
        for connection in list(self._connections):
            connection.abort()

    def _make_connection(self) -> RestConnection:
        return RestConnection(self)

    def on_connected(self, connection: RestConnection) -> None:
        """Remember a connection."""
        self._connections.add(connection)

    def on_disconnected(self, connection: RestConnection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def answer(self, request: RestRequest) -> ScriptedResponse:
        """Answer a request, and write it down."""
        response = take_scripted(self.responses, request.path) or self._shaped(request)
        record = RestRecord(
            at=time.monotonic(),
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers=dict(request.headers),
            body=request.body,
            status=response.status,
        )
        self._ledger.rest_requests.append(record)
        return response

    def _shaped(self, request: RestRequest) -> ScriptedResponse:
        answer = None if self._shape is None else self._shape.answer(request, self._desk)
        if answer is None:
            return ScriptedResponse(404, {}, b"There is no such path.\n", 1)
        headers = {"content-type": "application/json", **answer.headers}
        return ScriptedResponse(answer.status, headers, answer.body.encode(), 1)


class RestConnection(asyncio.Protocol):
    """One client's connection.

    :param server: what answers.
    """

    def __init__(self, server: RestServer) -> None:
        self._server = server
        self._transport: asyncio.Transport
        self._received = bytearray()
        self._is_answering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._server.on_connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if exc is not None:
            logger.debug("a REST connection failed: %r", exc)
        self._transport.close()
        self._server.on_disconnected(self)

    def abort(self) -> None:
        """Reset the connection."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and answer the requests that are complete."""
        self._received += data
        if len(self._received) > _MAX_HEAD + _MAX_BODY:
            self._refuse(413, "The request is too large.")
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Answer the next request, unless one is being answered or it is not complete."""
        if self._is_answering or self._transport.is_closing():
            return
        head, end, rest = bytes(self._received).partition(_HEAD_END)
        if not end:
            if len(head) > _MAX_HEAD:
                self._refuse(431, "The head of the request is too large.")
            return
        try:
            request, length = parse_head(head)
        except ValueError as error:
            self._refuse(400, str(error))
            return
        if length > _MAX_BODY:
            self._refuse(413, "The body of the request is too large.")
        elif len(rest) >= length:
            del self._received[: len(head) + len(end) + length]
            self._answer(
                RestRequest(
                    request.method, request.path, request.query, request.headers, rest[:length]
                )
            )

    def _answer(self, request: RestRequest) -> None:
        response = self._server.answer(request)
        is_last = request.headers.get("connection", "").lower() == "close"
        if "connection" not in {name.lower() for name in response.headers} and not is_last:
            response = _kept_open(response)
        self._is_answering = True
        self._server.answers.pass_on(lambda: self._write(response, is_last))

    def _write(self, response: ScriptedResponse, is_last: bool) -> None:
        self._is_answering = False
        if self._transport.is_closing():
            return
        self._transport.write(response.encode())
        if is_last:
            self._transport.close()
        elif self._received:
            self._go_on()

    def _refuse(self, status: int, text: str) -> None:
        self._received.clear()
        self._write(ScriptedResponse(status, {}, f"{text}\n".encode(), 1), True)


def _kept_open(response: ScriptedResponse) -> ScriptedResponse:
    headers = {**response.headers, "connection": "keep-alive"}
    return ScriptedResponse(response.status, headers, response.body, 1)


def parse_head(head: bytes) -> tuple[RestRequest, int]:
    """Understand the head of a request.

    :param head: without the empty line.
    :returns: the request without its body, and how many bytes the body has.
    :raises ValueError: it is no HTTP/1.1; the text says why.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise ValueError("The request line is no HTTP/1.1.")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError("A header has no colon.")
        headers[name.strip().lower()] = value.strip()
    if "transfer-encoding" in headers:
        raise ValueError("The body must come with a Content-Length.")
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        raise ValueError("The Content-Length is no number.")
    target = urlsplit(parts[1])
    query = dict(parse_qsl(target.query, keep_blank_values=True))
    return RestRequest(parts[0].upper(), target.path, query, headers), int(length)
