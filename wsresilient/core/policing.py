"""What follows a failure: another attempt after a while, or giving up. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .backoff import ReconnectPolicy
from .endpoints import EndpointRecord
from .failure import Failure, FailureKind, needs_credentials

__all__ = ["NextStep", "RetryHistory"]


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do now.

    :ivar delay: seconds until the next attempt, or None: give up.
    :ivar label: "[2/10]" or "[2]", for the log line.
    :ivar fresh_start: the delay is a cooldown, after which the count starts again.
    :ivar why_not: why it is given up, or "".
    """

    delay: float | None
    label: str = ""
    fresh_start: bool = False
    why_not: str = ""


class RetryHistory:
    """Counts failures since the stream was last healthy and decides what follows.

    :param policy: how long to wait, and when to give up.
    :param credentials_can_change: whether a callable could give others.
    """

    def __init__(self, policy: ReconnectPolicy, *, credentials_can_change: bool) -> None:
        self._policy = policy
        self._credentials_can_change = credentials_can_change
        self.count = 0
        self._since = 0.0
        self._latest_kind: FailureKind | None = None
        self._in_a_row = 0  # failures of that kind
        self._refused: Failure | None = None  # after which other credentials were asked for

    def healthy(self) -> None:
        """Begin anew: the stream has been up for min_uptime."""
        self.count = 0
        self._latest_kind = None
        self._refused = None

    def connected(self) -> None:
        """Note that a connection came up: what a handshake refused before was replaced."""
        if self._refused is not None and self._refused.status is not None:
            self._refused = None

    def failed(
        self,
        failure: Failure,
        *,
        now: float,
        pause_due: bool = True,
        record: EndpointRecord | None = None,
    ) -> NextStep:
        """Note a failure and say what follows.

        :param now: monotonic time.
        :param pause_due: False while other endpoints are still to be tried.
        :param record: of the endpoint that failed, for a policy that adapts to it.
        """
        if self.count == 0:
            self._since = now
        self.count += 1
        self._in_a_row = self._in_a_row + 1 if failure.kind is self._latest_kind else 1
        self._latest_kind = failure.kind
        refused = self._refusal(failure)
        if refused:
            return NextStep(None, why_not=refused)
        decision = self._policy.decide(
            self.count,
            elapsed=now - self._since,
            retry_after=failure.retry_after,
            error=failure.error,
            record=record,
        )
        if decision.delay is None:
            return NextStep(None, why_not=self._given_up_text())
        if decision.fresh_start:
            label = f"[{self.count - 1} in vain]"
            self.healthy()
            return NextStep(decision.delay, label, fresh_start=True)
        label = self._label()
        if not pause_due and failure.retry_after is None:
            return NextStep(0.0, label)
        delay = min(decision.delay * failure.slower, max(decision.delay, self._policy.max_delay))
        return NextStep(delay, label)

    def _refusal(self, failure: Failure) -> str:
        """Say why this failure is final, or ""."""
        if not failure.retryable:
            if not (needs_credentials(failure) and self._credentials_can_change):
                return "trying again cannot help"
            if self._refused is not None:
                return "other credentials were refused as well"
            self._refused = failure
        if failure.budget is not None and self._in_a_row >= failure.budget:
            return f"it happened {self._in_a_row} times in a row"
        return ""

    def _given_up_text(self) -> str:
        if self._policy.limit == 0:
            return "max_attempts is 0"
        retries = self.count - 1
        return f"{retries} {'retry' if retries == 1 else 'retries'} did not help"

    def _label(self) -> str:
        limit = self._policy.limit
        return f"[{self.count}]" if limit is None else f"[{self.count}/{limit}]"
