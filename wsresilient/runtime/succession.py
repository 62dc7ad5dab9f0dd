"""A connection gets its successor without a hole: rotation="make_before_break".

The successor connects, logs in, greets (on_open) and subscribes while the running connection goes
on. Both put what they get into the one lane of the life, where ``junction.py`` holds the
successor's messages. When the two have met, the held messages are delivered in one turn of the
lane, the successor becomes the running connection, and the old one is closed. Until then every
fault of the successor ends the succession and nothing else.

A :class:`Succession` waits for nothing: the watchdog calls :meth:`Succession.step` again and
again. It decides when; what a connection is, and how one becomes the running one, knows its life
(``supervisor.py``).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable

from ..config import ConnectionConfig
from ..core.coverage import Coverage
from ..core.demand import SuccessionDemand
from ..core.events import Gap
from ..core.failure import Failure, FailureKind, classify
from ..core.frames import Payload
from ..core.takeover import CATCH_UP
from ..errors import OpenTimeoutError
from .clock import monotonic, wall_clock
from .delivery import Delivery
from .junction import Junction
from .lanes import Batch
from .link import Link
from .logs import Log
from .succeeding import DECIDED, UNDECIDED, Phase, SuccessionHost, Transfer

__all__ = ["Succession"]

log = Log("wsresilient.connection")

#: Seconds between two steps.
STEP = 0.02
#: Seconds that a successor gets beyond its deadlines for connecting and for acknowledgements, from
#: its turn in the budget of connects and from each topic that the server confirms.
PATIENCE = 5.0
#: Seconds for which the old connection's messages are looked for, where the next one is due.
CATCH_UP_AT_LEAST = 1.0
#: Seconds for which the old connection stays for requests that wait for their answers.
LAST_ANSWERS = 10.0
#: Why a successor is given up whose predecessor has ended too early.
BEREFT = "the connection that was to be succeeded has ended"
#: What helps where a successor does not prove itself.
ADVICE = (
    "without a venue ask for all data in on_open, with request() where a login comes first, and "
    "give message_key= where a server writes something of each connection into its messages"
)


class Succession:
    """The successions of one life, one at a time.

    :param host: the life.
    :param name: the connection's.
    :param config: rotation, max_age, open_timeout, ack_timeout.
    :param delivery: where both connections put what they get.
    :param identify: gives the topic and the identity of a payload; must not raise.
    :param needs_proof: whether a successor has to prove that it brings the same, since nobody
        knows the topics.
    """

    def __init__(
        self,
        host: SuccessionHost,
        *,
        name: str,
        config: ConnectionConfig,
        delivery: Delivery,
        identify: Callable[[Payload], tuple[str, Hashable]],
        needs_proof: bool = False,
    ) -> None:
        self._host = host
        self._links = host.links
        self._name = name
        self._config = config
        self._delivery = delivery
        self._identify = identify
        self._needs_proof = needs_proof
        self._is_enabled = config.rotation == "make_before_break"
        self._patience = config.open_timeout + config.ack_timeout + PATIENCE
        self._lock = threading.Lock()  # guards the writing of the following
        self.phase = Phase.IDLE
        self._transfer: Transfer | None = None  # None while it is idle
        self._demand = SuccessionDemand(name, config.max_age)
        self._is_closed = False
        self._given_up: Failure | None = None  # why the successor is not wanted any more
        # Of the watchdog:
        self._deadline = 0.0
        self._confirmed = 0  # topics that the server has confirmed to the successor
        self._switched_at: float | None = None
        self._is_retired = False
        self._is_doubtful = False  # whether the old one may have what the new one has not
        self._is_absorbing = False  # a look at what has arrived is on its way through the lane

    def __repr__(self) -> str:
        return f"<Succession of {self._name}: {self.phase}>"

    def _move(self, old: Phase, new: Phase) -> bool:
        """Take a step, unless somebody else has taken another one."""
        with self._lock:
            if self.phase is not old:
                return False
            self.phase = new
            return True

    # From any thread.

    def request(self, reason: Failure) -> bool:
        """Ask for a successor of the running connection; it begins with the next step.

        :returns: False: the connection has to end without one.
        """
        link = self._links.running
        at = None if link is None else link.connected_at
        if not self._is_enabled or link is None or at is None:
            return False
        with self._lock:
            return self._demand.ask(
                link.generation,
                reason,
                connected_at=at,
                now=monotonic(),
                is_blocked=self.phase is Phase.FAILED,
            )

    def close(self) -> None:
        """Begin no more, and give up the successor."""
        with self._lock:
            self._is_closed = True
        self.cancel("the connection ends")

    def cancel(self, text: str) -> None:
        """Give up the successor, if there is still a way back."""
        self._give_up(Failure(FailureKind.STOPPED, text, is_error=False))

    def _give_up(self, reason: Failure) -> None:
        with self._lock:
            given_up = self._fail(reason)
        if given_up is not None:
            self._end(given_up, reason.text)

    def _fail(self, reason: Failure) -> Link | None:
        """Take the way back; returns the successor, which is to end. The lock is held."""
        transfer = self._transfer
        if self.phase not in UNDECIDED or transfer is None:
            return None
        self.phase, self._given_up = Phase.FAILED, reason
        transfer.junction.give_up()
        return transfer.new

    def _end(self, successor: Link, text: str) -> None:
        reason = Failure(FailureKind.STOPPED, text, is_error=False)
        successor.interrupt(reason, graceful=True)

    # The watchdog's thread.

    def step(self, now: float) -> float:
        """Go on if it is time to; returns seconds until the next step."""
        transfer = self._transfer
        if transfer is None:
            self._begin_if_due(now)
        elif self.phase in UNDECIDED:
            self._watch_both(transfer, now)
        elif self.phase is Phase.SWITCHED:
            self._watch_end(transfer, now)
        return STEP if self.phase in UNDECIDED | DECIDED else math.inf

    def _begin_if_due(self, now: float) -> None:
        link = self._links.running
        if self._is_enabled and link is not None and link.is_ready:
            reason = self._reason(link, now)
            if reason is not None and self._demand.may_begin(link.generation, now):
                self._begin(link, reason, now)

    def _reason(self, link: Link, now: float) -> Failure | None:
        """Say why a connection should have a successor now; None: it should not."""
        at = link.connected_at
        if at is None:
            return None
        with self._lock:
            return self._demand.reason(link.generation, connected_at=at, now=now)

    def _begin(self, old: Link, reason: Failure, now: float) -> None:
        self._deadline, self._confirmed = now + self._patience, 0
        self._switched_at, self._is_retired, self._is_doubtful = None, False, False
        with self._lock:
            if self._is_closed:
                return
            new = self._host.make_successor()
            junction = Junction(
                old,
                new,
                self._identify,
                count=self._links.count_beside,
                max_bytes=self._config.queue_bytes,
                is_lossy=self._config.overflow != "block",
                coverage=Coverage() if self._needs_proof else None,
            )
            new.divert = junction.take
            self._transfer = Transfer(old, new, junction, reason)
            self.phase, self._given_up = Phase.OPENING, None
        # From here on all that the old one delivers is remembered; the new one comes after it.
        self._delivery.begin_succession(junction.sift)
        self._delivery.note(
            lambda: log.info("%s: %s; a new connection is to succeed", self._name, reason.text)
        )
        try:
            self._host.start_successor(new)
        except RuntimeError as error:
            self.ended(new, classify(error))

    def _watch_both(self, transfer: Transfer, now: float) -> None:
        """Watch them as long as the old connection brings what the user gets."""
        junction = transfer.junction
        if self._links.running is not transfer.old:
            self.cancel(BEREFT)  # as it began
        elif junction.is_overrun or (
            self.phase is Phase.OPENING and junction.takeover.is_full  # nor can it be over yet
        ):
            text = "the handlers were too slow to let a successor wait for them"
            self._give_up(Failure(FailureKind.TIMEOUT, text, is_error=False))
        elif self.phase is Phase.OPENING:
            self._watch_opening(transfer, now)
        else:
            self._watch_overlap(transfer, now)
        if junction.has_arrivals and not self._is_absorbing:
            self._is_absorbing = True
            self._delivery.emit_call(lambda: self._absorb(junction))

    def _watch_opening(self, transfer: Transfer, now: float) -> None:
        new = transfer.new
        confirmed = new.confirmed_count
        if new.is_queueing or confirmed > self._confirmed:
            # It is not late as long as it waits for its turn, or gets on.
            self._confirmed = confirmed
            self._deadline = now + self._patience
        if new.has_greeted and new.is_ready and new.has_confirmed:
            transfer.junction.takeover.confirm(now)
            self._move(Phase.OPENING, Phase.OVERLAPPING)
        elif now >= self._deadline:
            text = f"the successor was not ready within {self._patience:g} s"
            self._give_up(classify(OpenTimeoutError(text)))

    def _watch_overlap(self, transfer: Transfer, now: float) -> None:
        """Make the switch where the two have met, or nothing will prove that they have."""
        old, new, takeover = transfer.old, transfer.new, transfer.junction.takeover
        wanted, is_lacking = new.wanted, new.lacks(old)
        if takeover.is_hopeless(now):
            self._rule_out(transfer)
        elif takeover.may_end(now, wanted=wanted, is_lacking=is_lacking):
            # What the old one has not read yet may be what is missing.
            is_behind = self._delivery.is_behind and not takeover.have_met(wanted)
            self._is_doubtful = is_lacking or is_behind
            self._begin_switch(old)

    def _rule_out(self, transfer: Transfer) -> None:
        """Give up the successor, and try no other one beside this connection."""
        with self._lock:
            self._demand.rule_out(transfer.old.generation)
        coverage = transfer.junction.takeover.coverage
        text = f"of the old one's messages it brought too few ({coverage}); {ADVICE}"
        self._give_up(Failure(FailureKind.TIMEOUT, text, is_error=False))

    def _begin_switch(self, old: Link) -> None:
        if self._move(Phase.OVERLAPPING, Phase.SWITCHING):
            old.run_between_batches(lambda: self._part_from(old))

    def _part_from(self, old: Link) -> None:
        """Make the switch behind the last batch of the old connection, on its thread."""
        with self._lock:
            if old.divert is not None:
                return
            old.divert = _take_all
            transfer, is_doubtful = self._transfer, self._is_doubtful
        if transfer is not None and is_doubtful:
            self._host.tell_hole(transfer.reason)
        self._delivery.emit_call(self._switch)

    def _watch_end(self, transfer: Transfer, now: float) -> None:
        """Close the old connection, and let the new one be like any other."""
        old, new = transfer.old, transfer.new
        if self._links.running is old and not self._host.promote(old, new, transfer.reason):
            return  # whoever stops all closes both
        if self._switched_at is None:
            self._switched_at = now
        age = now - self._switched_at
        if not self._is_retired and (
            age >= LAST_ANSWERS or not self._delivery.answers.expects_over(old.generation)
        ):
            self._is_retired = True
            if not self._links.was_lost(old):
                self._host.retire(old, transfer.reason)
        is_over = (
            transfer.junction.takeover.is_caught_up
            or age >= CATCH_UP
            or (age >= CATCH_UP_AT_LEAST and self._reason(new, now) is not None)
        )
        if is_over and old not in self._links.present:
            new.run_between_batches(lambda: self._let_go_alone(new))

    def _let_go_alone(self, new: Link) -> None:
        """Let the successor be a connection like any other behind its latest batch."""
        new.divert = None
        self._leave(Phase.SWITCHED)

    def _leave(self, phase: Phase) -> None:
        """End the succession behind all that is in the lane."""
        if self._move(phase, Phase.LEAVING):
            self._delivery.emit_call(self._be_over)

    # The threads of the two connections.

    def inherits(self, link: Link, failure: Failure) -> bool:
        """Tell whether a successor takes the place of a connection that has ended.

        :param link: the running one until now, or one that has a successor; on its own thread.
        :param failure: why it ended.
        """
        if self._links.running is not link:
            return True
        now = monotonic()
        with self._lock:
            transfer, is_decided = self._transfer, self.phase in DECIDED
            if transfer is None or transfer.old is not link:
                return False
            new = transfer.new
            # Where the two had met, nothing is missing between them.
            is_whole = transfer.junction.takeover.may_end(
                now, wanted=new.wanted, is_lacking=new.lacks(link)
            )
            is_lost = self.phase in UNDECIDED and new.is_ready and not failure.planned
            if is_lost:
                self.phase = Phase.SWITCHING
            given_up = self._fail(Failure(FailureKind.STOPPED, BEREFT, is_error=False))
        if not is_lost and not is_decided:
            if given_up is not None:
                self._end(given_up, BEREFT)
            return False
        if is_lost and not is_whole:
            self._host.tell_hole(failure)
        self._part_from(link)
        return self._host.promote(link, new, transfer.reason if is_decided else failure)

    def ended(self, successor: Link, failure: Failure) -> bool:
        """Tell whether a successor that has ended had become the running connection by then.

        :param successor: on its own thread.
        :param failure: why it ended.
        """
        transfer = self._transfer
        if transfer is None or transfer.new is not successor:
            return True  # it was, until it got a successor itself
        with self._lock:
            is_decided = self.phase in DECIDED or self.phase is Phase.LEAVING
            if not is_decided:
                self.phase = Phase.FAILED
                transfer.junction.give_up()
                failure = self._given_up or failure
                if not failure.planned:
                    self._demand.failed(transfer.old.generation, monotonic())
        if is_decided and self._host.promote(transfer.old, successor, transfer.reason):
            return True
        self._host.forget(successor, failure)
        self._leave(Phase.FAILED)
        return False

    # In the lane.

    def _absorb(self, junction: Junction) -> None:
        """Look into what the successor has brought, where the old one is silent."""
        self._is_absorbing = False
        junction.absorb()

    def _switch(self) -> None:
        """Deliver what the successor has brought, and from now on what it brings."""
        transfer = self._transfer
        if transfer is None or self.phase is not Phase.SWITCHING:
            return  # all is being stopped
        batches = transfer.junction.switch()
        self._move(Phase.SWITCHING, Phase.SWITCHED)
        for batch in batches:
            self._delivery.serve_now(batch)
        began = transfer.junction.overrun_at
        if began is not None:  # when there was no way back any more
            self._delivery.tell_gap_now(
                Gap(
                    self._name,
                    topics=(),
                    reason="overflow",
                    started_at=began,
                    ended_at=wall_clock(),
                )
            )

    def _be_over(self) -> None:
        self._delivery.end_succession()
        with self._lock:
            self._transfer = None
            self.phase = Phase.IDLE


def _take_all(_batch: Batch) -> bool:
    """Nothing of a connection is delivered any more: its successor brings the same."""
    return True
