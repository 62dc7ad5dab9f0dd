"""What a member of a pool decides by itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from wsresilient import ConnectionConfig
from wsresilient.runtime.pool_member import LONGEST_REST, PoolMember


@pytest.fixture
def member() -> PoolMember:
    ws: Any = SimpleNamespace(
        subscriber=SimpleNamespace(),
        set_gate=id,
        is_healthy=False,
        connection_age=None,
        config=ConnectionConfig(min_uptime=5.0),
    )
    return PoolMember(ws, 0, key_of=lambda _: None)


def test_the_rest_before_a_restart_doubles_until_it_is_healthy_again(member: PoolMember) -> None:
    pauses = []
    for _ in range(8):
        pauses.append(member.restart_pause(5.0))
        member.restarts += 1
    assert pauses == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, LONGEST_REST, LONGEST_REST]

    ws: Any = member.ws
    ws.is_healthy, ws.connection_age = True, 4.9
    assert member.note_health(0.0) == 0.0
    assert member.restart_pause(5.0) == LONGEST_REST
    ws.connection_age = 5.0
    assert member.note_health(0.1) == 0.0
    assert member.restart_pause(5.0) == 5.0


def test_the_rest_can_be_told_after_any_number_of_restarts(member: PoolMember) -> None:
    member.restarts = 5000
    assert member.restart_pause(0.0) == 0.0
    assert member.restart_pause(5.0) == LONGEST_REST


def test_a_rest_that_is_longer_than_the_longest_is_kept(member: PoolMember) -> None:
    member.restarts = 9
    assert member.restart_pause(1000.0) == 1000.0
    assert member.restart_pause(0.0) == 0.0


def test_how_long_it_has_been_unhealthy(member: PoolMember) -> None:
    assert member.note_health(100.0) == 0.0
    assert member.note_health(107.0) == 7.0
    assert member.rested_for(107.0) == float("inf")
