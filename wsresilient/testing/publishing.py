"""Who gets what at the fake exchange: subscriptions, and the messages that go to them.

Everything runs on the loop's thread. How a message is spelled is the format's business.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Iterable

from wsresilient.runtime.clock import wall_clock
from wsresilient.testing.events import Event
from wsresilient.testing.feed import Feed
from wsresilient.testing.formats.base import ExchangeFormat, Session, Stream
from wsresilient.testing.ledger import Ledger
from wsresilient.testing.peer import Peer, text_frame

__all__ = ["Publisher", "take_one"]

logger = logging.getLogger("wsresilient.testing")

_TICK = 0.02  # all messages that are due are sent together so often


class Delivery(enum.Enum):
    """How a subscriber stands to a topic."""

    SILENT = "silent"  # it was told that it is subscribed, and gets nothing
    LIVE = "live"
    AWAITS_SNAPSHOT = "awaits snapshot"


class Publisher:
    """The subscriptions of all clients, and the feed that fills them.

    :param venue: how a message is spelled.
    :param feed: when what happens.
    :param ledger: where it is counted.
    :param max_unsent: how many bytes a client may be behind; None: any number.
    :ivar subscribers: by topic.
    :ivar messages_to_lose: topic -> how many (None: all); the topic None is any.
    """

    def __init__(
        self, venue: ExchangeFormat, feed: Feed, ledger: Ledger, max_unsent: int | None
    ) -> None:
        self.feed = feed
        self.subscribers: dict[str, dict[Peer, Delivery]] = {}
        self.messages_to_lose: dict[str | None, int | None] = {}
        self._venue = venue
        self._ledger = ledger
        self._max_unsent = max_unsent
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Publisher {len(self.subscribers)} topics, {self.feed!r}>"

    def start(self) -> None:
        """Let the market begin."""
        self._tick()

    def stop(self) -> None:
        """End that."""
        if self._timer is not None:
            self._timer.cancel()

    # Subscriptions.

    def add(self, peer: Peer, session: Session, topics: Iterable[str]) -> None:
        """Subscribe a client to those of the topics that it is not subscribed to."""
        for topic in topics:
            stream = self._venue.stream(topic, session)
            if not isinstance(stream, Stream) or topic in session.subscribed:
                continue
            session.subscribed[topic] = None
            delivery = Delivery.SILENT
            if stream.symbol in self.feed.market:
                self.feed.add(topic, stream)
                begins = stream.begins_with_snapshot
                delivery = Delivery.AWAITS_SNAPSHOT if begins else Delivery.LIVE
            self.subscribers.setdefault(topic, {})[peer] = delivery

    def drop(self, peer: Peer, topics: Iterable[str]) -> None:
        """End subscriptions. The market of the topics goes on, as if others were there."""
        for topic in topics:
            peer.topics.pop(topic, None)
            subscribers = self.subscribers.get(topic, {})
            subscribers.pop(peer, None)
            if not subscribers:
                self.subscribers.pop(topic, None)

    def retire(self, topics: Iterable[str]) -> None:
        """Take the topics that nobody wants any more out of the market."""
        for topic in topics:
            if topic not in self.subscribers:
                self.feed.remove(topic)

    def send_snapshots(self, peer: Peer, topics: Iterable[str]) -> None:
        """Send the snapshots with which the client's subscriptions begin, if the feed runs."""
        at = _now()
        for topic in topics:
            subscribers = self.subscribers.get(topic, {})
            if subscribers.get(peer) is Delivery.AWAITS_SNAPSHOT and self.feed.tells(topic):
                peer.queue(self._snapshot(peer, topic, at))
                subscribers[peer] = Delivery.LIVE
        peer.write_queued()

    def _snapshot(self, peer: Peer, topic: str, at: int) -> bytes:
        self._ledger.sent_count += 1
        variant = "" if peer.session is None else peer.session.variant
        return text_frame(self._venue.data(self.feed.snapshot(topic, at), topic, variant))

    # Data.

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_TICK, self._tick)
        count = self.feed.due(loop.time())
        if not count:
            return
        reached: set[Peer] = set()
        for topic, event in self.feed.events(count, _now()):
            if not any(take_one(self.messages_to_lose, key) for key in (None, topic)):
                self._publish(topic, event, reached)
        for peer in reached:
            peer.write_queued()
            self._cut_if_behind(peer)

    def _publish(self, topic: str, event: Event, reached: set[Peer]) -> None:
        frames: dict[str, bytes] = {}
        subscribers = self.subscribers.get(topic, {})
        for peer, delivery in subscribers.items():
            if delivery is Delivery.SILENT or not peer.is_open or peer.session is None:
                continue
            if delivery is Delivery.AWAITS_SNAPSHOT:
                # It is as of this event, which would tell the client nothing new.
                frame = self._snapshot(peer, topic, event.at)
                subscribers[peer] = Delivery.LIVE
            else:
                variant = peer.session.variant
                known = frames.get(variant)
                if known is None:
                    known = frames[variant] = text_frame(self._venue.data(event, topic, variant))
                frame = known
                self._ledger.sent_count += 1
            peer.queue(frame)
            reached.add(peer)

    def send(self, peers: Iterable[Peer], payload: str | bytes) -> int:
        """Send one message that is not of the feed; return to how many clients."""
        count = 0
        for peer in peers:
            peer.send(payload)
            self._cut_if_behind(peer)
            count += 1
        self._ledger.sent_count += count
        return count

    def _cut_if_behind(self, peer: Peer) -> None:
        if self._max_unsent is not None and peer.unsent > self._max_unsent:
            logger.warning("connection %d does not read what it gets and is cut", peer.number)
            peer.abort()


def take_one(budget: dict[str | None, int | None], key: str | None) -> bool:
    """Use one of what is to be lost; False: nothing is."""
    if key not in budget:
        return False
    left = budget[key]
    if left is not None:
        budget[key] = left - 1
        if left == 1:
            del budget[key]
    return True


def _now() -> int:
    return int(wall_clock() * 1000)
