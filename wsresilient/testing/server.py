"""The inside of the fake exchange: its clients come, stay and go.

Everything here and below runs on the loop's thread of :class:`AsyncThread`, so it needs no lock.

- ``acceptor.py`` listens, ``peer.py`` is one client's connection;
- ``answering.py`` does what clients ask for, ``publishing.py`` sends them data;
- ``enforcement.py`` counts what they take, ``ledger.py`` is what the test can look at;
- ``rest_server.py`` answers over HTTP;
- how a venue spells its messages is in ``formats``, how its REST looks in ``rest_shapes``.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections import deque
from dataclasses import dataclass, field

from websockets.http11 import Request

from wsresilient.core.credentials import Credentials
from wsresilient.runtime.clock import wall_clock
from wsresilient.testing.acceptor import Acceptor
from wsresilient.testing.answering import Clerk
from wsresilient.testing.enforcement import Enforcer
from wsresilient.testing.feed import Feed
from wsresilient.testing.formats.base import ExchangeFormat, Session
from wsresilient.testing.ledger import Ledger
from wsresilient.testing.limits import VenueLimits, Violation
from wsresilient.testing.listen_keys import ListenKeys
from wsresilient.testing.listener import HeldPort
from wsresilient.testing.peer import Peer
from wsresilient.testing.publishing import Publisher
from wsresilient.testing.records import (
    Handshake,
    ReceivedRequest,
    ScriptedResponse,
    take_scripted,
)
from wsresilient.testing.rest_server import RestServer

__all__ = ["ExchangeServer", "ServerSettings"]

logger = logging.getLogger("wsresilient.testing")

_END_TIMEOUT = 1.0


@dataclass(frozen=True)
class ServerSettings:
    """What the fake exchange is made of.

    :ivar venue: how it speaks.
    :ivar feed: when what happens on its market.
    :ivar port: where it listens for WebSocket.
    :ivar rest_port: where it listens for HTTP.
    :ivar limits: what it enforces.
    :ivar credentials: whom it knows.
    :ivar listen_key_age: seconds that a listen key lasts.
    :ivar ssl_context: None: without TLS.
    :ivar max_unsent: how many bytes a client may be behind; None: any number.
    """

    venue: ExchangeFormat
    feed: Feed
    port: HeldPort
    rest_port: HeldPort
    limits: VenueLimits
    credentials: Credentials = field(repr=False)
    listen_key_age: float
    ssl_context: ssl.SSLContext | None
    max_unsent: int | None


class ExchangeServer:
    """All that the fake exchange is, but for its thread.

    :param settings: what it is made of.
    """

    def __init__(self, settings: ServerSettings) -> None:
        venue, feed = settings.venue, settings.feed
        self.venue = venue
        self.peers: set[Peer] = set()
        self.responses: deque[ScriptedResponse] = deque()
        self.clock_offset = 0.0
        self.ledger = Ledger()
        self.enforcer = Enforcer(settings.limits)
        self.listen_keys = ListenKeys(settings.listen_key_age, time.monotonic)
        self.publisher = Publisher(venue, feed, self.ledger, settings.max_unsent)
        self.clerk = Clerk(
            venue, self.publisher, self.enforcer, self.ledger, settings.credentials, self.now
        )
        self.rest = RestServer(
            venue.rest_shape(), feed.market, settings.credentials, self.listen_keys,
            self.ledger, self.now, settings.rest_port, settings.ssl_context,
        )  # fmt: skip
        self._acceptor = Acceptor(settings.port, settings.ssl_context, self._make_peer)
        self._is_running = False
        self._sweeper: asyncio.TimerHandle | None = None
        self._peer_count = 0

    def __repr__(self) -> str:
        return f"<ExchangeServer {self.venue.name} peers={len(self.peers)}>"

    def now(self) -> int:
        """The exchange's clock, milliseconds since 1970."""
        return int((wall_clock() + self.clock_offset) * 1000)

    @property
    def is_ignoring_pings(self) -> bool:
        """Whether pings get no pong."""
        return self.clerk.is_ignoring_pings

    def set_limits(self, limits: VenueLimits) -> None:
        """Enforce these from now on."""
        self.enforcer.limits = limits
        if self._is_running and self._sweeper is not None:
            self._sweeper.cancel()
            self._sweep()

    # Life.

    async def begin(self) -> None:
        """Listen, and let the market begin."""
        self._is_running = True
        try:
            self.accept()
            self.rest.begin()
        except OSError:
            self._acceptor.close()
            raise
        self.publisher.start()
        self._sweep()

    async def end(self) -> None:
        """Close everything, at first politely."""
        self._is_running = False
        self.publisher.stop()
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._acceptor.close()
        self.rest.end()
        self.close_all(1001, "")
        await self._wait_for_peers(_END_TIMEOUT)
        self.abort_all()
        await self._wait_for_peers(_END_TIMEOUT)

    async def _wait_for_peers(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while self.peers and time.monotonic() < deadline:
            await asyncio.sleep(0.005)

    def accept(self) -> None:
        """Accept connections, unless the loop has ended or not begun."""
        if self._is_running:
            self._acceptor.accept()

    def refuse(self) -> None:
        """Refuse connections and keep the port."""
        self._acceptor.refuse()

    def go_down(self, code: int | None) -> None:
        """End everything; code None: without a word."""
        self.refuse()
        if code is None:
            self.abort_all()
        else:
            self._abort_handshakes()
            self.close_all(code, "")

    async def come_up(self, downtime: float) -> None:
        """Accept connections after so many seconds."""
        await asyncio.sleep(downtime)
        try:
            self.accept()
        except OSError:
            logger.exception("the exchange cannot listen again")
            raise

    # What peers call.

    def _make_peer(self) -> Peer:
        self._peer_count += 1
        return Peer(self, self._peer_count)

    def on_connected(self, peer: Peer) -> None:
        """Remember a connection."""
        self.peers.add(peer)

    def on_handshake(self, peer: Peer, target: str) -> ScriptedResponse | Session | None:
        """Give the scripted response if there is one, else what the format says of the path."""
        response = take_scripted(self.responses)
        if response is not None:
            return response
        session = self.venue.open(target)
        if session is None:
            return None
        now = time.monotonic()
        limit = self.enforcer.connect(peer.address, self._count_like(peer, session), now)
        if limit is not None:
            self.ledger.violations.append(Violation(now, peer.number, limit))
            refusal = self.venue.connect_refusal(limit)
            return ScriptedResponse(refusal.status, refusal.headers, refusal.body, 1)
        session.connection = peer.number
        session.is_logged_in = any(map(self.listen_keys.is_valid, session.listen_keys))
        return session

    def _count_like(self, peer: Peer, session: Session) -> int:
        """Count the open connections of the client's address to the same route."""
        return sum(
            other.session is not None
            and other.session.route == session.route
            and other.address == peer.address
            for other in self.open_peers()
        )

    def on_answered(self, peer: Peer, request: Request, status: int) -> None:
        """Note a handshake, and give a client what its URL asked for."""
        now = time.monotonic()
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        self.ledger.handshakes.append(Handshake(now, peer.number, request.path, headers, status))
        if status == 101 and peer.session is not None:
            peer.meter.begin(now)
            topics = [t for t in peer.session.topics if t not in self.clerk.refusals]
            self.publisher.add(peer, peer.session, topics)
            self.publisher.send_snapshots(peer, topics)

    def on_message(self, peer: Peer, payload: str | bytes) -> None:
        """Do what a client asks for, and answer."""
        self.ledger.requests.append(ReceivedRequest(time.monotonic(), peer.number, payload))
        if peer.session is not None and self._is_within_limits(peer, len(payload)):
            peer.session.now = self.now()
            self.clerk.take(peer, peer.session, payload)

    def on_ping(self, peer: Peer) -> None:
        """Count a ping."""
        self.ledger.ping_count += 1
        self._is_within_limits(peer, 0)

    def on_pong(self, peer: Peer, payload: bytes) -> None:
        """Note that a client has answered a ping."""
        if payload == _ping_payload(peer):
            peer.meter.pong_at = time.monotonic()
        self._is_within_limits(peer, 0)

    def _is_within_limits(self, peer: Peer, size: int) -> bool:
        if peer.session is None:
            return True
        limit = self.enforcer.message(peer.meter, size, time.monotonic())
        if limit is not None:
            self.clerk.punish(peer, limit)
        return limit is None

    def on_disconnected(self, peer: Peer) -> None:
        """Forget a connection. The market of its topics goes on, as if others were there."""
        self.peers.discard(peer)
        self.publisher.drop(peer, list(peer.topics))
        if peer.was_opened:
            self.ledger.close_codes.append(peer.close_code)

    # As time goes by.

    @property
    def _sweep_interval(self) -> float:
        """How many seconds to wait before connections are looked at again."""
        return min(self.enforcer.sweep_interval or 1.0, max(self.listen_keys.lifetime / 10, 0.01))

    def _sweep(self) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(self._sweep_interval, self._sweep)
        now = time.monotonic()
        for peer in self.open_peers():
            if peer.session is None:
                continue
            self._check_listen_keys(peer, peer.session)
            limit = self.enforcer.overdue(peer.meter, now)
            if limit is not None:
                self.clerk.punish(peer, limit)
            elif self.enforcer.ping_is_due(peer.meter, now):
                peer.ping(_ping_payload(peer))

    def _check_listen_keys(self, peer: Peer, session: Session) -> None:
        if not session.listen_keys or not session.is_logged_in:
            return
        ended = [key for key in session.listen_keys if not self.listen_keys.is_valid(key)]
        session.is_logged_in = len(ended) < len(session.listen_keys)
        for key in ended if not session.is_logged_in else ():
            notice = self.venue.expiry_notice(key, session, self.now())
            if notice is not None:
                self.publisher.send([peer], notice)

    def expire_listen_keys(self) -> None:
        """End every listen key, and tell who uses one."""
        self.listen_keys.expire_all()
        for peer in self.open_peers():
            if peer.session is not None:
                self._check_listen_keys(peer, peer.session)

    # What the test has it send.

    def push_private(self, topic: str, data: object) -> int:
        """Send private data to those who get this topic; return how many they are."""
        count, at = 0, self.now()
        for peer in self.open_peers():
            if peer.session is not None and self.venue.receives(topic, peer.session, data):
                message = self.venue.private(topic, data, peer.session, at)
                count += self.publisher.send([peer], message)
        return count

    def announce_shutdown(self, close_after: float | None, code: int | None) -> int:
        """Tell the connections that it will end them; return how many were told.

        :param close_after: seconds after which it does; None: it does not.
        """
        at, told = self.now(), []
        for peer in self.open_peers():
            notice = None if peer.session is None else self.venue.shutdown_notice(peer.session, at)
            if notice is not None:
                peer.send(notice)
                told.append(peer)
        if close_after is not None and told:
            loop = asyncio.get_running_loop()
            loop.call_later(close_after, self._close_peers, told, code, "")
        return len(told)

    # Ends.

    def open_peers(self) -> list[Peer]:
        """Give the connections whose handshake is done and that are not being closed."""
        return [peer for peer in self.peers if peer.is_open]

    def close_all(self, code: int | None, reason: str) -> int:
        """Begin the closing handshake everywhere; return how many there were."""
        return self._close_peers(self.open_peers(), code, reason)

    def _close_peers(self, peers: list[Peer], code: int | None, reason: str) -> int:
        """Begin the closing handshake of those that are open; return how many they are."""
        count = 0
        for peer in peers:
            count += peer.is_open
            peer.close(code, reason)
            # At once and not only when the connection is lost: nobody is subscribed any more.
            self.publisher.drop(peer, list(peer.topics))
        return count

    def abort_all(self) -> int:
        """Reset everything, half-done handshakes too; return how many were open."""
        count = len(self.open_peers())
        self._abort_handshakes()
        for peer in list(self.peers):
            peer.abort()
            self.publisher.drop(peer, list(peer.topics))
        return count

    def abort_one(self, number: int) -> bool:
        """Reset one open connection; return whether there was one."""
        for peer in self.open_peers():
            if peer.number == number:
                peer.abort()
                self.publisher.drop(peer, list(peer.topics))
                return True
        return False

    def _abort_handshakes(self) -> None:
        self._acceptor.abort_handshakes()
        for peer in self.peers:
            if not peer.was_opened:
                peer.abort()


def _ping_payload(peer: Peer) -> bytes:
    """What a pong must bring back to count."""
    return f"{peer.meter.pinged_at:.6f}".encode()
