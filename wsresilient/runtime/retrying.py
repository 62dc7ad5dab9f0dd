"""What follows the end of a connection: another attempt, when, or giving up.

``core/policing.py`` decides; here it is asked, and its answer is told.
"""

from __future__ import annotations

import math

from ..config import ConnectionConfig
from ..core.endpoints import EndpointRecord
from ..core.failure import Failure
from ..core.policing import NextStep, RetryHistory
from ..core.state import ConnectionState
from ..errors import AuthenticationError, ConnectionFailedError
from .books import Books
from .clock import monotonic
from .link import Link
from .logs import Log
from .options import ConnectionOptions
from .status import Status

__all__ = ["Retrying"]

log = Log("wsresilient.connection")


class Retrying:
    """The retries of one life, on the thread in charge.

    :param options: the policy.
    :param config: min_uptime.
    :param status: the retry count is written here.
    :param books: tell what is decided.
    :ivar fatal: why it was given up, or None.
    """

    def __init__(
        self, options: ConnectionOptions, config: ConnectionConfig, status: Status, books: Books
    ) -> None:
        self._min_uptime = config.min_uptime
        self._status = status
        self._books = books
        self._history = RetryHistory(
            options.policy, credentials_can_change=options.credentials_can_change
        )
        self.fatal: ConnectionFailedError | None = None

    def __repr__(self) -> str:
        return f"<Retrying of {self._status.name}: {self._history.count}>"

    def after(
        self, failure: Failure, *, pause_due: bool, record: EndpointRecord | None
    ) -> float | None:
        """Decide what follows; returns seconds to wait, or None: it is over.

        :param pause_due: whether all endpoints have been tried.
        :param record: of the endpoint that was tried last.
        """
        if failure.planned:
            self._books.advance(ConnectionState.RECONNECTING, failure.text)
            log.info("%s: %s; reconnecting now", self._status.name, failure.text)
            return 0.0
        step = self._next_step(failure, pause_due=pause_due, record=record)
        self._books.note_retry()
        self._status.retry_count = self._history.count
        if step.delay is None:
            self.give_up(failure, step.why_not)
            return None
        what = f"pause of {step.delay:.1f} s" if step.fresh_start else f"in {step.delay:.1f} s"
        message = f"retry {step.label} {what}: {failure.text}"
        self._books.advance(ConnectionState.RECONNECTING, message)
        log.warning("%s: %s: %s", self._status.name, failure.kind, message)
        return step.delay

    def _next_step(
        self, failure: Failure, *, pause_due: bool, record: EndpointRecord | None
    ) -> NextStep:
        try:
            return self._history.failed(
                failure, now=monotonic(), pause_due=pause_due, record=record
            )
        except BaseException:  # a strategy of the user's may raise anything
            pause = 60.0
            log.exception("%s: wait= or stop= raised; pausing %g s", self._status.name, pause)
            return NextStep(pause, f"[{self._history.count}]")

    def give_up(self, failure: Failure, why: str) -> None:
        """Try no more."""
        text = f"given up, since {why}: {failure.text}"
        error: ConnectionFailedError
        if isinstance(failure.error, AuthenticationError):
            error = AuthenticationError(text, status=failure.error.status)
        else:
            error = ConnectionFailedError(text)
        error.__cause__ = failure.error
        self.fatal = error
        self._books.advance(ConnectionState.FAILED, text)
        if failure.is_error:
            log.error("%s: failed: %s", self._status.name, text)
        else:
            log.info("%s: ended: %s", self._status.name, text)

    def note_uptime(self, link: Link, now: float) -> float:
        """Begin to count anew once a connection has been up long enough.

        :returns: seconds until this has to be looked at again.
        """
        if link.connected_at is None or not self._history.count:
            return math.inf
        self._history.connected()
        uptime = now - link.connected_at
        if uptime < self._min_uptime:
            return max(0.05, self._min_uptime - uptime)
        self._history.healthy()
        self._status.retry_count = 0
        return math.inf
