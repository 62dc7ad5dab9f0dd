"""Several URLs for one stream: failover order, when a pause is due, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient import ConfigurationError
from wsresilient.core.endpoints import EndpointList, parse_urls

A, B, C = parse_urls(["ws://a", "ws://b", "ws://c"])


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


def test_one_url_is_chosen_always_and_every_failure_is_followed_by_a_pause() -> None:
    endpoints = EndpointList()

    for _ in range(5):
        assert endpoints.choose([A]) is A
        assert endpoints.failed(1)


def test_after_a_failed_attempt_the_next_url_is_tried_and_a_pause_is_due_after_the_last() -> None:
    endpoints, tried = EndpointList(), []

    for _ in range(6):
        tried.append((endpoints.choose([A, B, C]).host, endpoints.failed(3)))

    assert tried == [
        ("a", False),
        ("b", False),
        ("c", True),
        ("a", False),
        ("b", False),
        ("c", True),
    ]


def test_after_a_connection_that_opened_the_first_url_is_the_first_choice_again() -> None:
    endpoints = EndpointList()
    endpoints.failed(3)
    assert endpoints.choose([A, B, C]) is B

    endpoints.opened()
    endpoints.failed(3)  # the connection ended

    assert endpoints.choose([A, B, C]) is A
    assert not endpoints.failed(3)
    assert endpoints.choose([A, B, C]) is B


def test_after_a_planned_end_the_first_url_is_the_first_choice_again() -> None:
    endpoints = EndpointList()
    endpoints.failed(2)
    endpoints.opened()

    assert endpoints.choose([A, B]) is A
    assert not endpoints.failed(2)
    assert endpoints.choose([A, B]) is B


def test_servers_that_accept_and_close_at_once_are_not_asked_without_a_pause() -> None:
    endpoints = EndpointList()

    for _ in range(5):
        endpoints.choose([A, B])
        endpoints.opened()
        assert endpoints.failed(2)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=40))
def test_a_list_that_changes_its_length_always_has_a_choice(lengths: list[int]) -> None:
    endpoints = EndpointList()

    for length in lengths:
        urls = [A, B, C, A][:length]
        assert endpoints.choose(urls) in urls
        endpoints.failed(length)


@given(st.integers(1, 3), st.integers(1, 30))
def test_every_url_is_tried_between_two_pauses(count: int, rounds: int) -> None:
    endpoints, since_pause = EndpointList(), set()

    for _ in range(count * rounds):
        since_pause.add(endpoints.choose([A, B, C][:count]).host)
        if endpoints.failed(count):
            assert len(since_pause) == count
            since_pause.clear()
    assert not since_pause
