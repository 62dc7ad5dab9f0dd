"""What follows a failure: another attempt, when, with which label, or giving up and why."""

from __future__ import annotations

import pytest

from wsresilient import Failure, FailureKind, ReconnectPolicy
from wsresilient.core.failure import PROTOCOL_BUDGET, classify
from wsresilient.core.policing import RetryHistory
from wsresilient.errors import (
    AuthenticationError,
    CertificateError,
    ConnectError,
    HandshakeError,
    NameResolutionError,
    ProtocolError,
)

REFUSED = classify(ConnectError("refused"))
UNAUTHORISED = classify(HandshakeError("HTTP 401", status=401))
BROKEN = classify(ProtocolError("reserved bits"))


def exact(**settings: float | None) -> ReconnectPolicy:
    """Make a policy without chance."""
    return ReconnectPolicy(jitter=0.0, **settings)  # type: ignore[arg-type]


def history(policy: ReconnectPolicy | None = None, *, changeable: bool = False) -> RetryHistory:
    return RetryHistory(policy or exact(), credentials_can_change=changeable)


def test_delays_grow_from_failure_to_failure() -> None:
    past = history()

    delays = [past.failed(REFUSED, now=0.0).delay for _ in range(8)]

    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
    assert past.count == 8


def test_a_healthy_stream_begins_anew() -> None:
    past = history()
    for _ in range(5):
        past.failed(REFUSED, now=0.0)

    past.healthy()

    assert past.count == 0
    step = past.failed(REFUSED, now=0.0)
    assert (step.delay, step.label) == (1.0, "[1]")


def test_the_label_counts_retries_and_names_the_limit_where_there_is_one() -> None:
    limited, endless = history(exact(max_attempts=10)), history(exact())

    assert [limited.failed(REFUSED, now=0.0).label for _ in range(3)] == [
        "[1/10]",
        "[2/10]",
        "[3/10]",
    ]
    assert [endless.failed(REFUSED, now=0.0).label for _ in range(2)] == ["[1]", "[2]"]


def test_after_max_attempts_it_is_given_up_and_says_so() -> None:
    past = history(exact(max_attempts=2))

    assert past.failed(REFUSED, now=0.0).delay == 1.0
    assert past.failed(REFUSED, now=0.0).delay == 2.0
    step = past.failed(REFUSED, now=0.0)
    assert step.delay is None
    assert "2 retries" in step.why_not


def test_max_attempts_0_never_retries_and_says_so() -> None:
    step = history(exact(max_attempts=0)).failed(REFUSED, now=0.0)

    assert step.delay is None
    assert step.why_not == "max_attempts is 0"


def test_a_cooldown_is_followed_by_a_fresh_start() -> None:
    past = history(exact(max_attempts=2, cooldown=300.0))

    steps = [past.failed(REFUSED, now=0.0) for _ in range(6)]

    assert [step.delay for step in steps] == [1, 2, 300, 1, 2, 300]
    assert [step.label for step in steps[3:5]] == ["[1/2]", "[2/2]"]


def test_what_cannot_get_better_is_given_up_at_once() -> None:
    for error in (
        HandshakeError("HTTP 404", status=404),
        CertificateError("self-signed"),
        AuthenticationError("no"),
    ):
        past = history(exact(cooldown=1.0, max_attempts=5))
        step = past.failed(classify(error), now=0.0)
        assert step.delay is None
        assert step.why_not


def test_refused_credentials_are_fatal_when_nothing_can_give_others() -> None:
    assert history(changeable=False).failed(UNAUTHORISED, now=0.0).delay is None


def test_refused_credentials_that_can_change_get_one_more_attempt() -> None:
    past = history(changeable=True)

    assert past.failed(UNAUTHORISED, now=0.0).delay == 1.0
    step = past.failed(UNAUTHORISED, now=0.0)
    assert step.delay is None
    assert "credentials" in step.why_not


def test_another_failure_in_between_gives_no_further_attempt_with_refused_credentials() -> None:
    past = history(changeable=True)

    assert past.failed(UNAUTHORISED, now=0.0).delay is not None
    assert past.failed(REFUSED, now=0.0).delay is not None
    assert past.failed(UNAUTHORISED, now=0.0).delay is None


def test_after_a_healthy_time_credentials_may_be_asked_for_once_more() -> None:
    past = history(changeable=True)
    past.failed(UNAUTHORISED, now=0.0)
    past.healthy()

    assert past.failed(UNAUTHORISED, now=0.0).delay is not None
    assert past.failed(UNAUTHORISED, now=0.0).delay is None


def test_after_a_connection_however_short_a_handshake_may_be_refused_once_more() -> None:
    past = history(changeable=True)
    past.failed(UNAUTHORISED, now=0.0)
    past.connected()
    past.failed(REFUSED, now=1.0)

    assert past.failed(UNAUTHORISED, now=2.0).delay is not None
    assert past.failed(UNAUTHORISED, now=3.0).delay is None


def test_a_login_that_is_refused_gets_one_more_attempt_however_often_it_connects() -> None:
    past = history(changeable=True)
    refused = UNAUTHORISED.replace(status=None)
    past.failed(refused, now=0.0)
    past.connected()

    assert past.failed(refused, now=1.0).delay is None


@pytest.mark.parametrize("changeable", [False, True])
def test_the_user_s_classify_has_the_last_word_on_refused_credentials(changeable: bool) -> None:
    past = history(changeable=changeable)
    judged = UNAUTHORISED.replace(retryable=True)

    assert all(past.failed(judged, now=0.0).delay is not None for _ in range(20))


def test_a_budget_of_failures_in_a_row_is_used_up() -> None:
    past = history()

    steps = [past.failed(BROKEN, now=0.0) for _ in range(PROTOCOL_BUDGET)]

    assert all(step.delay is not None for step in steps[:-1])
    assert steps[-1].delay is None
    assert f"{PROTOCOL_BUDGET} times in a row" in steps[-1].why_not


def test_a_failure_of_another_kind_ends_the_row() -> None:
    past = history()

    for _ in range(3):
        for _ in range(PROTOCOL_BUDGET - 1):
            assert past.failed(BROKEN, now=0.0).delay is not None
        assert past.failed(REFUSED, now=0.0).delay is not None


def test_a_healthy_time_ends_the_row() -> None:
    past = history()

    for _ in range(3):
        for _ in range(PROTOCOL_BUDGET - 1):
            assert past.failed(BROKEN, now=0.0).delay is not None
        past.healthy()


def test_a_name_that_is_not_found_doubles_the_delay_within_the_policy_s_bound() -> None:
    missing = classify(NameResolutionError("no address"))
    past = history(exact(max_delay=10.0))

    delays = [past.failed(missing, now=0.0).delay for _ in range(6)]

    assert delays == [2, 4, 8, 10, 10, 10]


def test_other_endpoints_are_tried_without_a_pause() -> None:
    past = history()

    assert past.failed(REFUSED, now=0.0, pause_due=False).delay == 0.0
    assert past.failed(REFUSED, now=0.0, pause_due=False).delay == 0.0
    assert past.failed(REFUSED, now=0.0, pause_due=True).delay == 4.0


def test_retry_after_is_kept_whatever_else_there_is_to_try() -> None:
    busy = classify(HandshakeError("HTTP 503", status=503, retry_after=25.0))
    past = history()

    assert past.failed(busy, now=0.0, pause_due=False).delay == 25.0
    assert past.failed(busy, now=0.0).delay == 25.0


def test_elapsed_time_is_counted_from_the_first_failure() -> None:
    seen: list[float | None] = []

    def stop(state: object) -> bool:
        seen.append(state.seconds_since_start)  # type: ignore[attr-defined]
        return False

    past = RetryHistory(ReconnectPolicy(stop=stop), credentials_can_change=False)
    for now in (1000.0, 1001.5, 1060.0):
        past.failed(REFUSED, now=now)
    past.healthy()
    past.failed(REFUSED, now=2000.0)

    assert seen == [0.0, 1.5, 60.0, 0.0]


def test_a_failure_without_an_exception_has_its_delay_too() -> None:
    assert history().failed(Failure(FailureKind.CLOSED, "closed"), now=0.0).delay == 1.0
