"""Everything at once from several threads, and the process around a pool."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support import BOUND, stack_of
from wsresilient import (
    ConnectionPool,
    Message,
    ReconnectPolicy,
    SubscriptionLimitError,
    WSResilientError,
)
from wsresilient.runtime.pool_connection import PoolConnection
from wsresilient.testing import FakeExchange, wait_until

from .clients import library_threads
from .pool_tools import USUAL, Numbers, settle, symbols, trades
from .servers import PATIENCE
from .test_pool import unpaced
from .test_process import BEGIN, BEGIN_FORK, Script, needs_fork

#: Calls of each thread.
CALLS = 30


@pytest.fixture
def switching_often() -> Iterator[None]:
    """Let threads change places thousands of times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def left_over() -> list[str]:
    """Name the library's threads, those of the test aside."""
    return [name for name in library_threads() if not name.startswith("wsr-test-")]


class Riot:
    """Threads that do what a user may do, in no order; each call is bounded by itself."""

    def __init__(self, pool: ConnectionPool, exchange: FakeExchange, topics: list[str]) -> None:
        self.pool = pool
        self.exchange = exchange
        self.topics = topics
        self.errors: list[BaseException] = []
        self.threads: list[threading.Thread] = []

    def begin(self, name: str, seed: int, *calls: Callable[[random.Random], object]) -> None:
        def run() -> None:
            chance = random.Random(seed)
            for _ in range(CALLS):
                try:
                    chance.choice(calls)(chance)
                except SubscriptionLimitError:
                    continue  # the others have taken the places
                except BaseException as error:
                    self.errors.append(error)

        thread = threading.Thread(target=run, name=name, daemon=True)
        self.threads.append(thread)
        thread.start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join(BOUND)
            assert not thread.is_alive(), f"a deadlock:\n{stack_of(thread)}"
        assert self.errors == []

    # What they do.

    def some(self, chance: random.Random) -> list[str]:
        return chance.sample(self.topics, 4)

    def subscribe(self, chance: random.Random) -> None:
        self.pool.subscribe(*self.some(chance))

    def unsubscribe(self, chance: random.Random) -> None:
        self.pool.unsubscribe(*self.some(chance))

    def replace(self, chance: random.Random) -> None:
        self.pool.set_subscriptions(self.some(chance) + self.some(chance))

    def rebalance(self, _chance: random.Random) -> None:
        self.pool.rebalance()

    def rotate(self, chance: random.Random) -> None:
        try:
            self.pool.rotate(*chance.sample(list(self.pool.get_connection_metrics()), 1))
        except ValueError:  # there is none, or it is gone by now
            self.pool.rotate()

    def restart(self, _chance: random.Random) -> None:
        self.pool.restart_unhealthy_connections()

    def look(self, _chance: random.Random) -> None:
        self.pool.check_health()
        self.pool.get_statistics()
        repr(self.pool)

    def cut(self, chance: random.Random) -> None:
        connections = self.exchange.connections
        if connections:
            self.exchange.abort_one(chance.choice(connections))

    def start(self, _chance: random.Random) -> None:
        self.pool.start()

    def stop(self, chance: random.Random) -> None:
        self.pool.stop(chance.choice([0.0, 0.05, BOUND / 2]))


@pytest.mark.usefixtures("switching_often")
@pytest.mark.parametrize(
    ("rotation", "redundancy"),
    [("make_before_break", 1), ("break_before_make", 1), ("make_before_break", 2)],
)
@pytest.mark.parametrize("stopping", [False, True], ids=["running", "started and stopped"])
def test_everything_at_once_from_several_threads(
    rotation: str, redundancy: int, stopping: bool
) -> None:
    numbers = Numbers()
    with FakeExchange(
        "binance", symbols=symbols(16), rate=500.0, message_rate=None, connect_rate=None
    ) as exchange:
        topics = trades(exchange.symbols)
        pool = ConnectionPool(
            unpaced(exchange.venue, connects=None),
            **{
                **USUAL,
                "reconnect": ReconnectPolicy(initial_delay=0.001, max_delay=0.01),
                "connect_batch_interval": 0.0,
                "max_connections": 6,
                "max_subscriptions_per_connection": 4,
                "rotation": rotation,
                "redundancy": redundancy,
                "on_data": numbers.on_data,
            },
        )
        riot = Riot(pool, exchange, topics)
        with pool:
            riot.begin("one", 1, riot.subscribe, riot.unsubscribe)
            riot.begin("two", 2, riot.subscribe, riot.replace, riot.rebalance)
            riot.begin("three", 3, riot.rotate, riot.rebalance)
            riot.begin("four", 4, riot.cut, riot.restart, riot.look)
            riot.begin("five", 5, riot.start, riot.stop if stopping else riot.look)
            riot.join()

            # After all that the pool is what it should be.
            pool.start()
            pool.set_subscriptions(topics[:10])
            settle(pool)
            assert pool.wait_until_ready(PATIENCE), pool.check_health()
            wait_until(lambda: exchange.subscriptions == dict.fromkeys(topics[:10], redundancy))

            def come_whole() -> bool:
                numbers.by_topic.clear()
                numbers.wait_for(topics[:10], 5)
                return numbers.faults(topics[:10]) == []

            # With redundancy, what one connection has still in its queue or its socket may come
            # later than what the other one brings, which was lost and is back (docs/pool.rst).
            wait_until(come_whole, PATIENCE if redundancy > 1 else 0.0)
            assert pool.check_health()["all_healthy"]
        assert pool.stop(PATIENCE)
        wait_until(lambda: left_over() == [])
        wait_until(lambda: exchange.connection_count == 0)


@pytest.mark.usefixtures("switching_often")
def test_handlers_that_change_the_pool_deadlock_with_nobody() -> None:
    chance = random.Random(7)
    errors: list[BaseException] = []
    pools: list[ConnectionPool] = []
    heard = [0]

    def meddle(message: Message) -> None:
        heard[0] += 1
        try:
            action = chance.choice(["subscribe", "unsubscribe", "rebalance", "rotate", "look"])
            if action in ("subscribe", "unsubscribe"):
                getattr(pools[0], action)(chance.choice(topics[1:]))
            elif action == "look":
                pools[0].get_statistics()
            else:
                getattr(pools[0], action)()
        except WSResilientError as error:
            errors.append(error)

    with FakeExchange(
        "binance", symbols=symbols(8), rate=300.0, message_rate=None, connect_rate=None
    ) as exchange:
        topics = trades(exchange.symbols)
        pool = ConnectionPool(
            unpaced(exchange.venue, connects=None),
            **{
                **USUAL,
                "max_connections": 4,
                "max_subscriptions_per_connection": 4,
                "connect_batch_interval": 0.0,
                "rotation": "make_before_break",
                "on_data": meddle,
            },
        )
        pools.append(pool)
        pool.subscribe(topics[0])
        with pool:
            wait_until(lambda: heard[0] > 100, PATIENCE)
        assert pool.stop(PATIENCE)
        assert errors == []
        wait_until(lambda: left_over() == [])


@pytest.mark.parametrize("meanwhile", ["stopped", "let go"])
def test_a_connection_whose_start_comes_too_late_does_not_live_on(
    meanwhile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[PoolConnection] = []
    start = PoolConnection.start

    def start_late(self: PoolConnection) -> object:
        late.append(self)
        if meanwhile == "stopped":
            pool._request_stop()
        else:
            pool.unsubscribe("btcusdt@trade")
            pool._keeper.close_empty()
            pool._roster.forget_ended()
        return start(self)

    monkeypatch.setattr(PoolConnection, "start", start_late)
    with FakeExchange("binance") as exchange:
        pool = ConnectionPool(unpaced(exchange.venue, connects=None), **USUAL)
        pool.subscribe("btcusdt@trade")
        pool.start()
        wait_until(lambda: late and not late[0].is_running)
        assert pool.stop(PATIENCE)
        wait_until(lambda: left_over() == [])
        wait_until(lambda: exchange.connection_count == 0)


# The process.

POOL = """
from wsresilient import ConnectionPool
from wsresilient.venues import Binance
heard = threading.Event()
pool = ConnectionPool(
    Binance(url=url), max_subscriptions_per_connection=1, connect_batch_interval=0.05,
    on_data=lambda message: heard.set(), rotation="make_before_break", auto_restart=True,
    unhealthy_after=0.0,
)
pool.subscribe("btcusdt@trade", "ethusdt@trade")
pool.start()
assert pool.wait_until_ready(30)
assert heard.wait(30)
"""


def test_a_process_ends_without_a_stop() -> None:
    with FakeExchange("binance") as exchange:
        script = Script(BEGIN + POOL + "pool.rotate()\ntold('end')", exchange.url)
        assert script.line() == "end"
        code, out, err = script.end()
        assert (code, out, err) == (0, "", "")
        wait_until(lambda: exchange.connection_count == 0)


FORK = (
    BEGIN_FORK
    + POOL
    + """
pool.rotate()
child = os.fork()
if not child:
    heard.clear()
    before = [thread.name for thread in threading.enumerate()]
    assert not pool.wait_until_ready(1), "it is stopped in a child"
    assert pool.subscriptions == {"btcusdt@trade", "ethusdt@trade"}
    pool.start()
    assert pool.wait_until_ready(30)
    assert heard.wait(30)
    pool.rotate()
    while pool.is_moving:
        time.sleep(0.01)
    assert pool.stop()
    told("child", len(before))
    os._exit(0)
_, status = os.waitpid(child, 0)
heard.clear()
assert heard.wait(30)
while pool.is_moving:
    time.sleep(0.01)
told("parent", status, pool.check_health()["all_healthy"])
pool.stop()
"""
)


@needs_fork
def test_a_child_begins_anew_and_the_parent_goes_on() -> None:
    with FakeExchange("binance") as exchange:
        script = Script(FORK, exchange.url)
        assert script.line() == "child 1"
        assert script.line() == "parent 0 True"
        code, out, err = script.end()
        assert (code, out, err) == (0, "", "")
