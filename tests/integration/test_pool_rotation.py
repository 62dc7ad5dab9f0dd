"""Connections of a pool are replaced and topics change places while numbered trades flow."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.support import Gate, eventually
from wsresilient import (
    AuthenticationError,
    ConnectionConfig,
    ConnectionPool,
    ConnectLimiter,
    Credentials,
    Gap,
    Message,
    Monitor,
    StateChange,
    SubscriptionLimitError,
)
from wsresilient.runtime import handover, pool_keeper, pool_moves, rotation_plan
from wsresilient.runtime.pool_member import PoolMember
from wsresilient.testing import FakeExchange, wait_until

from .clients import library_threads
from .pool_tools import Numbers, pooling, settle, symbols, trades
from .servers import PATIENCE
from .test_pool import unpaced
from .venue_clients import CREDENTIALS

MAKE = "make_before_break"
BREAK = "break_before_make"


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pools look more often than once a second."""
    monkeypatch.setattr(pool_keeper, "IDLE_PAUSE", 0.05)


class Market(NamedTuple):
    """A pool over numbered trades, and a handler that checks them."""

    exchange: FakeExchange
    pool: ConnectionPool
    numbers: Numbers
    topics: list[str]

    def loads(self) -> list[int]:
        """Say how many topics each connection has."""
        return [one.subscriptions_count for one in self.pool.get_connection_metrics().values()]

    def group(self, number: int) -> list[str]:
        """Give the topics of a connection."""
        members = self.pool._roster.members()
        return [topic for topic in self.topics if topic in members[number].topics()]


@contextlib.contextmanager
def trading(
    *,
    pairs: int = 6,
    connections: int = 3,
    rate: float = 1500.0,
    numbers: Numbers | None = None,
    **settings: Any,
) -> Iterator[Market]:
    """Run a pool whose topics are spread evenly over so many connections."""
    numbers = numbers or Numbers()
    with FakeExchange(
        "binance", symbols=symbols(pairs), rate=rate, message_rate=None, connect_rate=None
    ) as exchange:
        topics = trades(exchange.symbols)
        usual = {
            "venue": unpaced(exchange.venue, connects=None),
            "max_connections": connections,
            "max_subscriptions_per_connection": -(-pairs // connections),
            "on_data": numbers.on_data,
            "rotation": MAKE,
        }
        with pooling(exchange, *topics, **{**usual, **settings}) as pool:
            numbers.wait_for(topics)
            yield Market(exchange, pool, numbers, topics)


def until_both_have_met(pool: ConnectionPool, *topics: str) -> handover.Handover:
    """Wait until of each topic a message has come over both connections of the one handover."""
    wait_until(lambda: pool._moves._moving, PATIENCE)
    (move,) = pool._moves._moving
    overlap = move.handover._overlap
    wait_until(lambda: overlap.has_met(frozenset(topics), move.new.generation), PATIENCE)
    return move.handover


def is_each_topic_on(exchange: FakeExchange, connections: int) -> bool:
    """Whether each topic is on so many; what a move took from one leaves a little after its end."""
    return set(exchange.subscriptions.values()) == {connections}


# Nothing lost, nothing twice, in order.


def test_all_connections_are_replaced_under_a_numbered_stream() -> None:
    gaps: list[Gap] = []
    with trading(on_gap=gaps.append) as (exchange, pool, numbers, topics):
        before = set(exchange.connections)
        for _ in range(2):
            pool.rotate()
            settle(pool)
            numbers.wait_for(topics, 5)
        assert numbers.faults(topics) == []
        assert numbers.side_by_side == []
        assert gaps == []
        wait_until(lambda: exchange.connection_count == 3)
        assert before.isdisjoint(exchange.connections)
        statistics = pool.get_statistics()
        assert statistics["rotations"] == 6
        assert statistics["reconnects"] == 0
        assert sorted(pool.get_connection_metrics()) == ["pool-1", "pool-2", "pool-3"]
        assert set(exchange.close_codes) == {1000}
        assert exchange.violations == []


def test_all_connections_are_replaced_while_the_handler_is_slow() -> None:
    numbers = Numbers()

    def slow(message: Message) -> None:
        time.sleep(0.002)  # the stream is a little too fast for it: messages wait in the lanes
        numbers.on_data(message)

    with trading(numbers=numbers, on_data=slow, rate=1200.0, pairs=2, connections=2) as market:
        numbers.wait_for(market.topics, 20)
        market.pool.rotate()
        settle(market.pool)
        numbers.wait_for(market.topics, 20)
        assert numbers.faults(market.topics) == []


def test_rebalancing_moves_topics_under_a_numbered_stream() -> None:
    with trading(pairs=12, connections=2, rate=3000.0) as market:
        pool, numbers = market.pool, market.numbers
        gone = market.group(1)[:-1]
        kept = [topic for topic in market.topics if topic not in gone]
        pool.unsubscribe(*gone)
        assert sorted(market.loads()) == [1, 6]
        assert pool.rebalance() == 2
        assert sorted(market.loads()) == [3, 4]  # where they belong from now on
        assert pool.is_moving
        settle(pool)
        numbers.wait_for(kept, 5)

        assert numbers.faults(kept) == []
        assert numbers.side_by_side == []
        assert sorted(market.loads()) == [3, 4]
        wait_until(lambda: is_each_topic_on(market.exchange, 1))
        assert len(market.exchange.subscriptions) == 7
        assert pool.rebalance() == 0


def test_topics_move_there_and_back_again() -> None:
    """What has just left a connection must not be taken for what it still brings."""
    with trading(pairs=12, connections=2, rate=3000.0) as market:
        pool, numbers = market.pool, market.numbers
        for number in (1, 0, 1):
            gone = market.group(number)[:-1]
            kept = [topic for topic in market.topics if topic not in gone]
            numbers.wait_for(market.topics)
            pool.unsubscribe(*gone)
            assert pool.rebalance() > 0
            settle(pool)
            numbers.wait_for(kept, 3)
            assert numbers.faults(kept) == []
            loads = market.loads()
            assert max(loads) - min(loads) <= 1
            pool.subscribe(*gone)
            assert pool.wait_until_ready(PATIENCE)
            for topic in gone:
                numbers.by_topic[topic].clear()
        numbers.wait_for(market.topics, 3)
        assert numbers.faults() == []


def test_moves_wait_for_rotations() -> None:
    with trading(pairs=12, connections=3, rate=3000.0) as market:
        pool, numbers = market.pool, market.numbers
        gone = market.group(0)[:-1]
        kept = [topic for topic in market.topics if topic not in gone]
        pool.unsubscribe(*gone)
        pool.rotate()
        assert pool.rebalance() == 2
        settle(pool)
        numbers.wait_for(kept, 5)

        assert numbers.faults(kept) == []
        assert sorted(market.loads()) == [3, 3, 3]
        wait_until(lambda: is_each_topic_on(market.exchange, 1))
        assert pool.get_statistics()["rotations"] == 3


def test_rotations_wait_for_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "OVERLAP", PATIENCE)  # quiet topics are waited for
    with trading(pairs=12, connections=3, rate=3000.0) as market:
        exchange, pool, numbers, _ = market
        gone = market.group(0)[:-1]
        kept = [topic for topic in market.topics if topic not in gone]
        exchange.stop_feed()
        pool.unsubscribe(*gone)
        assert pool.rebalance() == 2
        wait_until(lambda: pool._moves.is_under_way)
        pool.rotate()
        assert not eventually(lambda: pool._moves.replacing, within=0.2)
        exchange.resume_feed()
        settle(pool)
        numbers.wait_for(kept, 5)

        assert numbers.faults(kept) == []
        assert sorted(market.loads()) == [3, 3, 3]
        wait_until(lambda: is_each_topic_on(exchange, 1))
        assert pool.get_statistics()["rotations"] == 3


def test_what_the_old_connection_still_brings_is_dropped_until_it_has_left() -> None:
    with trading(pairs=12, connections=2, rate=3000.0) as market:
        pool, numbers = market.pool, market.numbers
        gone = market.group(1)[:-1]
        kept = [topic for topic in market.topics if topic not in gone]
        full = pool._roster.members()[0]
        asked: list[tuple[str, ...]] = []
        leave, full.ws.unsubscribe = full.ws.unsubscribe, lambda *topics: asked.append(topics)  # type: ignore[method-assign]
        pool.unsubscribe(*gone)
        assert pool.rebalance() == 2
        settle(pool)
        numbers.wait_for(kept, 20)
        assert numbers.faults(kept) == []
        moved = set(asked[0])

        # Until then nothing can move again.
        stay = [topic for topic in kept if topic in full.topics() and topic not in moved]
        pool.unsubscribe(*[topic for topic in stay if topic not in stay[:1]])
        full.ws.unsubscribe = leave  # type: ignore[method-assign]
        assert pool.rebalance() > 0
        assert pool.is_moving
        assert not eventually(lambda: pool._moves.is_under_way, within=0.1)
        leave(*moved, *stay[1:])
        settle(pool)
        wait_until(lambda: is_each_topic_on(market.exchange, 1))


def test_topics_on_their_way_take_up_room() -> None:
    gate, numbers = Gate(), Numbers()
    blocked: set[str] = set()

    def handle(message: Message) -> None:
        numbers.on_data(message)
        if message.topic in blocked:
            gate.pass_through()

    with trading(pairs=12, connections=2, numbers=numbers, on_data=handle) as market:
        pool = market.pool
        gone = market.group(1)[:-1]
        pool.unsubscribe(*gone)
        blocked.update(market.group(0))
        gate.wait_for_arrival()  # so that the move cannot begin yet
        assert pool.rebalance() == 2
        wait_until(lambda: pool._moves.is_under_way)
        with pytest.raises(SubscriptionLimitError, match="and 3 fit"):
            pool.subscribe(*gone)
        pool.subscribe(*gone[:3])
        blocked.clear()
        gate.open()
        settle(pool)
        assert sorted(market.loads()) == [4, 6]


def test_two_planes_miss_nothing_when_a_connection_is_cut() -> None:
    with trading(pairs=4, connections=2, redundancy=2, max_connections=4) as market:
        exchange, pool, numbers, topics = market
        assert exchange.connection_count == len(pool.get_connection_metrics()) == 4
        assert is_each_topic_on(exchange, 2)
        for _ in range(3):
            assert exchange.abort_one(exchange.connections[0])
            numbers.wait_for(topics, 10)
            assert pool.wait_until_ready(PATIENCE)
        assert numbers.faults(topics) == []
        assert numbers.side_by_side == []
        statistics = pool.get_statistics()
        assert statistics["duplicates_dropped"] > 0
        assert statistics["total_subscriptions"] == 4


def test_two_planes_are_replaced_and_rebalanced() -> None:
    with trading(pairs=8, connections=2, redundancy=2, max_connections=4) as market:
        _, pool, numbers, topics = market
        pool.rotate()
        settle(pool)
        gone = market.group(0)[:2]
        kept = [topic for topic in topics if topic not in gone]
        pool.unsubscribe(*gone)
        assert pool.rebalance() > 0
        settle(pool)
        numbers.wait_for(kept, 5)
        assert numbers.faults(kept) == []
        assert numbers.side_by_side == []


def test_messages_without_a_number_are_named_by_the_user() -> None:
    named: list[int] = []

    def name(message: Message) -> int:
        number: int = message.data["t"]
        named.append(number)
        return number

    with trading(pairs=1, connections=1, message_key=name) as market:
        market.pool.rotate()
        settle(market.pool)
        market.numbers.wait_for(market.topics, 5)
        assert named
        assert market.numbers.faults(market.topics) == []


def test_a_key_that_raises_is_replaced_by_the_data(caplog: pytest.LogCaptureFixture) -> None:
    def fail(message: Message) -> object:
        raise KeyError(message.topic)

    with trading(pairs=1, connections=1, message_key=fail) as market:
        market.pool.rotate()
        settle(market.pool)
        market.numbers.wait_for(market.topics, 5)
        assert market.numbers.faults(market.topics) == []
        assert caplog.text.count("message_key failed") == 1


# What the user sees of it.


def test_one_connection_is_seen_under_each_name() -> None:
    monitor = Monitor()
    changes: list[StateChange] = []
    told: list[str] = []
    with trading(
        monitor=monitor,
        on_state_change=changes.append,
        on_open=lambda ws: told.append("open"),
        on_close=lambda code, reason: told.append(f"close {code}"),
    ) as (exchange, pool, _, _):
        seen: set[tuple[str, ...]] = set()
        states = len(changes)
        pool.rotate()

        def look() -> bool:
            seen.add(tuple(sorted(monitor.get_summary()["connections"])))
            return not pool.is_moving

        wait_until(look, PATIENCE)
        wait_until(lambda: told.count("close 1000") == 3)
        assert seen == {("pool-1", "pool-2", "pool-3")}
        assert told.count("open") == 6
        assert changes[states:] == []
        summary = monitor.get_summary()
        assert summary["status"] == "ok"
        assert sorted(summary["connections"]) == ["pool-1", "pool-2", "pool-3"]
        assert {one["generation"] for one in summary["connections"].values()} == {2}
        assert summary["total_subscriptions"] == 6
        assert exchange.connection_count == 3


def test_topics_that_are_subscribed_meanwhile_reach_the_successor() -> None:
    with trading(pairs=4, connections=1, max_subscriptions_per_connection=8) as (
        exchange, pool, numbers, topics,
    ):  # fmt: skip
        first, second, third, fourth = topics
        pool.set_subscriptions([first])
        wait_until(lambda: set(exchange.subscriptions) == {first})
        numbers.by_topic.clear()
        exchange.hold_acks()
        pool.rotate()
        wait_until(lambda: exchange.connection_count == 2)
        assert pool.is_moving
        pool.subscribe(second, third)
        assert pool.subscriptions == {first, second, third}
        pool.unsubscribe(third)
        exchange.release_acks()
        settle(pool)
        pool.subscribe(fourth)
        assert pool.wait_until_ready(PATIENCE)
        wait_until(lambda: set(exchange.subscriptions) == {first, second, fourth})
        wait_until(lambda: exchange.connection_count == 1)
        numbers.wait_for([first, second, fourth], 3)

        assert numbers.faults([first, second, fourth]) == []
        assert pool.subscriptions == {first, second, fourth}


def test_a_refused_topic_is_remembered_over_a_rotation() -> None:
    with FakeExchange("okx", rate=300.0) as exchange:
        exchange.refuse_topic("tickers:BTC-USDT")
        with pooling(exchange, rotation=MAKE) as pool:
            pool.subscribe("tickers:BTC-USDT", "tickers:ETH-USDT")
            wait_until(lambda: pool.failed_subscriptions)
            pool.rotate()
            settle(pool)
            assert set(pool.failed_subscriptions) == {"tickers:BTC-USDT"}
            pool.unsubscribe("tickers:BTC-USDT")
            assert pool.failed_subscriptions == {}


# When it happens.


def test_connections_are_replaced_before_their_age_of_the_limit() -> None:
    with trading(max_age=1.0) as (exchange, pool, numbers, topics):
        wait_until(lambda: pool.get_statistics()["rotations"] >= 6, PATIENCE)
        numbers.wait_for(topics, 5)
        assert numbers.faults(topics) == []
        assert exchange.violations == []
        assert pool.get_statistics()["reconnects"] == 0


@pytest.mark.parametrize("rotation", [MAKE, BREAK])
def test_windows_and_vetoes_are_kept(rotation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked, allowed = [2 * 3600.0], list[str](), {"pool-2"}

    def may_rotate(name: str) -> bool:
        asked.append(name)
        return name in allowed

    monkeypatch.setattr(rotation_plan, "local_seconds_of_day", lambda: now[0])
    with trading(
        rotation=rotation,
        max_age=7200.0,  # nobody lasts until the next window, so all are due in this one
        rotate_window=("03:00", "04:00"),
        may_rotate=may_rotate,
    ) as market:
        statistics = market.pool.get_statistics
        first = set(market.exchange.connections)
        old = {member.ws: member.generation for member in market.pool._roster.members()}
        monkeypatch.setattr(
            PoolMember,
            "age",
            property(lambda self: 3000.0 if old.get(self.ws) == self.generation else 1.0),
        )
        assert not eventually(lambda: asked, within=0.2)  # it has looked by now
        now[0] = 3 * 3600.0 + 0.8 * 3600.0
        wait_until(lambda: set(asked) == {"pool-1", "pool-2", "pool-3"}, PATIENCE)
        wait_until(lambda: statistics()["rotations"] == 1)
        settle(market.pool)
        wait_until(lambda: len(first.intersection(market.exchange.connections)) == 2)
        allowed.update(("pool-1", "pool-3"))
        wait_until(lambda: statistics()["rotations"] == 3)
        settle(market.pool)
        wait_until(lambda: first.isdisjoint(market.exchange.connections))


@pytest.mark.parametrize("rotation", [MAKE, BREAK])
def test_a_veto_and_a_window_hold_beyond_max_age(
    rotation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, asked, is_allowed = [2 * 3600.0], list[str](), threading.Event()

    def may_rotate(name: str) -> bool:
        asked.append(name)
        return is_allowed.is_set()

    monkeypatch.setattr(rotation_plan, "local_seconds_of_day", lambda: now[0])
    settings: dict[str, Any] = {
        "rotate_window": ("03:00", "04:00"),
        "may_rotate": may_rotate,
        "max_age": 0.3,
    }
    with trading(pairs=2, connections=2, rotation=rotation, **settings) as market:
        members = market.pool._roster.members()
        first = set(market.exchange.connections)
        wait_until(lambda: all((member.age or 0.0) > 0.6 for member in members))
        assert asked == []
        now[0] = 3 * 3600.0
        wait_until(lambda: set(asked) == {"pool-1", "pool-2"})
        wait_until(lambda: len(asked) > 10)
        assert market.pool.get_statistics()["rotations"] == 0
        assert set(market.exchange.connections) == first
        is_allowed.set()
        wait_until(lambda: market.pool.get_statistics()["rotations"] >= 2)
        wait_until(lambda: first.isdisjoint(market.exchange.connections))


def test_a_notice_of_the_server_starts_it() -> None:
    with (
        FakeExchange("okx", rate=300.0) as exchange,
        pooling(exchange, "tickers:BTC-USDT", rotation=MAKE, min_uptime=0.0) as pool,
    ):
        first = exchange.connections
        exchange.announce_shutdown()
        wait_until(lambda: pool.get_statistics()["rotations"] == 1)
        settle(pool)
        wait_until(lambda: exchange.connection_count == 1)
        assert exchange.connections != first
        assert pool.get_statistics()["reconnects"] == 0


def test_break_before_make_tells_of_the_hole() -> None:
    gaps: list[Gap] = []
    with trading(rotation=BREAK, on_gap=gaps.append) as (_, pool, numbers, topics):
        pool.rotate()
        settle(pool)
        numbers.wait_for(topics)
        wait_until(lambda: len(gaps) == 3)
        assert {gap.reason for gap in gaps} == {"rotation"}
        assert sorted(topic for gap in gaps for topic in gap.topics) == sorted(topics)
        statistics = pool.get_statistics()
        assert (statistics["rotations"], statistics["reconnects"]) == (3, 3)


def test_where_the_exchange_allows_no_connection_more_one_goes_first() -> None:
    with trading(connections=3, max_connections=3) as (exchange, pool, _, _):
        pool._venue = unpaced(exchange.venue, connections=3)
        exchange.change_limits(max_connections=3)
        pool.rotate()
        settle(pool)
        assert pool.wait_until_ready(PATIENCE)
        assert exchange.violations == []
        assert pool.get_statistics()["rotations"] == 3
        assert pool.get_statistics()["reconnects"] == 3


def test_where_the_exchange_allows_one_connection_more_they_take_turns() -> None:
    with trading(connections=6) as (exchange, pool, numbers, topics):
        pool._venue = unpaced(exchange.venue, connections=7)
        exchange.change_limits(max_connections=7)
        pool.rotate()
        settle(pool)
        numbers.wait_for(topics, 3)
        assert exchange.violations == []
        assert numbers.faults(topics) == []
        statistics = pool.get_statistics()
        assert (statistics["rotations"], statistics["reconnects"]) == (6, 0)


def test_a_few_are_replaced_at_a_time() -> None:
    with trading(pairs=12, connections=12) as (_, pool, numbers, topics):
        most = [0]

        def look() -> bool:
            most[0] = max(most[0], len(pool._moves._moving))
            return not pool.is_moving

        pool.rotate()
        wait_until(look, PATIENCE)
        assert 1 <= most[0] <= pool_keeper.MOST_ROTATIONS
        assert pool.get_statistics()["rotations"] == 12
        numbers.wait_for(topics, 3)
        assert numbers.faults(topics) == []


def test_the_configuration_may_ask_for_it() -> None:
    numbers = Numbers()
    with FakeExchange("binance", rate=300.0) as exchange:
        config = ConnectionConfig(rotation=MAKE)
        with pooling(
            exchange, "btcusdt@trade", config=config, close_timeout=0.5, on_data=numbers.on_data
        ) as pool:
            numbers.wait_for(["btcusdt@trade"])
            pool.rotate("pool-1")
            settle(pool)
            numbers.wait_for(["btcusdt@trade"], 5)
            assert numbers.faults() == []
            assert pool.get_statistics()["reconnects"] == 0


# When it goes wrong.


def test_a_successor_that_does_not_come_up_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with trading() as (exchange, pool, numbers, topics):
        pool._moves._timeout = 0.1
        first = exchange.connections
        exchange.pause_accepting()
        pool.rotate()
        wait_until(lambda: "keeps its topics" in caplog.text)
        settle(pool)
        assert exchange.connections == first
        numbers.wait_for(topics, 3)
        assert pool.get_statistics()["rotations"] == 0
        assert pool.check_health()["all_healthy"]

        exchange.resume_accepting()
        pool._moves._timeout = PATIENCE
        pool.rotate()
        settle(pool)
        numbers.wait_for(topics, 3)
        assert pool.get_statistics()["rotations"] == 3
        assert numbers.faults(topics) == []


def test_a_successor_that_waits_for_the_budget_of_connects_is_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limiter = ConnectLimiter(1, 1.0, margin=0.0)
    with trading(pairs=1, connections=1, connect_limiter=limiter) as market:
        market.pool._moves._timeout = 0.2
        assert limiter.reserve() > 0.0
        market.pool.rotate()
        settle(market.pool)
        market.numbers.wait_for(market.topics, 3)
        assert market.pool.get_statistics()["rotations"] == 1
        assert "keeps its topics" not in caplog.text


def test_a_successor_that_is_refused_is_given_up_at_once() -> None:
    errors: list[Exception] = []
    given = [CREDENTIALS]
    with (
        FakeExchange("okx-private") as exchange,
        pooling(
            exchange,
            "orders?instType=ANY",
            auth=lambda: given[0],
            rotation=MAKE,
            on_error=errors.append,
        ) as pool,
    ):
        given[0] = Credentials("wrong", "wrong", "wrong")
        pool.rotate()
        wait_until(lambda: any(isinstance(one, AuthenticationError) for one in errors))
        wait_until(lambda: not pool._moves.is_under_way)
        assert exchange.connection_count == 1
        assert pool.check_health()["all_healthy"]
        assert pool.get_statistics()["rotations"] == 0


def lose_the_old_one(market: Market, changes: list[StateChange]) -> None:
    """Cut the connection that a rotation replaces, and let it come back only as the successor."""
    exchange = market.exchange
    old = exchange.connections[0]
    exchange.pause_accepting()
    assert exchange.abort_one(old)
    wait_until(lambda: "reconnecting" in [change.state for change in changes])
    exchange.release_acks()


def test_when_the_old_connection_is_lost_meanwhile_the_hole_is_told() -> None:
    gaps: list[Gap] = []
    changes: list[StateChange] = []
    with trading(
        pairs=1, connections=1, on_gap=gaps.append, on_state_change=changes.append
    ) as market:
        exchange, pool, numbers, topics = market
        exchange.hold_acks()
        exchange.stop_feed()  # no message comes over both
        pool.rotate()
        wait_until(lambda: exchange.connection_count == 2)
        lose_the_old_one(market, changes)
        settle(pool)
        exchange.resume_feed()
        numbers.wait_for(topics, 3)
        wait_until(lambda: gaps)

        assert [gap.reason for gap in gaps] == ["rotation"]
        assert (gaps[0].connection, gaps[0].topics) == ("pool-1", tuple(topics))
        assert gaps[0].started_at <= gaps[0].ended_at
        wait_until(lambda: changes[-1].state == "connected")
        assert pool.get_statistics()["rotations"] == 1
        assert exchange.connection_count == 1


def test_when_it_is_lost_after_both_have_met_nothing_is_missing() -> None:
    gaps: list[Gap] = []
    changes: list[StateChange] = []
    with trading(
        pairs=1, connections=1, on_gap=gaps.append, on_state_change=changes.append
    ) as market:
        exchange, pool, numbers, topics = market
        exchange.hold_acks()
        pool.rotate()
        until_both_have_met(pool, *topics)
        lose_the_old_one(market, changes)
        settle(pool)
        numbers.wait_for(topics, 3)

        assert gaps == []
        assert numbers.faults(topics) == []
        wait_until(lambda: changes[-1].state == "connected")
        assert pool.get_statistics()["rotations"] == 1


@pytest.mark.parametrize("phase", ["opening", "overlapping", "switching"])
def test_stop_in_every_phase_leaves_nothing_and_a_start_has_all_topics(
    phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, numbers = Gate(), Numbers()
    is_held = [False]

    def handle(message: Message) -> None:
        if is_held[0]:
            gate.pass_through()
        numbers.on_data(message)

    with trading(pairs=4, connections=2, numbers=numbers, on_data=handle, rate=400.0) as market:
        exchange, pool, _, topics = market
        monkeypatch.setattr(handover, "OVERLAP", PATIENCE)  # quiet topics are waited for
        (exchange.hold_acks if phase == "opening" else exchange.stop_feed)()
        pool.rotate()

        def phases() -> list[str]:
            return [one.handover.phase.value for one in pool._moves._moving]

        if phase == "switching":
            wait_until(lambda: phases() == ["overlapping"] * 2)
            is_held[0] = True
            exchange.resume_feed()
            gate.wait_for_arrival()
        wait_until(lambda: phases() == [phase] * 2, PATIENCE, f"both to be {phase}")
        before = time.monotonic()
        stopped = pool.stop(0.5)
        assert time.monotonic() - before < PATIENCE / 2
        is_held[0] = False
        gate.open()
        assert stopped or phase == "switching"
        assert pool.stop(PATIENCE)
        assert [name for name in library_threads() if not name.startswith("wsr-test-")] == []
        assert not pool.is_moving
        wait_until(lambda: exchange.connection_count == 0)
        assert pool.subscriptions == set(topics)

        exchange.release_acks()
        exchange.resume_feed()
        numbers.by_topic.clear()
        pool.start()
        assert pool.wait_until_ready(PATIENCE)
        numbers.wait_for(topics, 3)
        assert numbers.faults(topics) == []
        assert exchange.connection_count == 2
        assert not pool.is_moving


def test_a_pool_that_is_stopped_while_a_rotated_connection_is_down_moves_nothing() -> None:
    with trading(pairs=1, connections=1, rotation=BREAK) as (exchange, pool, _, topics):
        exchange.pause_accepting()
        pool.rotate()
        wait_until(lambda: exchange.connection_count == 0)
        wait_until(lambda: pool.is_moving)
        assert pool.stop(PATIENCE)
        wait_until(lambda: not pool.is_moving, 0.0)

        exchange.resume_accepting()
        pool.start()
        assert pool.wait_until_ready(PATIENCE)
        assert not pool.is_moving
        assert pool.subscriptions == set(topics)


def test_what_was_moved_is_looked_at_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_moves, "CATCH_UP", 0.1)
    with trading(pairs=12, connections=2) as market:
        pool = market.pool
        gone = market.group(0)[:-1]
        kept = [topic for topic in market.topics if topic not in gone]
        pool.unsubscribe(*gone)
        pool.rebalance()
        pool.rotate()
        settle(pool)
        members = pool._roster.members()
        wait_until(lambda: not any(member._gates for member in members))
        market.numbers.wait_for(kept, 3)
        assert market.numbers.faults(kept) == []


def test_a_stop_during_the_switch_loses_no_topic_that_has_joined() -> None:
    gate, stuck = Gate(), [False]

    def handle(_message: Message) -> None:
        if stuck[0]:
            gate.pass_through()

    with FakeExchange("binance", rate=400.0) as exchange:
        first, second, third, *_ = trades(exchange.symbols)
        with pooling(exchange, first, second, rotation=MAKE, on_data=handle) as pool:
            exchange.hold_acks()
            pool.rotate()
            change = until_both_have_met(pool, first, second)
            stuck[0] = True
            gate.wait_for_arrival()
            exchange.release_acks()
            wait_until(lambda: change.phase is handover.Phase.SWITCHING, PATIENCE)
            pool.subscribe(third)
            stuck[0] = False
            gate.open()
            pool.stop()
            assert pool.subscriptions == {first, second, third}


def test_stuck_handlers_do_not_keep_others_from_being_rotated() -> None:
    gate = Gate()
    with FakeExchange("binance", rate=400.0) as exchange:
        topics = trades(exchange.symbols)[:5]
        stuck = set(topics[:4])

        def handle(message: Message) -> None:
            if message.topic in stuck:
                gate.pass_through()

        with pooling(
            exchange,
            *topics,
            rotation=MAKE,
            on_data=handle,
            max_subscriptions_per_connection=1,
        ) as pool:
            for _ in range(4):
                gate.wait_for_arrival()
            pool.rotate()
            wait_until(lambda: pool.get_statistics()["rotations"] == 1, 3 * PATIENCE)
            gate.open()
