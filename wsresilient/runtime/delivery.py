"""Everything between a connection's reader and its user: the lane, the inbox, the handlers.

Raw messages take the short way. They are decoded only when somebody wants them decoded.
It does not know what a socket is, nor why a connection ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..config import ConnectionConfig
from ..core.events import Gap, Message
from ..core.frames import Payload
from .answers import Answers
from .clock import monotonic, wall_clock
from .decoding import Decoder, Decoding
from .dispatcher import Dispatcher
from .handlers import HandlerSet
from .inbox import Inbox
from .inline import InlineCalls
from .lanes import Batch, Entry, Event, Lane
from .overflow import OverflowNotices
from .routing import Router

__all__ = ["Delivery"]

#: Pings, pongs and errors of a venue that may wait to be told at a time.
MOST_CONTROLS = 1000
#: Seconds after which a reader that waits looks around.
PIECE = 0.1


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
        self.decoding = Decoding(name, handlers, decoder, router)
        self._router = router
        self._inline = config.dispatch == "inline"
        self._overflow_notices = OverflowNotices(
            name, config.overflow, note=self.note, tell_gap=self.tell_gap_now
        )
        self._lane = self._new_lane(config)
        # Notices about a lane that is held up cannot wait in that lane.
        self._notices = self._new_lane(config)
        self.inbox = Inbox(config, on_overflow=self._overflowed)
        self._calls = InlineCalls()
        self.answers = Answers()
        #: Sees every batch before its handlers do and says what is left of it: a pool's way of
        #: delivering once what comes over two connections. Runs on the serving thread.
        self.gate: Callable[[Batch], list[Payload]] | None = None
        # The same while a connection and its successor bring messages, before the gate.
        self._succession: Callable[[Batch], list[Payload]] | None = None
        # Every message goes through the lane then, also on its way to the inbox.
        self._is_detouring = False
        #: Makes the reader's thread look around, so that it runs what is inline.
        self.wake: Callable[[], None] = _nobody_to_wake
        #: Is given each gap at once, on any thread, for the history.
        self.note_gap: Callable[[Gap], None] = _keep_nothing
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
    def is_behind(self) -> bool:
        """Whether handlers keep the reader from reading on."""
        if self._inline:
            return self._handlers.any_running
        return self.held_back_since is not None

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
        self._calls.adopt(threading.get_ident())

    def pass_on(self, reader: int | None, then: Callable[[], object]) -> None:
        """Let inline handlers run on another reader's thread, and make a call when it is so.

        :param reader: its thread; None: nobody's.
        """

        def adopt() -> None:
            if reader is not None:
                self._calls.adopt(reader)
            then()

        if self._inline:
            self.emit_call(adopt)
        else:
            then()

    def begin_succession(self, sift: Callable[[Batch], list[Payload]]) -> None:
        """Let every batch go through a function that joins two connections; from any thread.

        :param sift: what is left of a batch; on the serving thread, one batch at a time.
        """
        self._succession = sift
        self._is_detouring = True

    def end_succession(self) -> None:
        """There is one connection again; on the serving thread, behind all of the other one."""
        self._succession = None

    def _is_on_detour(self) -> bool:
        """Tell whether messages still take the long way; on the reader's thread.

        Nothing may overtake what waits in the lane.
        """
        if self._is_detouring and self._succession is None and self._lane.idle:
            self._is_detouring = False
        return self._is_detouring

    def _wait_for_end_of_detour(self) -> None:
        """Wait until what is left in the lane is in the inbox, which would hold the reader as well.

        Otherwise whoever pulls more slowly than messages come would be on the detour for ever, and
        the serving thread in the hands of the inbox. A handler is not waited for.
        """
        lane, handlers = self._lane, self._handlers
        while self._succession is None and self._is_pulled() and not handlers.any_running:
            if lane.lets_reader_go or lane.wait_until_idle(PIECE):
                return

    def let_reader_go(self, letting_go: bool) -> None:
        """See :meth:`wsresilient.runtime.lanes.Lane.let_reader_go`."""
        self._lane.let_reader_go(letting_go)
        self.inbox.let_reader_go(letting_go)

    def abandon(self) -> None:
        """Deliver nothing more, in a child after a fork."""
        self._discarding = True
        self._under_way.clear()
        self._calls.clear()
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
        if not self._is_detouring:
            self.inbox.close(discard=False)

        def finish() -> None:
            self.inbox.close(discard=False)
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
        if self._is_detouring and self._is_on_detour():
            return
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
        if self._is_detouring:
            self._wait_for_end_of_detour()
        if self._is_detouring and self._is_on_detour():
            self._put(batch)
        elif not self._is_pulled():
            self.move_inbox()
            self._put(batch)
        else:
            self.inbox.put(batch)

    def _is_pulled(self) -> bool:
        has, router = self._handlers.has, self._router
        return not (has("message") or has("data") or (router is not None and router.has_handlers))

    def _put(self, batch: Batch) -> None:
        if not self._inline:
            self._lane.put(batch)
        elif self._is_detouring:
            with self._calls.turn:  # the two readers take turns
                self._serve_batch(batch)
        else:
            self._serve_batch(batch)

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
        elif not self._calls.put(call):
            self.wake()

    def note(self, call: Callable[[], object]) -> None:
        """Make a call soon, beside the lane: for what must be said while it is held up."""
        self._notices.put_event(call)

    def run_inline_events(self) -> None:
        """Run what others have queued for the reader's thread."""
        self._calls.run()

    # On the serving thread.

    def _serve(self, entry: Entry) -> None:
        if isinstance(entry, Event):
            entry.call()
        else:
            self._serve_batch(entry)

    def _serve_batch(self, batch: Batch) -> None:
        for gate in (self._succession, self.gate):
            if gate is not None:
                batch = Batch(gate(batch), batch.size, batch.generation, batch.received_at)
        self.serve_now(batch)

    def tell_gap_now(self, gap: Gap) -> None:
        """Note and tell a gap where it is; on the serving thread."""
        self.note_gap(gap)
        self._handlers.call("gap", gap)

    def serve_now(self, batch: Batch) -> None:
        """Give a batch to the handlers past the gates; on the serving thread."""
        if self._is_detouring:
            if self._is_pulled():
                self.inbox.put(batch)
                return
            for earlier in self.inbox.take_all() if self.inbox.depth else ():
                self._serve_handlers(earlier)  # they have come meanwhile
        self._serve_handlers(batch)

    def _serve_handlers(self, batch: Batch) -> None:
        if self._handlers.has("message"):
            self._hand_over("message", batch.messages)
        if self._discarding:
            return
        if self._router is not None:
            if self._router.is_needed:
                self._route(batch, self._router)
        elif self._handlers.has("data"):
            self._hand_over("data", self.decoding.messages(batch))

    def _route(self, batch: Batch, router: Router) -> None:
        messages = self.decoding.messages(batch)
        routed, unrouted = router.split(messages)
        if unrouted:
            self._handlers.counters.unrouted += len(unrouted)
            self._hand_over("unrouted", unrouted)
        begin = 0
        for at, gap in router.gaps(routed) if router.finds_gaps else ():
            self._hand_routed(routed[begin:at], router)
            self.tell_gap_now(gap)
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

    def _overflowed(self, _dropped: int) -> None:
        self._overflow_notices.dropped(self._lane)


def _keep_nothing(_gap: Gap) -> None:
    """There is no history."""


def _nobody_to_wake() -> None:
    """There is no reader yet; it looks around when it comes."""
