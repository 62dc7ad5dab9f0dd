"""Pools against the fake exchange: quick settings, and streams whose numbers tell what is lost."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from wsresilient import ConnectionPool, Message, Monitor
from wsresilient.testing import FakeExchange, wait_until

from .clients import CLOSE_TIMEOUT, QUICK, library_threads
from .servers import PATIENCE

__all__ = ["Numbers", "by_itself", "pooling", "settle", "symbols", "trades"]

#: For pools: a client that waits politely holds a test up.
USUAL: dict[str, Any] = {
    "name": "pool",
    "reconnect": QUICK,
    "close_timeout": CLOSE_TIMEOUT,
    "check_interval": 0.05,
    "connect_batch_interval": 0.05,
}


def symbols(count: int, suffix: str = "USDT") -> list[str]:
    """Name so many symbols."""
    return [f"COIN{number:04}{suffix}" for number in range(1, count + 1)]


def trades(names: Iterable[str]) -> list[str]:
    """Give Binance's topics of trades, which are numbered without a hole."""
    return [f"{name.lower()}@trade" for name in names]


class Numbers:
    """Takes numbered trades and says what is wrong with them.

    ``on_data`` is called side by side for different connections.
    """

    def __init__(self) -> None:
        self.by_topic: dict[str, list[int]] = defaultdict(list)
        self._busy: dict[str, int] = {}
        self.side_by_side: list[str] = []

    def on_data(self, message: Message) -> None:
        topic, me = str(message.topic), threading.get_ident()
        if self._busy.setdefault(topic, me) != me:
            self.side_by_side.append(topic)
        self.by_topic[topic].append(message.data["t"])
        self._busy.pop(topic, None)

    def wait_for(self, topics: Iterable[str], count: int = 1) -> None:
        """Wait until each of the topics has brought so many messages more."""
        goal = {topic: len(self.by_topic[topic]) + count for topic in topics}

        def all_came() -> bool:
            return all(len(self.by_topic[topic]) >= least for topic, least in goal.items())

        wait_until(all_came, PATIENCE, f"{count} more messages of each of {len(goal)} topics")

    def faults(self, topics: Iterable[str] | None = None) -> list[str]:
        """Name the topics of which a message is missing, came twice or out of order."""
        chosen = list(self.by_topic) if topics is None else list(topics)
        return [topic for topic in chosen if not _is_whole(self.by_topic[topic])]


def _is_whole(numbers: list[int]) -> bool:
    return bool(numbers) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@contextlib.contextmanager
def pooling(
    exchange: FakeExchange, *topics: Any, ready: bool = True, **settings: Any
) -> Iterator[ConnectionPool]:
    """Run a pool; at the end it must stop cleanly.

    :param ready: wait until all topics are confirmed.
    """
    pool = ConnectionPool(
        settings.pop("venue", None) or exchange.venue,
        **{"monitor": Monitor(), **USUAL, **settings},
    )
    try:
        pool.subscribe(*topics)
        pool.start()
        if ready:
            assert pool.wait_until_ready(PATIENCE), pool.check_health()
        yield pool
    finally:
        stopped = pool.stop(timeout=PATIENCE)
    left = [name for name in library_threads() if not name.startswith("wsr-test-")]
    assert (stopped, left) == (True, [])


def settle(pool: ConnectionPool) -> None:
    """Wait until nothing moves any more."""
    # A topic that brings nothing is taken for moved after 10 s only.
    wait_until(lambda: not pool.is_moving, 3 * PATIENCE, "the moves to be over")


def by_itself(exchange: FakeExchange) -> dict[str, int]:
    """Give the connection of each topic, where the topic is on one."""
    return {
        topic: number for number in exchange.connections for topic in exchange.active_topics(number)
    }
