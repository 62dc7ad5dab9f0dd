from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import BOUND, Running
from wsresilient import ConnectionConfig, NotConnectedError
from wsresilient.core.endpoints import EndpointList, EndpointPolicy
from wsresilient.runtime import planner
from wsresilient.runtime.options import ConnectionOptions
from wsresilient.runtime.planner import AttemptPlanner
from wsresilient.runtime.subscriber import Subscriber
from wsresilient.runtime.transport import AttemptRequest
from wsresilient.venues import Binance, Credentials

KEY = "pqia91ma19a5s61cv6a81va65sdf19v8"
OWNER = Credentials("api-key-abcdef", "secret-abcdef")


class Keeper:
    """Gives a key without asking anybody."""

    made: list[Keeper] = []  # noqa: RUF012 - emptied by each test

    def __init__(self, spec: object, *, on_expired: Callable[[], object], **others: Any) -> None:
        self.on_expired = on_expired
        self.calls: list[str] = []
        self.made.append(self)

    def obtain(self, *, deadline: float) -> str:
        self.calls.append("obtain")
        return KEY

    def interrupt(self) -> None:
        self.calls.append("interrupt")

    def stop(self, *, timeout: float) -> bool:
        self.calls.append("stop")
        return True


class Planned:
    """A planner of a futures connection with credentials."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, auth: Any = OWNER) -> None:
        Keeper.made.clear()
        monkeypatch.setattr(planner, "ListenKeyKeeper", Keeper)
        venue, config = Binance("futures"), ConnectionConfig()
        self.expired: list[bool] = []
        self.subscriber = Subscriber(venue, config, has_credentials=True)
        self.planner = AttemptPlanner(
            ConnectionOptions(url=None, venue=venue, auth=auth),
            config,
            self.subscriber,
            name="test",
            on_key_expired=lambda: self.expired.append(True),
        )

    def plan(self) -> AttemptRequest:
        return self.planner.plan(EndpointList(EndpointPolicy(), min_uptime=0.0)).request


def test_the_key_stands_in_the_url_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Planned(monkeypatch).plan()

    assert request.url.resource == f"/private/ws/{KEY}"
    assert request.url.shown == "wss://fstream.binance.com/private/ws/***"


def test_no_key_is_kept_for_topics_that_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = Planned(monkeypatch)
    planned.plan()
    planned.subscriber.replace(["btcusdt@aggTrade"])
    request = planned.plan()

    (keeper,) = Keeper.made
    assert keeper.calls == ["obtain", "stop"]
    keeper.on_expired()  # it was on its way already
    assert planned.expired == []
    assert request.url.resource == "/market/stream"


def test_an_expired_key_is_told_while_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = Planned(monkeypatch)
    planned.plan()
    Keeper.made[0].on_expired()

    assert planned.expired == [True]


def test_who_is_interrupted_by_a_slow_auth_asks_for_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def slow() -> Credentials:
        planned.planner.interrupt()
        return OWNER

    planned = Planned(monkeypatch, auth=slow)

    with pytest.raises(NotConnectedError, match="was stopped while an attempt was prepared"):
        planned.plan()
    assert Keeper.made == []


def test_attempts_are_planned_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Planned(monkeypatch).planner
    looks: list[bool] = []
    has_looked_twice, gone = threading.Event(), threading.Event()

    def is_unwanted() -> bool:
        looks.append(gone.is_set())
        if len(looks) > 1:
            has_looked_twice.set()
        return False

    def take_turn() -> tuple[bool, bool]:
        with made.turn(is_unwanted) as has_turn:
            return has_turn, gone.is_set()

    with made.turn(lambda: False) as has_turn:
        assert has_turn
        second = Running(take_turn)
        assert has_looked_twice.wait(BOUND)
        gone.set()

    assert second.result() == (True, True)


@pytest.mark.parametrize("why", ["unwanted", "stopped"])
def test_whoever_waits_for_its_turn_gives_up(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Planned(monkeypatch).planner
    unwanted, is_waiting = threading.Event(), threading.Event()

    def is_unwanted() -> bool:
        is_waiting.set()
        return unwanted.is_set()

    def take_turn() -> bool:
        with made.turn(is_unwanted) as has_turn:
            return has_turn

    with made.turn(lambda: False):  # and hangs
        second = Running(take_turn)
        assert is_waiting.wait(BOUND)
        if why == "unwanted":
            unwanted.set()
        else:
            made.interrupt()
        assert second.result() is False
