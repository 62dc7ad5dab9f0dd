"""From decoded payloads to messages of topics, and to those who asked for them.

It runs on the thread that serves the lane, for whole batches. What it has seen of a topic it
remembers for :meth:`Router.is_fresh`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..core.continuity import Order, SequenceTracker, Verdict
from ..core.events import Gap, Message
from ..core.frames import Payload
from ..core.incoming import Data
from ..core.topic_index import LONGEST_REMEMBERED
from .clock import monotonic, wall_clock
from .handlers import HandlerSet
from .lanes import Batch
from .logs import Log
from .subscriber import Subscriber

__all__ = ["Router"]

log = Log("wsresilient.handlers")

#: Topics whose latest data is remembered; a bound, since the server names them.
MOST_TOPICS = 100_000


class Router:
    """Routes the messages of one connection.

    :param name: of the connection.
    :param subscriber: knows the topics and their handlers.
    :param decode: payload to object.
    :param handlers: those of the connection.
    """

    def __init__(
        self,
        name: str,
        subscriber: Subscriber,
        decode: Callable[[Payload], Any],
        handlers: HandlerSet,
    ) -> None:
        self._name = name
        self._subscriber = subscriber
        self.decode = decode
        self._handlers = handlers
        self._seen: dict[str, float] = {}
        self._tracker = SequenceTracker()
        self._generation = 0  # that the tracker follows
        self._has_complained = False  # of the venue's sequence()
        self._is_freshness_wanted = False

    @property
    def finds_gaps(self) -> bool:
        """Whether somebody wants to know of holes in numbered streams."""
        return self._handlers.has("gap")

    @property
    def has_handlers(self) -> bool:
        """Whether a topic has a handler of its own."""
        return bool(self._subscriber.handlers)

    @property
    def is_needed(self) -> bool:
        """Whether messages have to be decoded at all."""
        has = self._handlers.has
        return (
            has("data")
            or has("unrouted")
            or self.has_handlers
            or self.finds_gaps
            or self._is_freshness_wanted
        )

    def message(self, payload: Payload, batch: Batch) -> Message:
        """Decode one payload.

        :raises Exception: whatever the decoder, or a venue of the user's, raises.
        """
        decoded = self.decode(payload)
        incoming = self._subscriber.venue.read(decoded)
        if not isinstance(incoming, Data):
            return Message(
                data=decoded,
                received_at=batch.received_at,
                connection=self._name,
                generation=batch.generation,
                raw=decoded,
            )
        return Message(
            data=incoming.data,
            topic=self._subscriber.index.resolve(incoming),
            channel=incoming.channel,
            symbol=incoming.symbol,
            received_at=batch.received_at,
            connection=self._name,
            generation=batch.generation,
            raw=decoded,
        )

    def topic_of(self, payload: Payload) -> str | None:
        """Give the topic of a payload, for "keep_latest".

        :raises Exception: as :meth:`message` does.
        """
        incoming = self._subscriber.venue.read(self.decode(payload))
        return self._subscriber.index.resolve(incoming) if isinstance(incoming, Data) else None

    def note(self, messages: list[Message]) -> None:
        """Remember when data of these topics came."""
        now, seen, index = monotonic(), self._seen, self._subscriber.index
        if len(seen) > MOST_TOPICS:
            seen.clear()
        for message in messages:
            topic = message.topic
            # A long one that nobody has subscribed is of the server's making.
            if topic is not None and (len(topic) <= LONGEST_REMEMBERED or topic in index):
                seen[topic] = now

    def begin_freshness(self, topics: Iterable[str], age: float | None) -> None:
        """Remember from now on when data of each topic came.

        :param topics: those that bring data.
        :param age: seconds since any data came: the best that is known of each of them now.
        """
        self._is_freshness_wanted = True
        if age is not None:
            at = monotonic() - age
            for topic in topics:
                self._seen.setdefault(topic, at)

    def age(self, topic: str) -> float | None:
        """Seconds since data of a topic came, or None."""
        at = self._seen.get(topic)
        return None if at is None else max(0.0, monotonic() - at)

    def split(self, messages: list[Message]) -> tuple[list[Message], list[Message]]:
        """Tell messages that somebody takes from those that nobody does."""
        takes_all = self._handlers.has("data") or self._handlers.has("message")
        handlers = self._subscriber.handlers
        routed: list[Message] = []
        unrouted: list[Message] = []
        for message in messages:
            topic = message.topic
            taken = topic is not None and (takes_all or topic in handlers)
            (routed if taken else unrouted).append(message)
        return routed, unrouted

    def gaps(self, messages: list[Message]) -> list[tuple[int, Gap]]:
        """Find holes in the numbers of streams; what was lost with a connection is none of them.

        :returns: the place of the message behind each hole, and what to tell of it.
        """
        found: list[tuple[int, Gap]] = []
        sequence = self._subscriber.venue.sequence
        for at, message in enumerate(messages):
            try:
                numbers = sequence(message)
            except BaseException:  # a venue of the user's may raise anything
                if not self._has_complained:
                    self._has_complained = True
                    log.exception(
                        "%s: the venue's sequence() failed; such gaps go untold", self._name
                    )
                continue
            if numbers is None:
                continue
            if message.generation != self._generation:
                self._generation, self._tracker = message.generation, SequenceTracker()
            verdict = self._tracker.check(numbers)
            if verdict.order is Order.GAP:
                found.append((at, self._gap(message, verdict)))
        return found

    def _gap(self, message: Message, verdict: Verdict) -> Gap:
        now = message.received_at
        age = self.age(message.topic or "")
        return Gap(
            connection=self._name,
            topics=() if message.topic is None else (message.topic,),
            reason="sequence",
            started_at=now if age is None else min(now, wall_clock() - age),
            ended_at=now,
            last_seen=verdict.last_seen,
            first_seen=verdict.first_seen,
        )

    def hand_to_topics(self, message: Message) -> None:
        """Call the handlers of a message's topic, each isolated."""
        handlers = self._subscriber.handlers.get(message.topic or "")
        if handlers:
            self._handlers.call_each("data", handlers, message)
