"""Moving topics from one connection to another without a hole and without a duplicate.

The new connection subscribes while the old one still delivers. What comes over the new one is
held; what comes over the old one is delivered and remembered. Once the old one has delivered a
message that the new one holds too, the two overlap: nothing between them is missing. Then the
old one delivers what it has queued, the new one what it holds without what was delivered, in
order, and goes on alone. What the old one was ahead with is dropped when the new one brings it. A :class:`Handover` waits for nothing: :meth:`Handover.step` is called
again and again.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple, Protocol

from ..core.frames import Payload
from .lanes import Batch

__all__ = ["CATCH_UP", "Carrier", "Handover", "Identify", "Phase"]

#: Gives the topic and the identity of a payload; (None, None) where it has none.
Identify = Callable[[Payload], tuple[str | None, Hashable]]
Gate = Callable[[Batch], list[Payload]]

#: Seconds that both connections are kept after the new one is confirmed, for topics that are quiet.
OVERLAP = 0.5
#: Seconds after which an overlap that cannot be proved is taken for granted.
PROOF_TIMEOUT = 10.0
#: Messages of each topic that are looked for on the other connection.
PROOFS = 50
#: Seconds after the switch in which quiet topics of the new connection are looked at.
CATCH_UP = 10.0
#: Messages that may be held; beyond it the switch is made at once.
MOST_HELD = 100_000


class Carrier(Protocol):
    """One of the two connections, as the handover sees it."""

    @property
    def is_connected(self) -> bool:
        """Whether there is an open connection."""

    def has_confirmed(self, topics: frozenset[str]) -> bool:
        """Whether the server has confirmed, or refused, all of these topics."""

    def add_gate(self, gate: Gate) -> None:
        """Let all batches go through one function more."""

    def remove_gate(self, gate: Gate) -> None:
        """Let them go through one function less."""

    def replace_gate(self, gate: Gate, other: Gate) -> None:
        """Let them go through another function in the place of one."""

    def after_queued(self, call: Callable[[], object]) -> None:
        """Make a call on the serving thread, behind all that is queued."""

    def deliver_now(self, payloads: list[Payload], received_at: float) -> None:
        """Give messages to the handlers, past the gate; on the serving thread."""


class Phase(str, enum.Enum):
    """How far a handover is."""

    OPENING = "opening"  # the new connection is not confirmed yet
    OVERLAPPING = "overlapping"  # both bring the topics
    SWITCHING = "switching"  # what is queued is being delivered
    DONE = "done"
    FAILED = "failed"  # the new connection did not come up: the old one keeps the topics


class _Held(NamedTuple):
    payload: Payload
    topic: str
    identity: Hashable
    received_at: float


class Handover:
    """One move.

    :param topics: that move.
    :param old: brings them now.
    :param new: is to bring them; it must not have asked for them before :meth:`begin`.
    :param identify: names messages.
    :param begin_new: is called once the old one remembers what it delivers: subscribes on the new.
    :param timeout: seconds in which the new connection has to be confirmed.
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
    ) -> None:
        self.topics = frozenset(topics)
        self._old = old
        self._new = new
        self._identify = identify
        self._begin_new = begin_new
        self.phase = Phase.OPENING
        self._has_begun = False  # the new connection has been asked for the topics
        self._deadline = now + timeout
        self._confirmed_at: float | None = None
        # Written by the old connection's serving thread, read by the others: a set never shrinks.
        self._delivered: set[tuple[str, Hashable]] = set()
        self._drops_old = False
        self.duplicates = 0  # written by the serving threads, each message by one
        # Written by the new connection's serving thread.
        self._held: list[_Held] = []
        self._behind = set(self.topics)
        self._earliest: dict[str, list[Hashable]] = {}  # a few of each topic, for the proof
        new.add_gate(self._hold)
        old.add_gate(self._remember)
        # A batch that is being delivered right now is not remembered; the new connection comes
        # after it.
        old.after_queued(self._begin)

    def __repr__(self) -> str:
        return f"<Handover of {len(self.topics)} topics, {self.phase.value}>"

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to do."""
        return self.phase in (Phase.DONE, Phase.FAILED)

    def _begin(self) -> None:
        if self.phase is Phase.OPENING:
            self._begin_new()
            self._has_begun = True

    # On the serving threads.

    def _remember(self, batch: Batch) -> list[Payload]:
        """Note what the old connection delivers; behind the switch, drop it."""
        kept: list[Payload] = []
        for payload in batch.messages:
            topic, identity = self._identify(payload)
            if topic in self.topics:
                if self._drops_old:
                    self.duplicates += 1
                    continue
                self._delivered.add((topic or "", identity))
            kept.append(payload)
        return kept

    def _hold(self, batch: Batch) -> list[Payload]:
        """Keep what the new connection brings of these topics."""
        kept: list[Payload] = []
        for payload in batch.messages:
            topic, identity = self._identify(payload)
            if topic is None or topic not in self.topics:
                kept.append(payload)
                continue
            earliest = self._earliest.setdefault(topic, [])
            if len(earliest) < PROOFS:
                earliest.append(identity)
            self._held.append(_Held(payload, topic, identity, batch.received_at))
        return kept

    def _end_old(self) -> None:
        """Deliver no more of the old connection; what was queued has been served."""
        self._drops_old = True
        self._new.after_queued(self._release)

    def _release(self) -> None:
        """Deliver what was held and go on without a gate."""
        run: list[Payload] = []
        at = 0.0
        for held in self._held:
            if (held.topic, held.identity) in self._delivered:
                self.duplicates += 1
                continue
            if run and held.received_at != at:
                self._new.deliver_now(run, at)
                run = []
            at = held.received_at
            run.append(held.payload)
        if run:
            self._new.deliver_now(run, at)
        self._held.clear()
        # The old one may have been ahead: what it delivered is still to come over the new one.
        self._new.replace_gate(self._hold, self._catch_up)
        self.phase = Phase.DONE

    def _catch_up(self, batch: Batch) -> list[Payload]:
        """Drop what the old connection has delivered, until each topic brings something new."""
        kept: list[Payload] = []
        for payload in batch.messages:
            topic, identity = self._identify(payload)
            if topic in self._behind:
                if (topic or "", identity) in self._delivered:
                    self.duplicates += 1
                    continue
                self._behind.discard(topic or "")
            kept.append(payload)
        if not self._behind:
            self.release_new()
        return kept

    # On the thread that steps.

    def step(self, now: float) -> Phase:
        """Go on if it is time to."""
        if self.phase is Phase.OPENING:
            self._watch_opening(now)
        elif self.phase is Phase.OVERLAPPING:
            self._watch_overlap(now)
        return self.phase

    def _watch_opening(self, now: float) -> None:
        if self._has_begun and self._new.is_connected and self._new.has_confirmed(self.topics):
            self._confirmed_at = now
            self.phase = Phase.OVERLAPPING
        elif now >= self._deadline:
            self.fail()

    def _watch_overlap(self, now: float) -> None:
        if self._old.is_connected and not self._new.has_confirmed(self.topics):
            # It was lost again: what it held is no proof of what it will bring.
            self._earliest = {}
            self.phase, self._deadline = Phase.OPENING, now + PROOF_TIMEOUT
        elif self._is_overlap_over(now):
            self.phase = Phase.SWITCHING
            self._old.after_queued(self._end_old)

    def _is_overlap_over(self, now: float) -> bool:
        assert self._confirmed_at is not None
        if not self._old.is_connected or len(self._held) >= MOST_HELD:
            return True  # it brings nothing more, or memory is at stake
        age = now - self._confirmed_at
        if age < OVERLAP:
            return False
        return age >= PROOF_TIMEOUT or self._is_proved()

    def _is_proved(self) -> bool:
        """Whether the two have met: of each topic, one message has come over both.

        Both are in order, so all before it came over the old one and all behind it over the new.
        A snapshot that only the new one got is no hindrance.
        """
        return all(
            any((topic, identity) in self._delivered for identity in identities)
            for topic, identities in list(self._earliest.items())
        )

    def fail(self) -> None:
        """Give up: the old connection keeps the topics; what was held came over it too."""
        self.phase = Phase.FAILED
        self.release_old()
        self._new.remove_gate(self._hold)

    def release_new(self) -> None:
        """Look no more at what the new connection brings: it has caught up."""
        self._new.remove_gate(self._catch_up)

    def release_old(self) -> None:
        """Look no more at what the old connection brings: the server has ended its topics."""
        self._old.remove_gate(self._remember)
