"""Which of several URLs is next, when a pause is due, and what a circuit breaker lets through."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient import ConfigurationError
from wsresilient.core.endpoints import RECENT, EndpointList, EndpointPolicy, parse_urls

A, B, C = URLS = parse_urls(["ws://a", "ws://b", "ws://c"])

MIN_UPTIME = 5.0
PATIENT = EndpointPolicy(failures=1000)  # a circuit that never opens


class Stream:
    """One stream over some URLs, with a clock of its own; writes down where it went."""

    def __init__(self, urls: Any = (A, B), policy: EndpointPolicy | None = None) -> None:
        self.urls = list(urls)
        self.endpoints = EndpointList(policy, min_uptime=MIN_UPTIME)
        self.now = 1000.0
        self.log = ""

    def attempt(self, *, up_for: float | None = None, planned: bool = False) -> bool:
        """Make an attempt; None: it does not succeed. Returns whether a pause is due."""
        self.log += self.endpoints.choose(self.urls, self.now).host
        if up_for is not None:
            self.endpoints.opened(self.now)
            self.now += up_for
        pause_due = self.endpoints.ended(self.now, planned=planned)
        self.log += " " if pause_due else ""
        return pause_due

    def fail(self, times: int = 1) -> str:
        for _ in range(times):
            self.attempt()
        return self.log

    def states(self) -> list[str]:
        return [each["state"] for each in self.endpoints.states(self.now)]


def test_one_url_or_several_are_parsed() -> None:
    assert [url.host for url in parse_urls("ws://a")] == ["a"]
    assert [url.host for url in parse_urls(["ws://a", "wss://b"])] == ["a", "b"]
    assert [url.host for url in parse_urls(("ws://a",))] == ["a"]


@pytest.mark.parametrize(
    ("urls", "why"),
    [
        ([], "empty sequence"),
        ((), "empty sequence"),
        ("", "scheme"),
        (None, "url is None"),
        (b"ws://a", "bytes"),
        ({"ws://a"}, "set"),
        (["ws://a", "http://b"], "http://b"),
        (["ws://a", None], "url is None"),
        ([["ws://a"]], "list"),
    ],
)
def test_what_is_no_url_nor_several_is_refused(urls: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match="url is") as caught:
        parse_urls(urls)
    assert why in str(caught.value)


# Failover.


def test_one_url_is_chosen_always_and_every_failure_is_followed_by_a_pause() -> None:
    assert Stream([A]).fail(5) == "a a a a a "


def test_after_a_failed_attempt_the_next_url_is_tried_and_a_pause_is_due_after_the_last() -> None:
    assert Stream(URLS).fail(6) == "abc abc "


def test_after_the_loss_of_a_good_connection_the_first_url_comes_after_a_pause() -> None:
    stream = Stream(URLS)
    stream.fail()
    assert stream.attempt(up_for=60.0)  # b
    stream.fail(2)

    assert stream.log == "ab ab"


def test_after_a_planned_end_the_first_url_comes_without_a_pause() -> None:
    stream = Stream()
    stream.fail()
    stream.attempt(up_for=60.0, planned=True)  # b
    stream.attempt(up_for=0.1, planned=True)  # a
    stream.attempt(up_for=0.1)
    stream.attempt()

    assert stream.log == "abaab "


def test_a_server_that_accepts_and_closes_at_once_has_failed_and_the_next_is_tried() -> None:
    stream = Stream()

    assert not stream.attempt(up_for=0.0)
    assert stream.attempt(up_for=MIN_UPTIME)
    assert stream.log == "ab "


def test_servers_that_accept_and_close_at_once_are_not_asked_in_turns_without_a_pause() -> None:
    stream = Stream(policy=PATIENT)
    for _ in range(6):
        stream.attempt(up_for=0.0)

    assert stream.log == "ab ab ab "


def test_an_end_before_any_url_was_asked_for_is_followed_by_a_pause() -> None:
    endpoints = EndpointList()
    assert endpoints.ended(0.0, planned=False)  # the url function raised

    endpoints.choose(URLS, 0.0)
    endpoints.ended(0.0, planned=False)
    endpoints.ended(0.0, planned=False)
    assert [each["failures"] for each in endpoints.states(0.0)] == [1, 0, 0]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=40))
def test_a_list_that_changes_its_length_always_has_a_choice(lengths: list[int]) -> None:
    stream = Stream()
    for length in lengths:
        stream.urls = [A, B, C, A][:length]
        stream.attempt()
        assert stream.log.strip()[-1] in "abc"[:length]


@given(st.integers(1, 3), st.integers(1, 30))
def test_every_url_is_tried_between_two_pauses(count: int, rounds: int) -> None:
    stream = Stream(URLS[:count], PATIENT)

    assert stream.fail(count * rounds) == ("abc"[:count] + " ") * rounds


# The circuit breaker.


def test_a_circuit_opens_after_failures_in_a_row_and_costs_one_probe_an_interval() -> None:
    stream = Stream(policy=EndpointPolicy(failures=2, probe_interval=30.0))
    for _ in range(9):
        host = stream.endpoints.choose(stream.urls, stream.now).host
        stream.log += host
        if host == "b":  # a is dead, and b is lost after each 10 s
            stream.endpoints.opened(stream.now)
            stream.now += 10.0
        stream.log += " " if stream.endpoints.ended(stream.now, planned=False) else ""

    assert stream.log == "ab ab b b ab b "
    assert stream.states() == ["open", "closed"]


def test_a_probe_that_succeeds_closes_the_circuit() -> None:
    stream = Stream()
    stream.fail()
    stream.attempt(up_for=10.0)
    stream.fail()
    stream.attempt(up_for=40.0)
    assert stream.states() == ["half-open", "closed"]  # due

    stream.attempt(up_for=MIN_UPTIME)
    assert stream.log == "ab ab a "
    assert stream.states() == ["closed", "closed"]
    assert stream.endpoints.states(stream.now)[0]["failures"] == 0


def test_a_probe_that_is_up_too_short_leaves_the_circuit_open() -> None:
    stream = Stream(policy=EndpointPolicy(failures=1))
    stream.fail()
    stream.attempt(up_for=31.0)

    assert not stream.attempt(up_for=MIN_UPTIME - 0.1)  # the probe
    assert stream.states() == ["open", "closed"]
    assert stream.log == "ab a"


def test_a_probe_that_ends_as_planned_too_early_proves_nothing() -> None:
    stream = Stream(policy=EndpointPolicy(failures=1))
    stream.fail()
    stream.attempt(up_for=31.0)
    stream.attempt(up_for=0.1, planned=True)

    assert stream.states() == ["open", "closed"]


def test_the_state_follows_a_probe_while_it_is_up() -> None:
    endpoints = EndpointList(EndpointPolicy(failures=1), min_uptime=MIN_UPTIME)
    endpoints.choose([A], 0.0)
    endpoints.ended(0.0, planned=False)
    assert endpoints.states(10.0)[0] == {
        "url": "ws://a",
        "state": "open",
        "failures": 1,
        "attempts": 1,
        "failure_share": 1.0,
        "is_current": False,
        "probe_in": 20.0,
    }
    endpoints.choose([A], 30.0)
    assert [endpoints.states(30.0)[0][key] for key in ("state", "is_current")] == [
        "half-open",
        True,
    ]
    endpoints.opened(31.0)
    assert endpoints.states(31.0)[0]["state"] == "half-open"
    state = endpoints.states(31.0 + MIN_UPTIME)[0]
    assert (state["state"], state["failures"], state["probe_in"]) == ("closed", 0, None)


def test_when_all_circuits_are_open_the_one_that_may_be_probed_soonest_follows_each_pause() -> None:
    stream = Stream(policy=EndpointPolicy(failures=1))
    for _ in range(6):
        stream.fail()
        stream.now += 1.0

    assert stream.log == "ab a b a b "


def test_when_all_circuits_are_open_one_that_accepts_is_preferred_to_one_that_is_dead() -> None:
    stream = Stream(policy=EndpointPolicy(failures=1))
    stream.fail()
    for _ in range(5):
        stream.attempt(up_for=1.0)

    assert stream.log == "ab b b b b "


@given(
    st.lists(
        st.tuples(st.sampled_from([None, 0.0, 1.0, 5.0, 40.0]), st.floats(0.0, 20.0)),
        max_size=60,
    ),
    st.integers(1, 3),
)
def test_a_dead_first_url_costs_at_most_one_connect_in_a_probe_interval(
    lives: list[tuple[float | None, float]], failures: int
) -> None:
    """Whatever the second does, as long as it takes connections."""
    stream = Stream(policy=EndpointPolicy(failures=failures, probe_interval=30.0))
    asked: list[float] = []
    for up_for, pause in lives:
        before = stream.now
        is_first = stream.endpoints.choose(stream.urls, stream.now).host == "a"
        if is_first:
            asked.append(before)
        else:
            stream.endpoints.opened(stream.now)
            stream.now += up_for or 0.0
        if stream.endpoints.ended(stream.now, planned=up_for is None and not is_first):
            stream.now += pause

    probes = asked[failures - 1 :]
    assert all(later - earlier >= 30.0 for earlier, later in itertools.pairwise(probes))


# Which is preferred.


def test_the_first_is_gone_back_to_with_the_first_reconnect_after_the_probe_interval() -> None:
    stream = Stream(policy=EndpointPolicy(failures=1, probe_interval=30.0))
    stream.fail()
    stream.attempt(up_for=20.0)  # b
    stream.attempt(up_for=20.0)  # b: no probe is due yet
    stream.attempt(up_for=500.0)  # a

    assert stream.log == "ab b a "


def test_without_prefer_first_it_stays_where_it_was_good() -> None:
    stream = Stream(URLS, EndpointPolicy(prefer_first=False))
    stream.fail()
    for _ in range(4):
        stream.attempt(up_for=100.0)

    assert stream.log == "ab b b b "


def test_the_better_record_is_preferred_behind_the_first() -> None:
    stream = Stream(URLS, EndpointPolicy(failures=3, probe_interval=1.0))
    stream.fail(2)  # a, b
    stream.attempt(up_for=10.0)  # c
    stream.attempt()  # a
    stream.attempt(up_for=10.0)  # c before b

    assert stream.log == "abc ac "


def test_only_the_latest_attempts_make_the_record() -> None:
    stream = Stream([A], PATIENT)
    stream.fail(RECENT)
    for _ in range(RECENT):
        stream.attempt(up_for=10.0)

    assert stream.endpoints.states(0.0)[0]["failure_share"] == 0.0
    assert stream.endpoints.states(0.0)[0]["attempts"] == 2 * RECENT


# Which record belongs to which URL.


def test_a_url_with_another_token_is_the_same_endpoint() -> None:
    stream = Stream(policy=EndpointPolicy(failures=1))
    stream.urls = list(parse_urls(["ws://a/x?token=first", "ws://b/x?token=first"]))
    stream.fail()
    stream.urls = list(parse_urls(["ws://a/x?token=second", "ws://b/x?token=second"]))
    stream.attempt(up_for=10.0)
    stream.attempt(up_for=10.0)

    assert stream.log == "ab b "
    assert "first" not in repr(stream.endpoints)
    assert "second" not in json.dumps(stream.endpoints.states(0.0))


def test_urls_that_differ_only_in_what_is_hidden_are_told_apart() -> None:
    stream = Stream(parse_urls(["ws://a?stream=1", "ws://a?stream=2"]), PATIENT)
    chosen = []
    for _ in range(4):
        chosen.append(stream.endpoints.choose(stream.urls, 0.0).resource)
        stream.endpoints.ended(0.0, planned=False)

    assert chosen == ["/?stream=1", "/?stream=2"] * 2


def test_an_endpoint_that_is_no_longer_in_the_list_is_forgotten() -> None:
    stream = Stream([A, B])
    stream.fail(4)
    stream.urls = [C]
    stream.fail()

    assert [each["url"] for each in stream.endpoints.states(0.0)] == ["ws://c"]


def test_before_the_first_attempt_nothing_is_known() -> None:
    assert EndpointList().states(0.0) == []
    assert EndpointList().latest is None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"failures": 0}, "failures is 0; allowed: "),
        ({"failures": 1.5}, "failures is 1.5; allowed: "),
        ({"probe_interval": -1}, "probe_interval is -1; allowed: "),
        ({"probe_interval": None}, "probe_interval is None; allowed: "),
        ({"prefer_first": None}, "prefer_first is None; allowed: True, False"),
    ],
)
def test_a_wrong_argument_of_the_policy_is_named(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        EndpointPolicy(**arguments)

    assert str(caught.value).startswith(why)


def test_defaults_are_those_of_the_api() -> None:
    assert EndpointPolicy() == EndpointPolicy(failures=2, probe_interval=30.0, prefer_first=True)


def test_one_beside_another_shares_its_records_and_goes_its_own_way() -> None:
    stream = Stream((A, B))
    stream.attempt(up_for=10.0)
    first = stream.endpoints
    assert first.choose(stream.urls, stream.now).host == "a"
    first.opened(stream.now)

    second = first.beside()
    assert second.choose(stream.urls, stream.now).host == "a"
    assert second.ended(stream.now, planned=False) is False
    assert second.choose(stream.urls, stream.now).host == "b"
    second.opened(stream.now)

    shown = {each["url"]: each["failures"] for each in first.states(stream.now)}
    assert list(shown.values()) == [1, 0]
    assert [each["is_current"] for each in first.states(stream.now)] == [True, False]
    assert [each["is_current"] for each in second.states(stream.now)] == [False, True]
    stream.now += 10.0
    assert first.ended(stream.now, planned=True) is False
    assert [each["failures"] for each in second.states(stream.now)] == [0, 0]
