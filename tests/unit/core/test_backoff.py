"""When to try again: the formula with its bounds, the ways to give up, tenacity's strategies."""

from __future__ import annotations

import itertools
import random
import threading
from typing import Any

import pytest
import tenacity
from hypothesis import example, given
from hypothesis import strategies as st

from wsresilient import ConfigurationError, ReconnectPolicy
from wsresilient.core.backoff import LONGEST_RETRY_AFTER, Decision, wait_jittered
from wsresilient.core.endpoints import EndpointRecord
from wsresilient.errors import HandshakeError


def exact(**settings: Any) -> ReconnectPolicy:
    """Make a policy without chance."""
    return ReconnectPolicy(jitter=0.0, **settings)


def delays(policy: ReconnectPolicy, count: int) -> list[float | None]:
    return [policy.decide(n).delay for n in range(1, count + 1)]


def test_defaults_are_those_of_the_api() -> None:
    policy = ReconnectPolicy()

    assert (policy.initial_delay, policy.max_delay, policy.backoff_factor) == (1.0, 60.0, 2.0)
    assert (policy.jitter, policy.max_attempts, policy.cooldown) == (0.5, None, None)
    assert (policy.wait, policy.stop, policy.adaptive) == (None, None, False)


# The formula.

SECONDS = st.floats(0.0, 5e5) | st.integers(0, 500_000)
FACTORS = st.floats(1.0, 100.0) | st.integers(1, 100)


def formula(initial: float, longest: float, factor: float, n: int) -> float:
    """Delay n as API.md has it, for powers beyond the range of a float too."""
    if initial == 0:
        return 0.0
    power = 1.0
    for _ in range(n - 1):
        power *= factor
        if initial * power >= longest:
            return longest
        if power == 1.0:
            break
    return min(initial * power, longest)


@given(SECONDS, SECONDS, FACTORS, st.integers(1, 5000))
@example(0, 60, 2, 5000)
@example(1, 60, 2, 5000)
@example(1.0, 60.0, 2.0, 1025)
@example(0.0, 60.0, 2.0, 1025)
def test_delay_n_is_the_formula_of_the_api(
    initial: float, more: float, factor: float, n: int
) -> None:
    longest = initial + more
    policy = exact(initial_delay=initial, max_delay=longest, backoff_factor=factor)

    delay = policy.decide(n).delay

    assert delay == pytest.approx(formula(initial, longest, factor, n))


@given(SECONDS, SECONDS, FACTORS, st.floats(0.0, 1.0), st.integers(1, 2000))
def test_the_random_factor_stays_within_its_bounds(
    initial: float, more: float, factor: float, jitter: float, n: int
) -> None:
    longest = initial + more
    policy = ReconnectPolicy(
        initial_delay=initial, max_delay=longest, backoff_factor=factor, jitter=jitter
    )
    exactly = formula(initial, longest, factor, n)

    for _ in range(5):
        delay = policy.decide(n).delay
        assert delay is not None
        assert delay >= 0.0
        rounding = 1e-9 * exactly + 1e-12
        assert exactly * (1 - jitter) - rounding <= delay <= exactly * (1 + jitter) + rounding


def test_the_random_factor_uses_its_whole_range_also_at_the_cap() -> None:
    wait = wait_jittered(tenacity.wait_fixed(60.0), 0.5, rng=random.Random(1))
    policy = ReconnectPolicy(wait=wait)

    found = [policy.decide(50).delay or 0.0 for _ in range(1000)]

    assert 30.0 <= min(found) < 31.0
    assert 89.0 < max(found) <= 90.0
    assert 58.0 < sum(found) / len(found) < 62.0


def test_two_clients_do_not_come_back_at_the_same_moment() -> None:
    first, second = ReconnectPolicy(), ReconnectPolicy()

    assert delays(first, 10) != delays(second, 10)


def test_no_jitter_is_no_chance() -> None:
    assert delays(exact(), 8) == delays(exact(), 8) == [1, 2, 4, 8, 16, 32, 60, 60]


# Giving up.


@pytest.mark.parametrize("endless", [None, -1])
def test_without_a_limit_it_is_tried_for_ever(endless: int | None) -> None:
    policy = exact(max_attempts=endless)

    assert policy.limit is None
    assert all(policy.decide(n).delay == 60.0 for n in (100, 10_000, 1_000_000))


def test_max_attempts_0_never_retries() -> None:
    for policy in (exact(max_attempts=0), exact(max_attempts=0, cooldown=5.0)):
        assert policy.limit == 0
        assert policy.decide(1) == Decision(None)


@given(st.integers(1, 200))
def test_max_attempts_is_the_number_of_retries(limit: int) -> None:
    policy = exact(max_attempts=limit)

    found = delays(policy, limit + 2)

    assert policy.limit == limit
    assert None not in found[:limit]
    assert found[limit:] == [None, None]


@given(st.integers(1, 20), st.floats(0.0, 1e4))
def test_a_cooldown_is_a_pause_and_then_a_fresh_start(limit: int, cooldown: float) -> None:
    policy = exact(max_attempts=limit, cooldown=cooldown)

    assert policy.decide(limit) == Decision(policy.decide(limit).delay, fresh_start=False)
    assert policy.decide(limit + 1) == Decision(cooldown, fresh_start=True)


# What the server asks for.


@given(st.floats(0.0, 1e9), st.integers(1, 20))
def test_retry_after_is_a_lower_bound_within_reason(retry_after: float, n: int) -> None:
    policy = exact()

    delay = policy.decide(n, retry_after=retry_after).delay

    assert delay == max(policy.decide(n).delay or 0.0, min(retry_after, LONGEST_RETRY_AFTER))


def test_retry_after_is_kept_by_a_cooldown_too_within_reason() -> None:
    policy = exact(max_attempts=1, cooldown=10.0)

    for asked, expected in ((3.0, 10.0), (30.0, 30.0), (1e9, LONGEST_RETRY_AFTER)):
        assert policy.decide(2, retry_after=asked) == Decision(expected, fresh_start=True)


def test_retry_after_does_not_prolong_the_attempts() -> None:
    assert exact(max_attempts=1).decide(2, retry_after=5.0) == Decision(None)


def test_the_jitter_does_not_undercut_retry_after() -> None:
    policy = ReconnectPolicy(initial_delay=10.0, jitter=1.0)

    assert all((policy.decide(1, retry_after=10.0).delay or 0.0) >= 10.0 for _ in range(100))


# Any strategy of tenacity's, or of the user's.


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (tenacity.wait_none(), [0, 0, 0]),
        (tenacity.wait_fixed(3), [3, 3, 3]),
        (tenacity.wait_incrementing(start=1, increment=2, max=4), [1, 3, 4]),
        (tenacity.wait_exponential(multiplier=2, max=5), [2, 4, 5]),
        (tenacity.wait_fixed(1) + tenacity.wait_fixed(2), [3, 3, 3]),
        (
            tenacity.wait_chain(
                tenacity.wait_fixed(1), tenacity.wait_fixed(7), tenacity.wait_fixed(9)
            ),
            [1, 7, 9],
        ),
        (tenacity.wait_combine(tenacity.wait_fixed(1), tenacity.wait_fixed(1)), [2, 2, 2]),
        (lambda state: 10 * state.attempt_number, [10, 20, 30]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_wait_strategy_is_asked_instead(wait: Any, expected: list[float]) -> None:
    assert delays(ReconnectPolicy(wait=wait), 3) == expected


@pytest.mark.parametrize(
    "wait",
    [
        tenacity.wait_random(2, 4),
        tenacity.wait_random_exponential(multiplier=4, max=4),
        tenacity.wait_exponential_jitter(max=4),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_wait_strategy_may_be_left_to_chance(wait: Any) -> None:
    policy = ReconnectPolicy(wait=wait)

    found = [delay or 0.0 for delay in delays(policy, 50)]
    assert all(0.0 <= delay <= 4.0 for delay in found)
    assert len(set(found)) > 1


def test_a_wait_strategy_sees_the_error() -> None:
    error = HandshakeError("HTTP 429", status=429)
    asked: list[BaseException] = []
    exceptional = getattr(tenacity, "wait_exception", None)
    if exceptional is None:
        pytest.skip("this tenacity has no wait_exception")

    def look(seen: BaseException) -> float:
        asked.append(seen)
        return 5.0

    policy = ReconnectPolicy(wait=exceptional(look))

    assert policy.decide(1, error=error).delay == 5.0
    assert asked == [error]
    # stepped by hand there is no error, but a strategy that looks at it still gets one
    assert policy.next_delay() == 5.0
    assert isinstance(asked[1], Exception)


@pytest.mark.parametrize(
    ("answer", "expected"), [(-5.0, 0.0), (float("nan"), 60.0), (float("inf"), 60.0), (0, 0.0)]
)
def test_a_strategy_that_answers_nonsense_makes_no_hot_loop(answer: float, expected: float) -> None:
    assert ReconnectPolicy(wait=lambda _: answer).decide(1).delay == expected


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (tenacity.stop_never, [1, 2, 4, 8]),
        (tenacity.stop_after_attempt(3), [1, 2, None, None]),
        (tenacity.stop_after_attempt(3) | tenacity.stop_after_attempt(2), [1, None, None, None]),
        (tenacity.stop_after_attempt(3) & tenacity.stop_after_attempt(2), [1, 2, None, None]),
        (lambda state: state.attempt_number == 4, [1, 2, 4, None]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_stop_strategy_is_asked_instead(stop: Any, expected: list[float | None]) -> None:
    policy = exact(stop=stop, max_attempts=1)

    assert policy.limit is None
    assert delays(policy, 4) == expected


def test_a_stop_strategy_sees_the_time_that_has_passed() -> None:
    policy = exact(stop=tenacity.stop_after_delay(30))

    assert policy.decide(3, elapsed=29.9).delay == 4.0
    assert policy.decide(3, elapsed=30.0).delay is None


def test_a_stop_strategy_sees_the_coming_delay() -> None:
    before_delay = getattr(tenacity, "stop_before_delay", None)
    if before_delay is None:
        pytest.skip("this tenacity has no stop_before_delay")
    policy = exact(stop=before_delay(30))

    assert policy.decide(3, elapsed=25.0).delay == 4.0
    assert policy.decide(3, elapsed=27.0).delay is None
    assert policy.decide(3, elapsed=25.0, retry_after=6.0).delay is None


def test_a_stop_strategy_may_be_an_event() -> None:
    event = threading.Event()
    policy = exact(stop=tenacity.stop_when_event_set(event))

    assert policy.decide(1).delay == 1.0
    event.set()
    assert policy.decide(1).delay is None


def test_a_cooldown_follows_a_stop_strategy_too() -> None:
    policy = exact(stop=tenacity.stop_after_attempt(2), cooldown=9.0)

    assert policy.decide(2) == Decision(9.0, fresh_start=True)


# Following the history of an endpoint.


def record_of(*lives: bool) -> EndpointRecord:
    """Make the record of an endpoint whose attempts went so, the latest last."""
    record = EndpointRecord("ws://a")
    record.recent.extend(lives)
    return record


def adapted(n: int, *lives: bool, **settings: Any) -> float | None:
    return exact(adaptive=True, **settings).decide(n, record=record_of(*lives)).delay


def test_an_endpoint_that_fails_half_of_the_time_gets_the_delays_of_the_formula() -> None:
    assert [adapted(n, *[True, False] * 10) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_an_endpoint_that_hardly_ever_fails_is_back_sooner() -> None:
    good = [True] * 19 + [False]

    assert [adapted(n, *good) for n in (1, 2, 3, 4)] == pytest.approx(
        [1.0, 1.0, 1.149, 2.297], 1e-3
    )


def test_an_endpoint_that_always_fails_is_left_alone_longer() -> None:
    bad = [False] * 20

    assert [adapted(n, *bad) for n in (1, 2, 3, 4, 5)] == [4.0, 8.0, 16.0, 32.0, 60.0]


def test_the_memory_outlasts_a_connection_that_was_up_for_a_moment() -> None:
    """The count of failures has begun anew, the history has not."""
    assert adapted(1, *[False] * 18, True, False) == pytest.approx(3.482, 1e-3)


@pytest.mark.parametrize("record", [None, record_of(), record_of(False, False)])
def test_without_a_history_the_delay_is_that_of_the_formula(record: EndpointRecord | None) -> None:
    policy = exact(adaptive=True)

    assert [policy.decide(n, record=record).delay for n in (1, 2, 3)] == [1.0, 2.0, 4.0]


def test_only_an_adaptive_policy_looks_at_the_history() -> None:
    assert exact().decide(3, record=record_of(*[False] * 20)).delay == 4.0


@given(SECONDS, SECONDS, FACTORS, st.floats(0.0, 1.0), st.integers(1, 100), st.data())
def test_adapted_delays_stay_within_the_bounds_and_grow_with_failures(
    initial: float, more: float, factor: float, jitter: float, n: int, data: st.DataObject
) -> None:
    lives = data.draw(st.lists(st.booleans(), min_size=3, max_size=20))
    longest = initial + more
    settings: dict[str, Any] = {
        "initial_delay": initial,
        "max_delay": longest,
        "backoff_factor": factor,
    }
    delay = adapted(n, *lives, **settings)
    worse = adapted(n, *([False] * len(lives)), **settings)
    random = ReconnectPolicy(adaptive=True, jitter=jitter, **settings)
    jittered = random.decide(n, record=record_of(*lives)).delay

    assert delay is not None
    assert worse is not None
    assert jittered is not None
    assert initial <= delay <= worse <= longest
    rounding = 1e-9 * delay + 1e-12
    assert delay * (1 - jitter) - rounding <= jittered <= delay * (1 + jitter) + rounding


def test_an_adaptive_policy_keeps_what_the_server_asks_for_and_gives_up_as_any_other() -> None:
    good = record_of(*[True] * 20)
    policy = exact(adaptive=True, max_attempts=2)

    assert policy.decide(1, retry_after=30.0, record=good).delay == 30.0
    assert policy.decide(3, record=good) == Decision(None)


def test_an_adaptive_policy_steps_by_hand_as_any_other() -> None:
    policy = exact(adaptive=True)

    assert [policy.next_delay() for _ in range(3)] == [1, 2, 4]


def test_adaptive_delays_are_those_of_the_policy_itself() -> None:
    with pytest.raises(ConfigurationError, match="adaptive is True and wait is given; allowed: "):
        ReconnectPolicy(adaptive=True, wait=tenacity.wait_fixed(3))


# By hand.


def test_next_delay_steps_and_reset_begins_again() -> None:
    policy = exact(max_attempts=3)

    assert [policy.next_delay() for _ in range(5)] == [1, 2, 4, None, None]
    policy.reset()
    assert [policy.next_delay() for _ in range(2)] == [1, 2]


def test_next_delay_steps_through_a_cooldown() -> None:
    policy = exact(max_attempts=2, cooldown=100.0)

    assert [policy.next_delay() for _ in range(7)] == [1, 2, 100, 1, 2, 100, 1]


def test_decisions_of_connections_that_share_a_policy_do_not_meet() -> None:
    policy = exact()
    for _ in range(4):
        policy.next_delay()

    assert policy.decide(1).delay == 1.0
    assert policy.next_delay() == 16.0


# Wrong arguments.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(
            ["initial_delay", "max_delay", "backoff_factor", "jitter"],
            [-1, None, "1", float("nan"), float("inf"), True],
        ),
        ("backoff_factor", 0.99),
        ("jitter", 1.01),
        ("cooldown", -1),
        ("cooldown", "1"),
        ("max_attempts", -2),
        ("max_attempts", 1.0),
        ("max_attempts", True),
        ("adaptive", None),
        ("adaptive", "yes"),
        ("wait", 5),
        ("stop", "never"),
    ],
)
def test_a_wrong_argument_is_named_with_what_it_was(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ReconnectPolicy(**{name: value})

    assert str(caught.value).startswith(f"{name} is {value!r}; allowed: ")


def test_max_delay_below_initial_delay_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"max_delay is 1 and initial_delay 2.*allowed"):
        ReconnectPolicy(initial_delay=2, max_delay=1)


def test_arguments_are_given_by_name_only() -> None:
    with pytest.raises(TypeError):
        ReconnectPolicy(1.0)  # type: ignore[call-arg]
