"""Everything between a connection's reader and its user: the lane, the inbox, the handlers.

Raw messages take the short way. They are decoded only when somebody wants them decoded.
It does not know what a socket is, nor why a connection ends.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from ..config import ConnectionConfig
from ..core.events import Gap, Message
from ..core.frames import Payload
from ..core.redact import shorten
from ..errors import DecodeError, describe
from .answers import Answers
from .clock import monotonic, wall_clock
from .dispatcher import Dispatcher
from .handlers import HandlerSet
from .inbox import Inbox
from .lanes import Batch, Entry, Event, Lane
from .logs import Log
from .routing import Router

__all__ = ["Decoder", "Delivery"]

log = Log("wsresilient.handlers")

Decoder = Callable[[Payload], Any]


#: Pings, pongs and errors of a venue that may wait to be told at a time.
MOST_CONTROLS = 1000


class Delivery:
    """Brings messages and events of one connection to its user.

    :param name: of the connection.
    :param config: bounds, policies, "thread" or "inline".
    :param handlers: who is called.
    :param dispatcher: serves the lane.
    :param decoder: turns a payload into what on_data gets, or None.
    :param router: gives messages their topics, or None: there is no venue.
    """

    def __init__(
        self,
        name: str,
        config: ConnectionConfig,
        handlers: HandlerSet,
        dispatcher: Dispatcher,
        decoder: Decoder | None,
        router: Router | None = None,
    ) -> None:
        self._name = name
        self._handlers = handlers
        self._dispatcher = dispatcher
        self._decoder = decoder
        self._router = router
        self._inline = config.dispatch == "inline"
        self._drops_old = config.overflow in ("drop_oldest", "keep_latest")
        self._overflow = config.overflow
        self._lane = self._new_lane(config)
        # Notices about a lane that is held up cannot wait in that lane.
        self._notices = self._new_lane(config)
        self.inbox = Inbox(config, on_overflow=self._overflowed)
        self._inline_events: deque[Callable[[], object]] = deque()
        self._inline_thread: int | None = None
        self.answers = Answers()
        #: Sees every batch before its handlers do and says what is left of it: a pool's way of
        #: delivering once what comes over two connections. Runs on the serving thread.
        self.gate: Callable[[Batch], list[Payload]] | None = None
        #: Makes the reader's thread look around, so that it runs what is inline.
        self.wake: Callable[[], None] = _nobody_to_wake
        #: Is given each gap at once, on any thread, for the history.
        self.note_gap: Callable[[Gap], None] = _keep_nothing
        self._overflow_since: float | None = None
        self._discarding = False
        self._under_way: list[Any] = []
        self._controls = 0  # pings and pongs that wait to be told

    def _new_lane(self, config: ConnectionConfig) -> Lane:
        return Lane(
            max_messages=config.queue_size,
            max_bytes=config.queue_bytes,
            overflow=config.overflow,
            serve=self._serve,
            on_overflow=self._overflowed,
            key_of=None if self._router is None else self._router.topic_of,
        )

    # What is seen from outside.

    @property
    def queue_depth(self) -> int:
        """Messages that wait for a handler or a puller."""
        return self._lane.depth + self.inbox.depth

    @property
    def dropped(self) -> int:
        """Messages dropped by the overflow policy."""
        return self._lane.dropped + (self.inbox.dropped if self.inbox.pulled else 0)

    @property
    def unpulled(self) -> int:
        """Messages that made room for others, since nobody ever pulled."""
        return 0 if self.inbox.pulled else self.inbox.dropped

    @property
    def held_back_since(self) -> float | None:
        """Since when the reader waits for room, or None."""
        return self._lane.held_back_since or self.inbox.held_back_since

    @property
    def idle(self) -> bool:
        """Whether all messages and events have been served."""
        return self._lane.idle and self._notices.idle

    # Lifecycle.

    def begin(self) -> None:
        """Be served from now on."""
        self._dispatcher.attach(self._lane)
        self._dispatcher.attach(self._notices)

    def adopt_thread(self) -> None:
        """Say that the calling thread is the reader, where inline handlers run."""
        self._inline_thread = threading.get_ident()

    def let_reader_go(self, letting_go: bool) -> None:
        """See :meth:`wsresilient.runtime.lanes.Lane.let_reader_go`."""
        self._lane.let_reader_go(letting_go)
        self.inbox.let_reader_go(letting_go)

    def abandon(self) -> None:
        """Deliver nothing more, in a child after a fork."""
        self._discarding = True
        self._under_way.clear()
        self._inline_events.clear()
        for lane in (self._lane, self._notices):
            lane.abandon()

    def discard(self) -> None:
        """Deliver no more messages, not even of the batch under way; events go on."""
        self._discarding = True
        self._under_way.clear()  # ends the loop over it, behind the call that is running
        self._lane.discard()
        self.inbox.close(discard=True)
        self.answers.link_dropped()

    def end(self, last: Callable[[], object]) -> None:
        """Be served no more after what is queued; ``last`` is called behind it."""
        self.inbox.close(discard=False)

        def finish() -> None:
            self._dispatcher.detach(self._lane, self._notices)
            last()

        if self._inline:
            self.run_inline_events()
            finish()
        else:
            self._lane.put_event(finish)

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait until everything queued has been served."""
        deadline = monotonic() + timeout
        return self._lane.wait_until_idle(timeout) and self._notices.wait_until_idle(
            deadline - monotonic()
        )

    def move_inbox(self) -> None:
        """Give messages that waited to be pulled to handlers that came later."""
        if not self._is_pulled() and self.inbox.depth and not self.inbox.closed:
            for earlier in self.inbox.take_all():
                self._put(earlier)

    # From the reader.

    def offer(self, messages: list[Payload]) -> None:
        """Let those who wait for an answer look at a read; it takes none away."""
        if self.answers:
            self.answers.offer(messages)

    def deliver(self, messages: list[Payload], size: int, generation: int) -> None:
        """Deliver the messages of one read.

        :param size: their bytes.
        """
        batch = Batch(messages, size, generation, wall_clock())
        if not self._is_pulled():
            self.move_inbox()
            self._put(batch)
        else:
            self.inbox.put(batch)

    def _is_pulled(self) -> bool:
        has, router = self._handlers.has, self._router
        return not (has("message") or has("data") or (router is not None and router.has_handlers))

    def _put(self, batch: Batch) -> None:
        if self._inline:
            self._serve_batch(batch)
        else:
            self._lane.put(batch)

    # From any thread.

    def emit(self, event: str, *args: object) -> None:
        """Call the handlers of an event in its true place between the messages."""
        if self._handlers.has(event):
            self.emit_call(lambda: self._handlers.call(event, *args))

    def emit_gap(self, gap: Gap) -> None:
        """Note a gap at once, and tell of it in its true place between the messages."""
        self.note_gap(gap)
        self.emit("gap", gap)

    def emit_bounded(self, event: str, argument: object) -> None:
        """Tell of a ping, a pong or an error; a peer that makes too many is not told in full.

        No more than ``MOST_CONTROLS`` wait: they are not bounded like messages, and never dropped
        once they are in the lane.
        """
        if not self._handlers.has(event) or self._controls >= MOST_CONTROLS:
            return
        self._controls += 1

        def tell() -> None:
            self._controls -= 1
            self._handlers.call(event, argument)

        self.emit_call(tell)

    def emit_call(self, call: Callable[[], object]) -> None:
        """Make a call in its true place between the messages."""
        if not self._inline:
            self._lane.put_event(call)
            return
        self._inline_events.append(call)
        if threading.get_ident() == self._inline_thread:
            self.run_inline_events()
        else:
            self.wake()

    def note(self, call: Callable[[], object]) -> None:
        """Make a call soon, beside the lane: for what must be said while it is held up."""
        self._notices.put_event(call)

    def run_inline_events(self) -> None:
        """Run what others have queued for the reader's thread."""
        while self._inline_events:
            self._inline_events.popleft()()

    # On the serving thread.

    def _serve(self, entry: Entry) -> None:
        if isinstance(entry, Event):
            entry.call()
        else:
            self._serve_batch(entry)

    def _serve_batch(self, batch: Batch) -> None:
        gate = self.gate
        if gate is not None:
            batch = Batch(gate(batch), batch.size, batch.generation, batch.received_at)
        self.serve_now(batch)

    def serve_now(self, batch: Batch) -> None:
        """Give a batch to the handlers past the gate; on the serving thread."""
        if self._handlers.has("message"):
            self._hand_over("message", batch.messages)
        if self._discarding:
            return
        if self._router is not None:
            if self._router.is_needed:
                self._route(batch, self._router)
        elif self._handlers.has("data"):
            self._hand_over("data", self._decoded(batch))

    def _route(self, batch: Batch, router: Router) -> None:
        messages = self._decoded(batch)
        routed, unrouted = router.split(messages)
        if unrouted:
            self._handlers.counters.unrouted += len(unrouted)
            self._hand_over("unrouted", unrouted)
        begin = 0
        for at, gap in router.gaps(routed) if router.finds_gaps else ():
            self._hand_routed(routed[begin:at], router)
            self.note_gap(gap)
            self._handlers.call("gap", gap)
            begin = at
        self._hand_routed(routed[begin:] if begin else routed, router)
        router.note(messages)

    def _hand_routed(self, messages: list[Message], router: Router) -> None:
        """Give messages to on_data, and to the handlers of their topics."""
        topics = list(messages) if router.has_handlers else []  # discard() empties the other list
        self._hand_over("data", messages)
        if topics and not self._discarding:
            self._hand_over("data", topics, router.hand_to_topics)

    def _hand_over(
        self, event: str, items: list[Any], handler: Callable[[Any], object] | None = None
    ) -> None:
        """Give items to one handler, or to those of the event."""
        self._under_way = items
        if self._discarding:  # looked at after the line before, as discard() does it in reverse
            items.clear()
        if handler is None:
            self._handlers.deliver(event, items)
        else:
            self._handlers.run(event, handler, items)

    def _decoded(self, batch: Batch) -> list[Message]:
        with self._handlers.calling("decoder"):  # so that stop() inside of it knows where it is
            return self._decode_all(batch)

    def _decode_all(self, batch: Batch) -> list[Message]:
        decoded: list[Message] = []
        message = self._plain_message if self._router is None else self._router.message
        for payload in batch.messages:
            try:
                decoded.append(message(payload, batch))
            except BaseException as error:  # a user's function may raise anything
                self._handlers.fail(self._decode_error(payload, error))
        return decoded

    def _plain_message(self, payload: Payload, batch: Batch) -> Message:
        assert self._decoder is not None, "on_data without a decoder is refused"
        data = self._decoder(payload)
        return Message(
            data=data,
            received_at=batch.received_at,
            connection=self._name,
            generation=batch.generation,
            raw=data,
        )

    def _decode_error(self, payload: Payload, error: BaseException) -> DecodeError:
        # The decoder's exception is not chained: it may hold the whole message.
        redact = self._handlers.redact
        # Redacted before it is cut: a secret that is cut in two is not recognised.
        excerpt = shorten(
            redact(payload[:4000] if isinstance(payload, str) else repr(payload[:1000]))
        )
        return DecodeError(
            f"a message was not decoded ({shorten(redact(describe(error)))}): {excerpt:.100}"
        )

    def _overflowed(self, _dropped: int) -> None:
        """Tell of a hole, once for each episode: until the lane has been empty again."""
        now = wall_clock()
        if self._overflow_since is not None:
            return
        text = f"{self._name}: overflow: the handler is too slow, messages are dropped"
        self.note(lambda: log.warning("%s (overflow=%r)", text, self._overflow))
        self._overflow_since = now

        def tell() -> None:
            self._overflow_since = None
            gap = Gap(
                connection=self._name,
                topics=(),
                reason="overflow",
                started_at=now,
                ended_at=wall_clock(),
            )
            self.note_gap(gap)
            self._handlers.call("gap", gap)

        self._lane.put_event(tell, before_messages=self._drops_old)

    def decode(self, payload: Payload) -> Any:
        """Decode one payload for request(): with the decoder, else as JSON, else as it is."""
        decoder = self._decoder or (json.loads if self._router is None else self._router.decode)
        try:
            return decoder(payload)
        except Exception:  # any message is looked at, whatever it holds
            return payload


def _keep_nothing(_gap: Gap) -> None:
    """There is no history."""


def _nobody_to_wake() -> None:
    """There is no reader yet; it looks around when it comes."""
