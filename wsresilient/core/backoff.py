"""When to try again: tenacity's wait and stop strategies, asked directly.

The policy is a value that many connections may share; each connection counts its own
attempts and asks :meth:`ReconnectPolicy.decide`. It does not sleep and reads no clock.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import tenacity
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from ..config import check_choice, check_integer, check_seconds
from ..errors import ConfigurationError, ConnectionLostError
from .endpoints import EndpointRecord

__all__ = ["Decision", "ReconnectPolicy", "wait_jittered"]

#: A server may ask for more, but a stream that waits longer is as good as lost.
LONGEST_RETRY_AFTER = 3600.0

#: By how much the history of an endpoint may shorten or lengthen a delay.
MOST_ADAPTED = 4.0
#: Fewer attempts than this are no history.
LEAST_HISTORY = 3


class wait_jittered(wait_base):  # noqa: N801 - named like tenacity's own strategies
    """A wait strategy times a random factor in ``[1 - jitter, 1 + jitter]``.

    Unlike ``wait_exponential_jitter`` it keeps its jitter once the delay is capped, so that
    a herd of clients stays spread out.

    :param wait: the strategy underneath.
    :param jitter: 0 to 1.
    :param rng: gives the random numbers; None takes one of its own.
    """

    def __init__(self, wait: Any, jitter: float, *, rng: random.Random | None = None) -> None:
        self.wait = wait
        self.jitter = jitter
        self.rng = rng or random.Random()

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        """Return seconds."""
        factor = self.rng.uniform(1.0 - self.jitter, 1.0 + self.jitter)
        return float(self.wait(retry_state)) * factor


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do after a failed attempt.

    :ivar delay: seconds to wait before the next attempt, or None: give up.
    :ivar fresh_start: the count of attempts starts again at 0 (after a cooldown).
    """

    delay: float | None
    fresh_start: bool = False


@dataclass(kw_only=True, eq=False)
class ReconnectPolicy:
    """How long to wait between attempts, and when to give up.

    Delay n is ``min(initial_delay * backoff_factor**(n-1), max_delay)`` times a random
    factor in ``[1 - jitter, 1 + jitter]``.

    With ``adaptive``, delay n before the random factor is also multiplied by
    ``4 ** (2 * share - 1)`` and then kept between ``initial_delay`` and ``max_delay``. The share is
    that of failures among the latest 20 attempts at the endpoint, a connection shorter than
    ``min_uptime`` included: an endpoint that hardly ever fails is back four times sooner, one that
    always does is left alone four times longer, and the memory outlasts a connection that was up
    for a moment. Before the third attempt there is no history, and the delay is as without.

    :param initial_delay: seconds before the first retry.
    :param max_delay: seconds, the cap of the exponential growth, before jitter.
    :param backoff_factor: growth from one delay to the next, at least 1.
    :param jitter: 0 (none) to 1.
    :param max_attempts: retries before giving up; None or -1: for ever, 0: never retry.
    :param cooldown: seconds of pause after max_attempts, then a fresh start. None: give up.
    :param adaptive: whether delays follow the recent history of the endpoint; not with ``wait``.
    :param wait: any tenacity wait strategy (or function of a RetryCallState) instead.
    :param stop: any tenacity stop strategy instead of max_attempts.
    :raises ConfigurationError: a value is not allowed.
    """

    initial_delay: float = 1.0
    max_delay: float = 60.0
    backoff_factor: float = 2.0
    jitter: float = 0.5
    max_attempts: int | None = None
    cooldown: float | None = None
    adaptive: bool = False
    wait: wait_base | Callable[[Any], float] | None = None
    stop: stop_base | Callable[[Any], bool] | None = None
    _steps: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        check_seconds("initial_delay", self.initial_delay)
        check_seconds("max_delay", self.max_delay)
        check_seconds("backoff_factor", self.backoff_factor, minimum=1.0)
        check_seconds("jitter", self.jitter)
        check_seconds("cooldown", self.cooldown, optional=True)
        check_integer("max_attempts", self.max_attempts, minimum=-1, optional=True)
        check_choice("adaptive", self.adaptive, (True, False))
        if self.adaptive and self.wait is not None:
            raise ConfigurationError(
                "adaptive is True and wait is given; allowed: adaptive with the delays of the "
                "policy itself, so leave one of them out"
            )
        if self.jitter > 1.0:
            raise ConfigurationError(f"jitter is {self.jitter!r}; allowed: a number from 0 to 1")
        if self.max_delay < self.initial_delay:
            raise ConfigurationError(
                f"max_delay is {self.max_delay:g} and initial_delay {self.initial_delay:g}; "
                "allowed: max_delay >= initial_delay"
            )
        for name, strategy in (("wait", self.wait), ("stop", self.stop)):
            if strategy is not None and not callable(strategy):
                raise ConfigurationError(
                    f"{name} is {strategy!r}; allowed: a tenacity strategy, or None"
                )
        self._wait_strategy = self._default_wait() if self.wait is None else self.wait
        self._stop_strategy = self._default_stop() if self.stop is None else self.stop

    def _default_wait(self) -> wait_base:
        growing = self._growing()
        return wait_jittered(growing, self.jitter) if self.jitter else growing

    def _growing(self) -> wait_base:
        if not self.initial_delay:
            return tenacity.wait_none()  # 0 stays 0; tenacity would take 0 * infinity for the cap
        return tenacity.wait_exponential(
            multiplier=self.initial_delay, exp_base=self.backoff_factor, max=self.max_delay
        )

    def _default_stop(self) -> stop_base:
        if self.max_attempts is None or self.max_attempts < 0:
            return tenacity.stop_never
        # tenacity counts attempts, max_attempts counts retries: the n-th follows n failures.
        return tenacity.stop_after_attempt(self.max_attempts + 1)

    @property
    def limit(self) -> int | None:
        """Retries before giving up, or None without a limit that can be told as a number."""
        if self.stop is not None or self.max_attempts is None or self.max_attempts < 0:
            return None
        return self.max_attempts

    def decide(
        self,
        failures: int,
        *,
        elapsed: float = 0.0,
        retry_after: float | None = None,
        error: BaseException | None = None,
        record: EndpointRecord | None = None,
    ) -> Decision:
        """Decide what follows the latest of several failures in a row.

        :param failures: how many, the latest one included: 1 or more.
        :param elapsed: seconds since the first of them.
        :param retry_after: seconds that the server asked for, a lower bound of the delay.
        :param error: the latest failure, for strategies that look at it.
        :param record: of the endpoint, the latest failure included; for ``adaptive``.
        """
        state = _retry_state(failures, elapsed, error)
        at_least = min(retry_after or 0.0, LONGEST_RETRY_AFTER)
        delay = self._delay(state, record)
        if not math.isfinite(delay):
            delay = self.max_delay  # a strategy of the user's that has run over
        delay = max(delay, at_least, 0.0)
        # tenacity gives stop strategies the coming delay (stop_before_delay looks at it).
        state.upcoming_sleep = delay
        if not self._stop_strategy(state):
            return Decision(delay)
        if self.cooldown is None or self.limit == 0:
            return Decision(None)
        return Decision(max(self.cooldown, at_least), fresh_start=True)

    def _delay(self, state: tenacity.RetryCallState, record: EndpointRecord | None) -> float:
        if not self.adaptive or record is None or len(record.recent) < LEAST_HISTORY:
            return float(self._wait_strategy(state))
        scale = MOST_ADAPTED ** (2.0 * record.failure_share - 1.0)
        adapted = scale * float(self._growing()(state))
        bounded = tenacity.wait_fixed(min(max(adapted, self.initial_delay), self.max_delay))
        return wait_jittered(bounded, self.jitter)(state)

    def next_delay(self) -> float | None:
        """Step the policy by hand.

        :returns: seconds to wait before the next attempt, or None: give up.
        """
        self._steps += 1
        decision = self.decide(self._steps)
        if decision.fresh_start:
            self._steps = 0
        return decision.delay

    def reset(self) -> None:
        """Begin again with the first delay."""
        self._steps = 0


def _retry_state(
    failures: int, elapsed: float, error: BaseException | None
) -> tenacity.RetryCallState:
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    state.attempt_number = failures
    if error is None:  # stepped by hand; strategies that look at the error need one
        error = ConnectionLostError("the connection ended")
    state.set_exception((type(error), error, error.__traceback__))
    state.start_time = 0.0
    state.outcome_timestamp = elapsed
    return state
