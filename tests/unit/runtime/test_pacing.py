from __future__ import annotations

import pytest

from wsresilient import RateLimiter
from wsresilient.core.limits import Limits, Rate
from wsresilient.runtime import pacing
from wsresilient.runtime.pacing import Pacer


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()

    class Timed(RateLimiter):
        """Takes the time from the test."""

        def __init__(self, rate: float, *, burst: float | None = None) -> None:
            super().__init__(rate, burst=burst, clock=made)

    monkeypatch.setattr(pacing, "RateLimiter", Timed)
    return made


def test_without_limits_everything_goes_at_once() -> None:
    pacer = Pacer(Limits())

    assert pacer.is_unlimited
    assert [pacer.try_request() for _ in range(1000)] == [0.0] * 1000
    assert pacer.acquire(timeout=0.0)
    assert repr(pacer) == "<Pacer without limits>"


def test_messages_are_spaced_as_the_exchange_wants_them(clock: Clock) -> None:
    pacer = Pacer(Limits(messages=Rate(4, 1.0)))
    assert not pacer.is_unlimited
    assert pacer.try_request() == 0.0
    assert pacer.try_request() == pytest.approx(0.25)
    clock.now += 0.25

    assert pacer.try_request() == 0.0


def test_requests_of_an_hour_are_never_more_than_the_hour_allows(clock: Clock) -> None:
    pacer = Pacer(Limits(requests=Rate(480, 3600.0)))
    sent: list[float] = []
    end = clock.now + 2 * 3600.0
    while clock.now < end:
        wait = pacer.try_request()
        if wait:
            clock.now += wait
        else:
            sent.append(clock.now)

    assert len([at for at in sent if at < 1000.0 + 1.0]) >= 200  # not one every 7.5 s
    for at in sent:
        assert len([one for one in sent if at <= one < at + 3600.0]) <= 480


def test_the_users_limit_counts_beside_the_exchanges(clock: Clock) -> None:
    shared = RateLimiter(1.0, burst=1.0, clock=clock)
    first, second = Pacer(Limits(), shared), Pacer(Limits(), shared)
    assert first.try_request() == 0.0

    assert second.try_request() == pytest.approx(1.0)


def test_a_heartbeat_goes_out_at_once_and_the_others_wait_for_it(clock: Clock) -> None:
    pacer = Pacer(Limits(messages=Rate(10, 1.0)))
    assert pacer.try_request() == 0.0
    pacer.take()

    assert pacer.try_request() == pytest.approx(0.2)


def test_each_connection_begins_anew(clock: Clock) -> None:
    pacer = Pacer(Limits(messages=Rate(1, 60.0)))
    assert pacer.try_request() == 0.0
    assert pacer.try_request() > 0.0
    pacer.begin_connection()

    assert pacer.try_request() == 0.0


def test_a_number_is_a_limit_of_its_own() -> None:
    pacer = Pacer(Limits(), 5)

    assert not pacer.is_unlimited
    assert "RateLimiter 5/s" in repr(pacer)


def test_nothing_is_taken_where_something_is_missing(clock: Clock) -> None:
    shared = RateLimiter(1.0, burst=2.0, clock=clock)
    pacer = Pacer(Limits(messages=Rate(1, 60.0), requests=Rate(10, 3600.0)), shared)
    assert pacer.try_request() == 0.0
    for _ in range(50):
        assert pacer.try_request() > 0.0

    assert shared.try_acquire() == 0.0  # of two tokens one was taken


def test_what_did_not_go_out_is_given_back(clock: Clock) -> None:
    pacer = Pacer(Limits(messages=Rate(1, 60.0)), 1)
    for _ in range(50):
        assert pacer.try_request() == 0.0
        pacer.give_back()

    assert "RateLimiter" in pacer.text
    assert Pacer(Limits()).text == "no limit"


def test_one_request_in_a_window_is_a_limit_like_any_other(clock: Clock) -> None:
    pacer = Pacer(Limits(requests=Rate(1, 60.0)))

    assert pacer.try_request() == 0.0
    assert pacer.try_request() == pytest.approx(60.0)
    clock.now += 60.0
    assert pacer.try_request() == 0.0


def test_one_for_another_connection_shares_what_the_user_shares(clock: Clock) -> None:
    first = Pacer(Limits(messages=Rate(1, 60.0)), 1)
    second = first.for_connection()
    assert first.try_request() == 0.0

    assert second.try_request() > 0.0  # the user's rate is used up, the exchange's is not
    clock.now += 1.0
    assert second.try_request() == 0.0
    assert first.try_request() > 1.0
