"""The inside of the fake exchange: who is connected, who gets what, and how it misbehaves.

Everything here runs on the loop's thread of :class:`AsyncThread`, so it needs no lock. How a venue
spells its messages is the format's business, what a connection is made of the peer's.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable

from websockets.http11 import Request

from wsresilient.runtime.clock import wall_clock
from wsresilient.testing.events import Event
from wsresilient.testing.feed import Feed
from wsresilient.testing.formats.base import (
    Action,
    Answer,
    Close,
    ExchangeFormat,
    Heartbeat,
    ListTopics,
    Login,
    Refusal,
    Reply,
    Session,
    Stream,
    Subscribe,
    Unsubscribe,
)
from wsresilient.testing.limits import Limit
from wsresilient.testing.listener import HeldPort
from wsresilient.testing.peer import Peer, text_frame
from wsresilient.testing.records import Handshake, ReceivedRequest, ScriptedResponse

__all__ = ["ExchangeServer"]

logger = logging.getLogger("wsresilient.testing")

_TICK = 0.02  # all messages that are due are sent together so often
_END_TIMEOUT = 1.0
_MEMORY = 100_000  # how many requests, handshakes and close codes are remembered


class ExchangeServer:
    """All that the fake exchange is, but for its thread.

    :param venue: how it speaks.
    :param feed: when what happens on its market.
    :param port: where it listens.
    :param ssl_context: None: without TLS.
    :param max_unsent: how many bytes a client may be behind; None: any number.
    """

    def __init__(
        self,
        venue: ExchangeFormat,
        feed: Feed,
        port: HeldPort,
        ssl_context: ssl.SSLContext | None,
        max_unsent: int | None,
    ) -> None:
        self.venue = venue
        self.feed = feed
        self.port = port
        self.is_ignoring_pings = False
        self.peers: set[Peer] = set()
        self.subscribers: dict[str, dict[Peer, None]] = {}
        self.requests: deque[ReceivedRequest] = deque(maxlen=_MEMORY)
        self.handshakes: deque[Handshake] = deque(maxlen=_MEMORY)
        self.close_codes: deque[int | None] = deque(maxlen=_MEMORY)
        self.sent_count = 0
        self.ping_count = 0
        self.responses: deque[ScriptedResponse] = deque()
        self.refusals: dict[str, Refusal] = {}
        # What is still to be lost: topic -> how often (None: always); the topic None is any.
        self.acks_to_lose: dict[str | None, int | None] = {}
        self.messages_to_lose: dict[str | None, int | None] = {}
        self._ssl_context = ssl_context
        self._max_unsent = max_unsent
        self._is_running = False
        self._listener: socket.socket | None = None
        self._handshaking: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._peer_count = 0

    # Life.

    async def begin(self) -> None:
        """Listen, and let the market begin."""
        self._is_running = True
        self.accept()
        self._tick()

    async def end(self) -> None:
        """Close everything, at first politely."""
        self._is_running = False
        if self._timer is not None:
            self._timer.cancel()
        self.refuse()
        self.port.close()
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
        if self._listener is None and self._is_running:
            self._listener = self.port.listen()
            asyncio.get_running_loop().add_reader(self._listener, self._on_connect)

    def refuse(self) -> None:
        """Refuse connections and keep the port."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener = None
            self.port.refuse()

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

    # Not asyncio's own server: that needs a turn of the loop to begin to listen, so a method that
    # has returned would not have happened yet, and it does not give up TLS handshakes.

    def _on_connect(self) -> None:
        if self._listener is None:
            return
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            logger.warning("the exchange cannot accept a connection: %r", error)
            return
        sock.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._admit(sock))
        self._handshaking.add(task)
        task.add_done_callback(functools.partial(self._on_admitted, sock))

    def _on_admitted(self, sock: socket.socket, task: asyncio.Task[None]) -> None:
        self._handshaking.discard(task)
        if task.cancelled():
            sock.close()  # nobody else does it when the task had not begun

    async def _admit(self, sock: socket.socket) -> None:
        self._peer_count += 1
        number = self._peer_count
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: Peer(self, number), sock, ssl=self._ssl_context
            )
        except OSError as error:
            logger.info("connection %d failed in its TLS handshake: %r", number, error)

    # What peers call.

    def on_connected(self, peer: Peer) -> None:
        """Remember a connection."""
        self.peers.add(peer)

    def on_handshake(self, peer: Peer, target: str) -> ScriptedResponse | Session | None:
        """Give the scripted response if there is one, else what the format says of the path."""
        del peer
        if not self.responses:
            return self.venue.open(target)
        response = self.responses.popleft()
        rest = response.used_once()
        if rest is not None:
            self.responses.appendleft(rest)
        return response

    def on_answered(self, peer: Peer, request: Request, status: int) -> None:
        """Note a handshake, and give a client what its URL asked for."""
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        self.handshakes.append(
            Handshake(time.monotonic(), peer.number, request.path, headers, status)
        )
        if status == 101 and peer.session is not None:
            self._add(peer, (t for t in peer.session.topics if t not in self.refusals))

    def on_message(self, peer: Peer, payload: str | bytes) -> None:
        """Do what a client asks for, and answer."""
        self.requests.append(ReceivedRequest(time.monotonic(), peer.number, payload))
        if peer.session is None:
            return
        peer.session.now = int(wall_clock() * 1000)
        for action in self.venue.parse(payload, peer.session):
            for answer in self._perform(peer, peer.session, action):
                if isinstance(answer, Close):
                    peer.close(answer.code, answer.reason)
                else:
                    peer.send(answer)

    def on_ping(self, peer: Peer) -> None:
        """Count a ping."""
        del peer
        self.ping_count += 1

    def on_disconnected(self, peer: Peer) -> None:
        """Forget a connection. The market of its topics goes on, as if others were there."""
        self.peers.discard(peer)
        self._drop(peer, list(peer.topics))
        if peer.was_opened:
            self.close_codes.append(peer.close_code)

    # Requests.

    def _perform(self, peer: Peer, session: Session, action: Action) -> list[Answer]:
        if isinstance(action, Reply):
            return [action.payload]
        if isinstance(action, Heartbeat):
            return [action.answer]
        if isinstance(action, Close):
            return [action]
        if isinstance(action, Login):
            return self.venue.login_answer(action, None, session)
        if isinstance(action, ListTopics):
            return self.venue.listing(action, session)
        if isinstance(action, Unsubscribe):
            self._drop(peer, action.topics)
            for topic in action.topics:
                if topic not in self.subscribers:
                    self.feed.remove(topic)
            answers = self.venue.answer(action, action.topics, {}, session)
        else:
            answers = self._subscribe(peer, session, action)
        return [] if self._loses_ack(action.topics) else answers

    def _subscribe(self, peer: Peer, session: Session, action: Subscribe) -> list[Answer]:
        refused = {
            topic: refusal
            for topic in action.topics
            if (refusal := self._refusal(topic, session)) is not None
        }
        accepted = [topic for topic in action.topics if topic not in refused]
        if refused and self.venue.refuses_whole(session):
            accepted = []
        limit = self.venue.limits.max_topics
        if limit is not None and len({*peer.topics, *accepted}) > limit:
            return self.venue.penalty(Limit.TOPICS, action, session)
        self._add(peer, accepted)
        return self.venue.answer(action, accepted, refused, session)

    def _refusal(self, topic: str, session: Session) -> Refusal | None:
        if topic in self.refusals:
            return self.refusals[topic]
        stream = self.venue.stream(topic, session)
        return stream if isinstance(stream, Refusal) else None

    def _loses_ack(self, topics: Iterable[str]) -> bool:
        return any(_take_one(self.acks_to_lose, topic) for topic in (None, *topics))

    def _add(self, peer: Peer, topics: Iterable[str]) -> None:
        for topic in topics:
            stream = self.venue.stream(topic, peer.session or Session(""))
            if isinstance(stream, Stream):
                peer.topics[topic] = None
                self.subscribers.setdefault(topic, {})[peer] = None
                self.feed.add(topic, stream)

    def _drop(self, peer: Peer, topics: Iterable[str]) -> None:
        for topic in topics:
            peer.topics.pop(topic, None)
            subscribers = self.subscribers.get(topic, {})
            subscribers.pop(peer, None)
            if not subscribers:
                self.subscribers.pop(topic, None)

    # Data.

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_TICK, self._tick)
        count = self.feed.due(loop.time())
        if not count:
            return
        reached: set[Peer] = set()
        for topic, event in self.feed.events(count, int(wall_clock() * 1000)):
            if not any(_take_one(self.messages_to_lose, key) for key in (None, topic)):
                self._publish(topic, event, reached)
        for peer in reached:
            peer.write_queued()
            self._cut_if_behind(peer)

    def _publish(self, topic: str, event: Event, reached: set[Peer]) -> None:
        frames: dict[str, bytes] = {}
        for peer in self.subscribers.get(topic, ()):
            if not peer.is_open or peer.session is None:
                continue
            variant = peer.session.variant
            frame = frames.get(variant)
            if frame is None:
                frame = frames[variant] = text_frame(self.venue.data(event, topic, variant))
            peer.queue(frame)
            reached.add(peer)
            self.sent_count += 1

    def _cut_if_behind(self, peer: Peer) -> None:
        if self._max_unsent is not None and peer.unsent > self._max_unsent:
            logger.warning("connection %d does not read what it gets and is cut", peer.number)
            peer.abort()

    def broadcast(self, payload: str | bytes) -> int:
        """Send one message to every open connection; return how many there are."""
        peers = self.open_peers()
        for peer in peers:
            peer.send(payload)
            self._cut_if_behind(peer)
        self.sent_count += len(peers)
        return len(peers)

    # Ends.

    def open_peers(self) -> list[Peer]:
        """Give the connections whose handshake is done and that are not being closed."""
        return [peer for peer in self.peers if peer.is_open]

    def close_all(self, code: int | None, reason: str) -> int:
        """Begin the closing handshake everywhere; return how many there were."""
        peers = self.open_peers()
        for peer in peers:
            peer.close(code, reason)
            # At once and not only when the connection is lost: nobody is subscribed any more.
            self._drop(peer, list(peer.topics))
        return len(peers)

    def abort_all(self) -> int:
        """Reset everything, half-done handshakes too; return how many were open."""
        count = len(self.open_peers())
        self._abort_handshakes()
        for peer in list(self.peers):
            peer.abort()
            self._drop(peer, list(peer.topics))
        return count

    def _abort_handshakes(self) -> None:
        for task in self._handshaking:
            task.cancel()
        for peer in self.peers:
            if not peer.was_opened:
                peer.abort()


def _take_one(budget: dict[str | None, int | None], key: str | None) -> bool:
    """Use one of what is to be lost; False: nothing is."""
    if key not in budget:
        return False
    left = budget[key]
    if left is not None:
        budget[key] = left - 1
        if left == 1:
            del budget[key]
    return True
