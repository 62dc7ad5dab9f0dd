"""What is counted, noted and told as the connections of a life come and go.

The loop in ``supervisor.py`` decides; here its decisions reach the counters, the history, the
state, and in the lane the user: on_error before on_close, on_close once for each on_open.
"""

from __future__ import annotations

from ..core.events import Gap
from ..core.failure import Failure, FailureKind
from ..core.state import ConnectionState
from ..errors import ConnectionFailedError, describe
from .clock import wall_clock
from .delivery import Delivery
from .handlers import HandlerSet
from .link import Link
from .logs import Log
from .status import Status

__all__ = ["Books"]

log = Log("wsresilient.connection")


class Books:
    """The books of one life.

    :param status: state, counters and history are written here.
    :param delivery: brings what is told to the user.
    :param handlers: hide the secrets of the links that there are.
    """

    def __init__(self, status: Status, delivery: Delivery, handlers: HandlerSet) -> None:
        self._status = status
        self._delivery = delivery
        self._handlers = handlers
        self._opened_before = False
        self._retries = 0  # since the latest connection
        self._lost_at = wall_clock()
        self._gap_reason = "reconnect"
        self._lost_topics: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Books of {self._status.name}>"

    def advance(self, new: ConnectionState, message: str) -> None:
        """Take one step of the state, and tell it."""
        self._delivery.emit("state", self._status.advance(new, message))

    def note_complaint(self, error: Exception) -> None:
        """Count an error after which a connection goes on, and give it to on_error."""
        self._status.note_error(describe(error))
        self._delivery.emit_bounded("error", error)

    def note_retry(self) -> None:
        """Count an attempt that is to come."""
        self._retries += 1

    # The running link.

    def opening(self, link: Link) -> None:
        """It is about to connect; without a plan, the planning has failed."""
        status, plan = self._status, link.plan
        if plan is None:
            self.advance(ConnectionState.CONNECTING, "preparing an attempt")
            return
        status.url = status.endpoint = link.shown
        self._handlers.redact = plan.redact
        self.advance(ConnectionState.CONNECTING, f"connecting to {link.shown}")
        log.info("%s: connecting to %s", status.name, link.shown)

    def opened(self, link: Link) -> None:
        """It is a connection now."""
        status, counters = self._status, self._status.counters
        status.connected_at, status.connected_wall = link.connected_at, link.connected_wall
        again, self._opened_before = self._opened_before, True
        counters.connects += 1
        if again:
            counters.reconnects += 1
        if again and self._gap_reason == "rotation":
            counters.rotations += 1
        status.note_opened()
        retries, self._retries = self._retries, 0
        after = f" after {retries} {'retry' if retries == 1 else 'retries'}" if retries else ""
        address = link.attempt.address if link.attempt is not None else "?"
        self.advance(ConnectionState.CONNECTED, f"connected to {status.url}{after}")
        log.info("%s: connected%s to %s (%s)", status.name, after, status.url, address)
        if again:
            self.tell_hole()

    def tell_hole(self) -> None:
        """Tell that messages may be missing here."""
        age, now = self._status.last_message_age, wall_clock()
        gap = Gap(
            connection=self._status.name,
            topics=self._lost_topics,
            reason=self._gap_reason,
            started_at=self._lost_at if age is None else min(self._lost_at, now - age),
            ended_at=now,
        )
        self._delivery.emit_gap(gap)

    def note_lost(self, link: Link | None, failure: Failure) -> None:
        """Remember since when there is a hole, why, and in which topics of this link."""
        self._lost_at = wall_clock()
        wanted = None if link is None else link.wanted
        self._lost_topics = tuple(sorted(wanted or ()))
        self._gap_reason = "rotation" if failure.kind is FailureKind.ROTATION else "reconnect"

    def ended(self, link: Link, failure: Failure, *, is_stopping: bool) -> None:
        """It has ended, and there is no successor: on_error, then on_close."""
        status = self._status
        status.settle(link)
        if not link.was_ready and not failure.planned:
            with status.changed:
                status.counters.failures += 1
        if link.was_ready:
            self.note_lost(link, failure)
        status.note_end(failure, link.close_code, was_open=link.was_ready)
        status.connected_at = status.connected_wall = None
        link.let_go()
        if failure.is_error and not is_stopping:
            self._tell_failure(failure)
        link.emit_close(failure)

    def _tell_failure(self, failure: Failure) -> None:
        self._status.note_error(failure.text)
        self._delivery.emit("error", failure.error or ConnectionFailedError(failure.text))

    # A link and its successor.

    def succeeding(self, link: Link, running: Link | None) -> None:
        """A successor of the running link is about to connect."""
        if link.plan is not None:
            # Of the two links, and not of those before them: it would grow for ever.
            plan = None if running is None else running.plan
            first = self._handlers.redact if plan is None else plan.redact
            self._handlers.redact = first.joined(link.plan.redact)
            log.info("%s: connecting to %s, too", self._status.name, link.shown)

    def opened_beside(self, link: Link) -> None:
        """A successor is a connection now."""
        log.info("%s: connected to %s, too", self._status.name, link.shown)

    def promoted(self, link: Link, old: Link, reason: Failure) -> None:
        """A successor has become the running link; ``status.changed`` is held.

        The history is written here, and not when the old one has ended: from now on the thread of
        the new one writes it, which may end before that.

        :param old: the one before it.
        :param reason: planned, or why that was lost.
        """
        status, counters = self._status, self._status.counters
        status.generation = link.generation
        status.connected_at, status.connected_wall = link.connected_at, link.connected_wall
        status.url = status.endpoint = link.shown
        status.count(link)
        counters.connects += 1
        if reason.planned:
            counters.rotations += 1
            status.note_rotation(reason.text)
        else:
            counters.reconnects += 1
            status.note_end(reason, old.close_code, was_open=True)
            status.note_opened()

    def retiring(self, reason: Failure) -> None:
        """A link is closed that has a successor."""
        name = self._status.name
        self._delivery.note(lambda: log.info("%s: succeeded: %s", name, reason.text))

    def succeeded(self, link: Link, failure: Failure, *, was_lost: bool) -> None:
        """A link that has a successor has ended.

        :param was_lost: it had none before it ended.
        """
        self._status.settle(link)
        link.let_go()
        if was_lost and failure.is_error:
            self._tell_failure(failure)
        link.emit_close(failure)

    def forgotten(self, link: Link, failure: Failure, *, is_stopping: bool) -> None:
        """A successor has ended that never became the running link."""
        link.let_go()
        if not failure.planned and not is_stopping:
            with self._status.changed:
                self._status.counters.failures += 1
            log.warning(
                "%s: the new connection is given up, the old one stays: %s",
                self._status.name,
                failure.text,
            )
            if failure.is_error:
                self._tell_failure(failure)
        link.emit_close(failure)
