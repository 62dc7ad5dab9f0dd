"""280 streams of Binance, each on a connection of its own.

Opened all at once they use up what Binance allows an address, 300 connects in five minutes, and the
first outage locks it out. A pool warms up: 20 connections, two seconds later the next 20. After an
outage the delays are spread at random, and a ConnectLimiter keeps all connects below the limit;
given a path, it does so for all processes of the machine together.

One connection takes up to 1024 streams. One for each is for those who want a failure to touch one
stream only: leave max_subscriptions_per_connection out and the same program needs three.

    python binance_280_streams.py
    python binance_280_streams.py --demo        # a few seconds, against an exchange on this machine
"""

import argparse
import logging
import threading
import time
from collections import Counter

from wsresilient import ConnectionPool, ConnectLimiter, Message, RestClient
from wsresilient.testing import FakeExchange
from wsresilient.venues import Binance, Venue

STREAMS = 280


class Streams:
    def __init__(self, venue: Venue, symbols: list[str], *, batch_interval: float = 2.0) -> None:
        self.received: Counter[str] = Counter()
        self.pool = ConnectionPool(
            venue,
            max_connections=len(symbols),
            max_subscriptions_per_connection=1,
            connect_batch_size=20,
            connect_batch_interval=batch_interval,
            connect_limiter=ConnectLimiter(300, 300.0),
            on_data=self.on_trade,
        )
        self.pool.subscribe(*[("trade", symbol) for symbol in symbols])

    def on_trade(self, message: Message) -> None:
        # One symbol, one connection: never two at a time.
        self.received[str(message.symbol)] += 1

    def print_health(self) -> None:
        health = self.pool.check_health()
        print(
            f"{health['healthy']} of {health['total']} connections healthy, "
            f"{health['waiting']} not opened yet, {self.received.total():,} trades, "
            f"{threading.active_count()} threads"
        )
        for name, reason in health["reasons"].items():
            print(f"  {name}: {reason}")


def run() -> None:
    with RestClient(Binance()) as rest:
        symbols = rest.top_by_volume(STREAMS, quote="USDT")
    streams = Streams(Binance(), symbols)
    with streams.pool:
        try:
            while True:
                time.sleep(5.0)
                streams.print_health()
        except KeyboardInterrupt:
            print("stopped")


def demo() -> None:
    symbols = [f"COIN{number:03}USDT" for number in range(1, 81)]
    with FakeExchange("binance", symbols=symbols, rate=800.0) as exchange:
        streams = Streams(exchange.venue, symbols, batch_interval=0.5)
        with streams.pool:
            while not streams.pool.wait_until_ready(timeout=0.5):
                streams.print_health()
            time.sleep(1.0)
            streams.print_health()
        print(f"{len(streams.received)} streams, limits exceeded: {len(exchange.violations)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="280 streams of Binance.")
    parser.add_argument("--demo", action="store_true")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    demo() if parser.parse_args().demo else run()
