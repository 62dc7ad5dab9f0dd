"""A ticker monitor for OKX: a table of prices that says which of them are old.

A price on a screen is worth something only if it is fresh, and that is known for each symbol, not
only for the connection. Symbols come and go while it runs, without a reconnect.

    python okx_ticker_monitor.py BTC-USDT ETH-USDT
    python okx_ticker_monitor.py --demo         # a few seconds, against an exchange on this machine
"""

import argparse
import logging
import time

from wsresilient import Message, ResilientWebSocket
from wsresilient.testing import FakeExchange
from wsresilient.venues import OKX, Venue

INTERVAL = 5.0  # seconds between two tables


class TickerMonitor:
    def __init__(self, venue: Venue, symbols: list[str]) -> None:
        self.tickers: dict[str, dict[str, str]] = {}
        self.stream = ResilientWebSocket(
            venue=venue, name="okx", channels=["tickers"], on_data=self.on_ticker
        )
        for symbol in symbols:
            self.stream.add_pair(symbol)

    def on_ticker(self, message: Message) -> None:
        self.tickers[str(message.symbol)] = message.data[0]

    def remove(self, symbol: str) -> None:
        self.stream.remove_pair(symbol)
        self.tickers.pop(symbol, None)

    def print_table(self, max_age: float = INTERVAL) -> None:
        print(f"\n{self.stream.state}, {len(self.tickers)} symbols")
        for symbol, ticker in sorted(self.tickers.items()):
            last, opened = float(ticker["last"]), float(ticker["open24h"])
            fresh = self.stream.is_fresh(f"tickers:{symbol}", max_age=max_age)
            note = "" if fresh else "  OLD"
            print(f"{symbol:<12} {last:>14,.4f} {last / opened - 1:>+8.2%}{note}")


def run(symbols: list[str]) -> None:
    monitor = TickerMonitor(OKX(), symbols)
    with monitor.stream:
        try:
            while True:
                time.sleep(INTERVAL)
                monitor.print_table()
        except KeyboardInterrupt:
            print("stopped")


def demo() -> None:
    with FakeExchange("okx") as exchange:
        monitor = TickerMonitor(exchange.venue, ["BTC-USDT", "ETH-USDT"])
        with monitor.stream:
            time.sleep(1.0)
            monitor.print_table()

            print("\nSOL-USDT comes, BTC-USDT goes, and of ETH-USDT nothing is heard any more:")
            monitor.stream.add_pair("SOL-USDT")
            monitor.remove("BTC-USDT")
            exchange.silence("tickers:ETH-USDT")
            time.sleep(1.0)
            monitor.print_table(max_age=0.5)

            print("\nThe exchange restarts:")
            exchange.unsilence("tickers:ETH-USDT")
            exchange.restart()
            time.sleep(2.5)
            monitor.print_table()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A ticker monitor for OKX.")
    parser.add_argument("symbols", nargs="*", default=["BTC-USDT", "ETH-USDT", "SOL-USDT"])
    parser.add_argument("--demo", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    demo() if arguments.demo else run(arguments.symbols)
