"""What the fake exchange counts of its clients, and when that is too much."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.testing.enforcement import Enforcer, Meter, Window
from wsresilient.testing.formats.base import Login, Session, Subscribe, Unsubscribe
from wsresilient.testing.limits import Limit, Rate, Sign, VenueLimits


def enforcer(**limits: Any) -> Enforcer:
    return Enforcer(VenueLimits().changed(limits))


def meter(now: float = 0.0) -> Meter:
    made = Meter()
    made.begin(now)
    return made


@given(
    st.lists(st.floats(min_value=0.0, max_value=0.6), max_size=60),
    st.integers(1, 5),
    st.sampled_from([0.5, 1.0]),
)
def test_no_window_ever_holds_more_than_the_rate(
    pauses: list[float], count: int, seconds: float
) -> None:
    window, rate = Window(), Rate(count, seconds)
    admitted: list[float] = []
    now = 0.0
    for pause in pauses:
        now += pause
        if window.admits(rate, now):
            admitted.append(now)
        else:
            assert sum(now - seconds < at for at in admitted) == count

    assert len(window) <= count
    for at in admitted:
        assert sum(at - seconds < other <= at for other in admitted) <= count


def test_a_refused_one_does_not_count() -> None:
    window, rate = Window(), Rate(1, 1.0)

    assert [window.admits(rate, at) for at in (0.0, 0.5, 0.9, 1.0)] == [True, False, False, True]


def test_messages_are_counted_by_connection() -> None:
    judge, one, other = enforcer(message_rate=2), meter(), meter()

    verdicts = [judge.message(one, 5, 0.1), judge.message(one, 5, 0.2), judge.message(one, 5, 0.3)]

    assert verdicts == [None, None, Limit.MESSAGES]
    assert judge.message(other, 5, 0.3) is None
    assert judge.message(one, 5, 1.2) is None


def test_a_message_may_be_too_large() -> None:
    judge = enforcer(max_request_size=10)

    assert judge.message(meter(), 10, 0.0) is None
    assert judge.message(meter(), 11, 0.0) is Limit.REQUEST_SIZE
    assert enforcer().message(meter(), 10**9, 0.0) is None


@pytest.mark.parametrize(
    "request_",
    [Subscribe(("a",)), Unsubscribe(("a",)), Login("key")],
    ids=lambda request: type(request).__name__,
)
def test_each_kind_of_request_takes_from_the_quota(
    request_: Subscribe | Unsubscribe | Login,
) -> None:
    judge, one = enforcer(request_quota=2), meter()

    verdicts = [judge.request(request_, one, at) for at in (0.0, 1.0, 2.0, 3600.5)]

    assert verdicts == [None, None, Limit.REQUESTS, None]


def test_a_request_may_have_too_many_topics() -> None:
    judge = enforcer(max_request_topics=2)

    assert judge.request(Subscribe(("a", "b")), meter(), 0.0) is None
    assert judge.request(Unsubscribe(("a", "b", "c")), meter(), 0.0) is Limit.REQUEST_TOPICS


def test_topics_of_a_connection_are_counted_once() -> None:
    session = Session("raw", subscribed={"a": None, "b": None})

    assert enforcer(max_topics=3).topics(session, ["b", "c"]) is None
    assert enforcer(max_topics=3).topics(session, ["c", "d"]) is Limit.TOPICS
    assert enforcer(max_topics_size=5).topics(session, ["ccc"]) is None
    assert enforcer(max_topics_size=5).topics(session, ["cccc"]) is Limit.TOPICS_SIZE
    assert enforcer().topics(session, map(str, range(10_000))) is None


def test_connects_are_counted_by_address() -> None:
    judge = enforcer(connect_rate=(2, 1.0), max_connections=3)

    verdicts = [judge.connect("a", 0, 0.0) for _ in range(3)]

    assert verdicts == [None, None, Limit.CONNECTS]
    assert judge.connect("b", 2, 0.0) is None
    assert judge.connect("b", 3, 0.0) is Limit.CONNECTIONS
    assert judge.connect("a", 0, 1.5) is None


@pytest.mark.parametrize(
    ("signs", "lives"),
    [
        ({Sign.RECEIVED, Sign.SENT}, {"received_at": True, "sent_at": True, "heartbeat_at": False}),
        ({Sign.HEARTBEAT}, {"received_at": False, "sent_at": False, "heartbeat_at": True}),
        ({Sign.RECEIVED}, {"received_at": True, "sent_at": False, "heartbeat_at": False}),
    ],
)
def test_signs_of_life(signs: set[Sign], lives: dict[str, bool]) -> None:
    judge = enforcer(idle_limit=30.0, signs_of_life=frozenset(signs))
    assert judge.overdue(meter(), 30.0) is None
    assert judge.overdue(meter(), 30.1) is Limit.IDLE

    for name, keeps in lives.items():
        one = meter()
        setattr(one, name, 10.0)
        assert (judge.overdue(one, 35.0) is None) is keeps, name


def test_age() -> None:
    judge = enforcer(max_age=100.0)

    assert judge.overdue(meter(50.0), 150.0) is None
    assert judge.overdue(meter(50.0), 150.1) is Limit.AGE


def test_pings_and_pongs() -> None:
    judge, one = enforcer(ping_interval=20.0, pong_timeout=60.0), meter()

    assert not judge.ping_is_due(one, 19.9)
    assert judge.overdue(one, 1000.0) is None  # no ping was sent that could be answered
    assert judge.ping_is_due(one, 20.0)
    assert not judge.ping_is_due(one, 39.0)
    assert judge.overdue(one, 60.1) is Limit.PONG
    one.pong_at = 21.0
    assert judge.overdue(one, 60.1) is None
    assert not enforcer().ping_is_due(one, 1e9)


@pytest.mark.parametrize(
    ("limits", "interval"),
    [
        ({}, None),
        ({"max_topics": 1, "message_rate": 1}, None),
        ({"max_age": 86_400.0}, 1.0),
        ({"idle_limit": 0.5, "max_age": 86_400.0}, 0.05),
        ({"idle_limit": 0.01}, 0.01),
    ],
)
def test_how_often_connections_are_looked_at(
    limits: dict[str, float], interval: float | None
) -> None:
    assert enforcer(**limits).sweep_interval == interval
