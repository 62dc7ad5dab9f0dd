"""An analyser of every contract of MEXC: 750 pairs and more, on a pool of connections.

MEXC takes about 100 topics on a connection and 10 connections from an address. A pool spreads the
pairs over as many connections as they need; when one of them fails, the others do not notice. Once
an hour the pairs are asked for anew: what is newly listed is subscribed, what is gone is dropped.

    python mexc_analyser.py
    python mexc_analyser.py --demo      # a few seconds, against an exchange on this machine
"""

import argparse
import logging
import time

from wsresilient import ConnectionPool, Message, TopByVolume
from wsresilient.testing import FakeExchange, wait_until
from wsresilient.venues import MEXC, Venue

MOST_PAIRS = 950


class Analyser:
    """Knows by how much each price has moved since it was first seen.

    The handler is called on several threads at a time, but for one pair only on one.
    """

    def __init__(self, venue: Venue, *, pairs_per_connection: int = 95) -> None:
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.pool = ConnectionPool(
            venue,
            channels=["deal"],
            max_connections=10,
            max_subscriptions_per_connection=pairs_per_connection,
            on_data=self.on_trades,
            auto_restart=True,
        )
        self.pool.follow(TopByVolume(MOST_PAIRS), every=3600.0)

    def on_trades(self, message: Message) -> None:
        pair, price = str(message.symbol), float(message.data[-1]["p"])
        self.first.setdefault(pair, price)
        self.last[pair] = price

    def print_movers(self, count: int = 5) -> None:
        moves = {pair: last / self.first[pair] - 1 for pair, last in list(self.last.items())}
        movers = sorted(moves, key=lambda pair: abs(moves[pair]), reverse=True)[:count]
        print(", ".join(f"{pair} {moves[pair]:+.2%}" for pair in movers))
        pool = self.pool.get_statistics()
        print(
            f"{pool['active_connections']} of {pool['total_connections']} connections, "
            f"{pool['confirmed_subscriptions']} of {pool['total_subscriptions']} pairs, "
            f"{pool['total_messages']:,} messages, {pool['reconnects']} reconnects\n"
        )


def run() -> None:
    analyser = Analyser(MEXC())
    with analyser.pool:
        try:
            while True:
                time.sleep(10.0)
                analyser.print_movers()
        except KeyboardInterrupt:
            print("stopped")


def demo() -> None:
    pairs = [f"COIN{number:03}_USDT" for number in range(1, 241)]
    with FakeExchange("mexc", symbols=pairs, rate=1000.0) as exchange:
        analyser = Analyser(exchange.venue, pairs_per_connection=30)
        with analyser.pool:
            wait_until(lambda: len(analyser.pool.subscriptions) == len(pairs))
            analyser.pool.wait_until_ready(timeout=10.0)
            analyser.print_movers()
            print("The exchange restarts:")
            exchange.restart()
            analyser.pool.wait_until_ready(timeout=10.0)
            analyser.print_movers()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An analyser of every contract of MEXC.")
    parser.add_argument("--demo", action="store_true")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    demo() if parser.parse_args().demo else run()
