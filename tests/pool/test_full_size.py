"""Pools in the sizes that they are made for: minutes of run time, and times that are judged.

Not part of the default run: ``tox -e pool``. Each test prints what it has measured (``-s``).
"""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tests.integration import test_pool_stress
from tests.integration.pool_tools import Numbers, by_itself, pooling, settle, symbols, trades
from tests.integration.test_pool import unpaced
from wsresilient import ConnectLimiter, Message, ReconnectPolicy
from wsresilient.testing import FakeExchange, wait_until
from wsresilient.venues import MEXC

#: Seconds for what takes long.
LONG = 120.0
#: Messages a second that the fake MEXC takes. 20 are sent, and some arrive later than others.
PACE = 25
CHANNELS = ["deal", "ticker", "depth", "kline?interval=Min1", "funding.rate"]


def most_within(times: Sequence[float], seconds: float) -> int:
    """Count how many there are at most in any stretch of time."""
    return max(sum(begin <= at < begin + seconds for at in times) for begin in times)


def early_ones(times: Sequence[float], began: float, *, batch: int, interval: float) -> list[float]:
    """Name those that came before their batch could be due; one held up on its way is not early."""
    return [at for n, at in enumerate(sorted(times)) if at < began + n // batch * interval]


def show(**measured: object) -> None:
    sys.stdout.write("\n  " + ", ".join(f"{name} {value}" for name, value in measured.items()))


def test_280_connections_are_warmed_up_within_the_limits_of_binance() -> None:
    names = symbols(280)
    threads = threading.active_count()
    with FakeExchange("binance", symbols=names, rate=280.0) as exchange:
        began = time.monotonic()
        with pooling(
            exchange,
            *trades(names),
            ready=False,
            max_connections=280,
            max_subscriptions_per_connection=1,
            connect_batch_size=20,
            connect_batch_interval=2.0,
        ) as pool:
            assert pool.wait_until_ready(LONG)
            took = time.monotonic() - began
            assert pool.check_health()["all_healthy"]
            assert exchange.connection_count == 280
            assert exchange.violations == []
            times = [handshake.at for handshake in exchange.handshakes]
            each = (threading.active_count() - threads) / 280
            show(seconds=round(took, 1), in_two_seconds=most_within(times, 2.0), threads=each)
            assert 26.0 <= took < 60.0
            assert early_ones(times, began, batch=20, interval=2.0) == []
            assert each < 2.2


def test_750_pairs_at_the_pace_that_mexc_allows() -> None:
    pairs = symbols(750, "_USDT")
    with FakeExchange("mexc", symbols=pairs, rate=750.0, message_rate=PACE) as exchange:
        heard: set[str | None] = set()
        with pooling(
            exchange,
            *(("deal", pair) for pair in pairs),
            ready=False,
            max_connections=8,
            max_subscriptions_per_connection=95,
            on_data=lambda message: heard.add(message.topic),
        ) as pool:
            assert pool.wait_until_ready(LONG)
            wait_until(lambda: len(heard) == 750, LONG)
            assert exchange.violations == []
            assert exchange.connection_count == 8


def test_3750_topics_where_they_fit_at_that_pace() -> None:
    pairs = symbols(750, "_USDT")
    with FakeExchange(
        "mexc", symbols=pairs, rate=750.0, max_topics=400, message_rate=PACE
    ) as exchange:
        limits = replace(MEXC().limits, topics_per_connection=400)
        venue = exchange.venue.replace(limits=limits)
        topics = [venue.topic(channel, pair) for pair in pairs for channel in CHANNELS]
        with pooling(
            exchange, *topics, ready=False, venue=venue, max_subscriptions_per_connection=400
        ) as pool:
            assert pool.wait_until_ready(LONG)
            assert set(exchange.subscriptions) == set(topics)
            assert exchange.violations == []


def test_after_a_restart_200_connections_come_back_spread_out() -> None:
    names = symbols(200)
    with (
        FakeExchange("binance", symbols=names, rate=200.0, connect_rate=None) as exchange,
        pooling(
            exchange,
            *trades(names),
            max_connections=200,
            max_subscriptions_per_connection=1,
            connect_batch_size=200,
            connect_batch_interval=2.0,
            venue=unpaced(exchange.venue, connects=None),
            reconnect=ReconnectPolicy(),
            ready=False,
        ) as pool,
    ):
        assert pool.wait_until_ready(LONG)
        before = len(exchange.handshakes)
        exchange.restart(downtime=0.1)
        assert pool.wait_until_ready(LONG)
        assert exchange.connection_count == 200
        times = [handshake.at for handshake in exchange.handshakes[before:]]
        most = most_within(times, 0.1)
        show(handshakes=len(times), in_100_ms=most, seconds=round(times[-1] - times[0], 2))
        assert most <= 50


def test_when_one_of_ten_is_cut_the_pauses_of_the_others_stay_what_they_were() -> None:
    names = symbols(10)
    came: dict[str, list[float]] = defaultdict(list)
    numbers = Numbers()

    def handle(message: Message) -> None:
        came[message.topic or ""].append(time.monotonic())
        numbers.on_data(message)

    with FakeExchange("binance", symbols=names, rate=1000.0) as exchange:
        topics = trades(names)
        with pooling(exchange, *topics, max_subscriptions_per_connection=1, on_data=handle) as pool:
            victim, *others = topics
            numbers.wait_for(topics, 300)
            cut_at = time.monotonic()
            assert exchange.abort_one(by_itself(exchange)[victim])
            numbers.wait_for(others, 300)
            assert numbers.faults(others) == []
            assert pool.wait_until_ready(LONG)
            longest = {
                when: max(
                    b - a
                    for topic in others
                    for a, b in pairwise([at for at in came[topic] if (at < cut_at) is before])
                )
                for when, before in (("before", True), ("after", False))
            }
            show(**{f"longest_pause_{when}": round(pause, 3) for when, pause in longest.items()})
            assert longest["after"] < max(0.1, 3 * longest["before"])


@pytest.mark.parametrize("redundancy", [1, 2])
def test_fifty_connections_are_replaced_under_numbered_streams(redundancy: int) -> None:
    numbers = Numbers()
    names = symbols(100)
    with FakeExchange(
        "binance", symbols=names, rate=3000.0, message_rate=None, connect_rate=None
    ) as exchange:
        topics = trades(names)
        with pooling(
            exchange,
            *topics,
            venue=unpaced(exchange.venue, connects=None),
            max_connections=50 * redundancy,
            max_subscriptions_per_connection=2,
            redundancy=redundancy,
            rotation="make_before_break",
            connect_limiter=ConnectLimiter(1000, 1.0),
            connect_batch_size=100,
            on_data=numbers.on_data,
            ready=False,
        ) as pool:
            assert pool.wait_until_ready(LONG)
            numbers.wait_for(topics)
            pool.rotate()
            wait_until(lambda: not pool.is_moving, LONG, "the rotation")
            numbers.wait_for(topics, 10)
            assert numbers.faults(topics) == []
            assert numbers.side_by_side == []
            statistics = pool.get_statistics()
            show(rotations=statistics["rotations"], dropped=statistics["duplicates_dropped"])
            assert statistics["rotations"] == 50 * redundancy
            assert statistics["reconnects"] == 0
            settle(pool)


@pytest.mark.usefixtures("switching_often")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rotation", ["make_before_break", "break_before_make"])
@pytest.mark.parametrize("redundancy", [1, 2])
def test_everything_at_once_for_a_longer_time(
    rotation: str, redundancy: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_pool_stress, "CALLS", 200 + seed)
    begin = test_pool_stress.Riot.begin

    def begin_with_seed(riot: Any, name: str, number: int, *calls: Any) -> None:
        begin(riot, name, number + 10 * seed, *calls)

    monkeypatch.setattr(test_pool_stress.Riot, "begin", begin_with_seed)
    for stopping in (False, True):
        test_pool_stress.test_everything_at_once_from_several_threads(
            rotation, redundancy, stopping
        )


switching_often = test_pool_stress.switching_often
