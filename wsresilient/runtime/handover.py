"""Moving topics from one connection to another without a hole and without a duplicate.

The new connection subscribes while the old one still delivers. What comes over the new one is
held; what comes over the old one is delivered and remembered. Once of each topic one message has
come over both, the two overlap: both are in order, so nothing between them is missing. Then the
old one delivers what it has queued, the new one what it holds from behind the last message that
was delivered, and goes on alone. What the old one was ahead with is dropped when the new one
brings it. A :class:`Handover` waits for nothing: :meth:`Handover.step` is called again and again.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

from ..core.frames import Payload
from ..core.overlap import Overlap
from .carrier import Carrier, Gate, Identify
from .lanes import Batch

__all__ = ["CATCH_UP", "Carrier", "Gate", "Handover", "Identify", "Phase"]

#: Seconds that both connections are kept after the new one is confirmed, for topics that are quiet.
OVERLAP = 0.5
#: Seconds after which an overlap that cannot be proved is taken for granted.
PROOF_TIMEOUT = 10.0
#: Seconds after the switch in which quiet topics of the new connection are looked at.
CATCH_UP = 10.0
#: Messages, and bytes of them, that may be held.
MOST_HELD = 100_000
MOST_HELD_BYTES = 64 * 1024 * 1024
#: Messages of the old connection that are remembered; beyond it the handover is given up.
MOST_REMEMBERED = 1_000_000


class Phase(str, enum.Enum):
    """How far a handover is."""

    OPENING = "opening"  # the new connection is not confirmed yet
    OVERLAPPING = "overlapping"  # both bring the topics
    SWITCHING = "switching"  # what is queued is being delivered
    DONE = "done"
    FAILED = "failed"  # the old connection keeps the topics


UNDECIDED = (Phase.OPENING, Phase.OVERLAPPING)


class _Held(NamedTuple):
    payload: Payload
    topic: str
    identity: Hashable
    received_at: float


class Handover:
    """One move.

    :param topics: that move.
    :param old: brings them now.
    :param new: is to bring them; it must not have asked for them before.
    :param identify: names messages of the old connection.
    :param identify_new: names those of the new one; None: as ``identify`` does.
    :param begin_new: subscribes on the new one. It is called once the old one remembers what it
        delivers, on the thread that steps; what it raises ends the handover.
    :param timeout: seconds in which the new connection has to be confirmed.
    :param now: monotonic seconds.
    :param most_held: messages of the new one that may be held; beyond it the switch is made at
        once, or the new connection waits for the old one's handler.
    :param most_held_bytes: the same in bytes.
    :ivar topics: those that are moving now.
    :ivar error: what ``begin_new`` raised, or None.
    :ivar is_old_free: whether what the old one brings is looked at no more.
    :ivar is_new_free: whether what the new one brings is looked at no more.
    :ivar has_hole: whether the old connection was lost before the two had met, so that
        messages may be missing.
    """

    def __init__(
        self,
        topics: Iterable[str],
        *,
        old: Carrier,
        new: Carrier,
        identify: Identify,
        begin_new: Callable[[], object],
        timeout: float,
        now: float,
        identify_new: Identify | None = None,
        most_held: int = MOST_HELD,
        most_held_bytes: int = MOST_HELD_BYTES,
    ) -> None:
        self._old = old
        self._new = new
        self._identify = identify
        self._identify_new = identify_new or identify
        self._begin_new = begin_new
        self._most_held = most_held
        self._most_held_bytes = most_held_bytes
        self._lock = threading.Lock()  # guards the writing of topics and phase
        self.topics = frozenset(topics)  # replaced, never changed
        self.phase = Phase.OPENING
        self._overlap = Overlap()
        self.error: Exception | None = None
        self.has_hole = False
        # Written by the thread that steps.
        self._has_begun = False
        self._timeout = timeout
        self._deadline = now + timeout
        self._confirmed_at: float | None = None
        self._confirmed_generation = 0
        # Written by the old connection's serving thread.
        self._is_remembering = False
        self._drops_old = False
        self._dropped_old = 0
        # Written by the new connection's serving thread.
        self._held: list[_Held] = []
        self._behind: set[str] = set()
        self._held_bytes = 0
        self._dropped_new = 0
        self._dropped_at_end = 0  # written by who gives up, once
        self.is_old_free = False  # nobody looks at what the old one brings any more
        self.is_new_free = False  # nor at what the new one brings
        #: The old one has delivered its last, or all is given up: nobody has to wait.
        self._old_is_over = threading.Event()
        new.add_gate(self._hold)
        old.add_gate(self._remember)
        # A batch that is being delivered right now is not remembered; the new one begins after it.
        old.after_queued(self._begin_remembering)

    def __repr__(self) -> str:
        return f"<Handover of {len(self.topics)} topics, {self.phase.value}>"

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to do."""
        return self.phase in (Phase.DONE, Phase.FAILED)

    @property
    def has_begun(self) -> bool:
        """Whether the new connection was asked for the topics; before that a handler is awaited."""
        return self._has_begun

    @property
    def duplicates(self) -> int:
        """Messages that came over both and were delivered once."""
        return self._dropped_old + self._dropped_new + self._dropped_at_end

    # From any thread.

    def include(self, topics: Iterable[str]) -> bool:
        """Move these too, which are about to be subscribed on both connections.

        :returns: False: it is too late, they belong on the new one alone; or, when it has
            failed, on the old one.
        """
        with self._lock:
            if self.phase not in UNDECIDED:
                return False
            self.topics |= frozenset(topics)
            return True

    def forget(self, topics: Iterable[str]) -> None:
        """Do not touch these any more: they are subscribed no longer, or by somebody else."""
        with self._lock:
            self.topics -= frozenset(topics)

    def fail(self) -> bool:
        """Give up: the old connection keeps the topics; what is held came over it too.

        The new one stays mute until :meth:`release_new`, so that it can unsubscribe.

        :returns: False: it is too late, the new one has them.
        """
        with self._lock:
            if self.phase not in UNDECIDED:
                return False
            self.phase = Phase.FAILED
        self._old_is_over.set()
        self._let_go_of_held()
        self.release_old()
        return True

    def _let_go_of_held(self) -> None:
        held, self._held = self._held, []
        self._dropped_at_end += len(held)

    def cancel(self) -> None:
        """Let go of both connections, which are being stopped."""
        with self._lock:
            if self.phase is not Phase.DONE:
                self.phase = Phase.FAILED
        self._old_is_over.set()
        self._let_go_of_held()
        self.release_old()
        self.release_new()

    def release_new(self) -> None:
        """Look no more at what the new connection brings."""
        self._new.remove_gate(self._hold)
        self._new.remove_gate(self._catch_up)
        self.is_new_free = True

    def release_old(self) -> None:
        """Look no more at what the old connection brings: the server has ended its topics."""
        self._old.remove_gate(self._remember)
        self.is_old_free = True

    # On the old connection's serving thread.

    def _begin_remembering(self) -> None:
        self._is_remembering = True

    def _remember(self, batch: Batch) -> list[Payload]:
        """Note what the old connection delivers; behind the switch, drop it."""
        kept: list[Payload] = []
        for payload in batch.messages:
            topic, identity = self._identify(payload)
            if topic is None or topic not in self.topics:
                kept.append(payload)
            elif self._drops_old:
                self._dropped_old += 1
            else:
                kept.append(payload)
                self._overlap.delivered(topic, identity)
        return kept

    def _end_old(self) -> None:
        """Deliver no more of the old connection; what was queued has been served."""
        if self.phase is Phase.SWITCHING:
            self._drops_old = True
            self._old_is_over.set()
            self._new.after_queued(self._release)

    # On the new connection's serving thread.

    def _hold(self, batch: Batch) -> list[Payload]:
        """Keep what the new connection brings of these topics."""
        kept: list[Payload] = []
        for payload in batch.messages:
            topic, identity = self._identify_new(payload)
            if topic is None or topic not in self.topics:
                kept.append(payload)
            elif self.phase is not Phase.FAILED:
                self._overlap.brought(topic, identity, generation=batch.generation)
                self._held.append(_Held(payload, topic, identity, batch.received_at))
                self._held_bytes += len(payload)
        if self._is_full(1.0):
            self._wait_for_old()
        return kept

    def _is_full(self, share: float) -> bool:
        """Whether so large a part of what may be held is held."""
        return (
            len(self._held) >= share * self._most_held
            or self._held_bytes >= share * self._most_held_bytes
        )

    def _wait_for_old(self) -> None:
        """Hold no more than can be held: be as slow as the old connection's handler."""
        self._held = self._undelivered()
        self._held_bytes = sum(len(held.payload) for held in self._held)
        if self._is_full(0.5):
            self._old_is_over.wait()
            self._release()

    def _undelivered(self) -> list[_Held]:
        """What is held behind the last message of each topic that was delivered."""
        rest: list[_Held] = []
        passed: set[str] = set()
        for held in reversed(self._held):
            if held.topic not in passed and self._overlap.was_delivered(held.topic, held.identity):
                passed.add(held.topic)
            if held.topic not in passed:
                rest.append(held)
        self._dropped_new += len(self._held) - len(rest)
        return rest[::-1]

    def _release(self) -> None:
        """Deliver what was held and go on without holding."""
        if self.phase is not Phase.SWITCHING or not self._drops_old:
            return
        rest, self._held = self._undelivered(), []
        # The old one may have been ahead: what it delivered is still to come over the new one.
        self._behind = self._overlap.behind()
        self._new.replace_gate(self._hold, self._catch_up)
        self._deliver([held for held in rest if held.topic in self.topics])
        with self._lock:
            if self.phase is Phase.SWITCHING:
                self.phase = Phase.DONE

    def _deliver(self, messages: list[_Held]) -> None:
        run: list[Payload] = []
        at = 0.0
        for held in messages:
            if run and held.received_at != at:
                self._new.deliver_now(run, at)
                run = []
            at = held.received_at
            run.append(held.payload)
        if run:
            self._new.deliver_now(run, at)

    def _catch_up(self, batch: Batch) -> list[Payload]:
        """Drop what the old connection has delivered, until each topic has brought all of it."""
        if not self._behind:
            return batch.messages
        kept: list[Payload] = []
        for payload in batch.messages:
            topic, identity = self._identify_new(payload)
            if topic is None or topic not in self._behind or topic not in self.topics:
                kept.append(payload)
            elif self._overlap.was_delivered(topic, identity):
                self._dropped_new += 1
                if self._overlap.is_latest(topic, identity):
                    self._behind.discard(topic)
            else:
                kept.append(payload)
        return kept

    # On the thread that steps.

    def postpone(self, now: float) -> None:
        """Let the time for the new connection begin now: it may not try yet."""
        self._deadline = now + self._timeout

    def step(self, now: float) -> Phase:
        """Go on if it is time to."""
        if self.phase is Phase.OPENING and self._is_remembering and not self._has_begun:
            try:
                self._begin_new()
            except Exception as error:  # a venue of the user's may raise anything
                self.error = error
                self.fail()
            self._has_begun = True
        if self.phase is Phase.OPENING and not self._new.is_connected and not self._held:
            self._overlap.forget()
        with self._lock:
            is_decided = self.phase in UNDECIDED and self._watch(now)
            if is_decided:
                self.phase = Phase.SWITCHING
        if is_decided:
            self._old.after_queued(self._end_old)
        elif self.phase in UNDECIDED and self._is_hopeless(now):
            self.fail()
        return self.phase

    def _watch(self, now: float) -> bool:
        """See how far it is; returns whether to switch."""
        if self.phase is Phase.OVERLAPPING and not self._old.is_connected:
            return self._do_without_old()
        if not self._is_confirmed():
            if self.phase is Phase.OVERLAPPING:
                # It was lost again, or topics have joined.
                self.phase = Phase.OPENING
                self._deadline = max(self._deadline, now + PROOF_TIMEOUT)
            return False
        if self.phase is Phase.OPENING or self._new.generation != self._confirmed_generation:
            self._confirmed_at, self._confirmed_generation = now, self._new.generation
            self.phase = Phase.OVERLAPPING
        return self._is_overlap_over(now) if self._old.is_connected else self._do_without_old()

    def _do_without_old(self) -> bool:
        """Switch, since the old one brings nothing more; say whether that left a hole."""
        self.has_hole = not self._has_met_everywhere()
        return True

    def _is_confirmed(self) -> bool:
        new = self._new
        return self._has_begun and new.is_connected and new.has_confirmed(self.topics)

    def _is_overlap_over(self, now: float) -> bool:
        assert self._confirmed_at is not None
        age = now - self._confirmed_at
        if self._is_full(1.0) or age >= PROOF_TIMEOUT:
            return True
        if not self._overlap.is_proved(self.topics, self._confirmed_generation):
            return False
        return age >= OVERLAP or self._has_met_everywhere()

    def _has_met_everywhere(self) -> bool:
        return self._overlap.has_met(self.topics, self._confirmed_generation)

    def _is_hopeless(self, now: float) -> bool:
        is_late = self.phase is Phase.OPENING and now >= self._deadline
        return is_late or len(self._overlap) >= MOST_REMEMBERED
