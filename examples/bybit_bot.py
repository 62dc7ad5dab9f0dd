"""A trading bot on Bybit whose stream holds while the strategy is thinking.

Bots like this one lost their stream every other minute with "ping/pong timed out": the strategy
ran where messages are read, and while it was computing nobody answered the pings. Here the stream
has a thread of its own. Pings are answered however long a handler takes, and of the trades that it
cannot keep up with the oldest are dropped, and counted.

    python bybit_bot.py BTCUSDT ETHUSDT
    python bybit_bot.py --demo          # a few seconds, against an exchange on this machine

With BYBIT_API_KEY and BYBIT_API_SECRET in the environment it follows its own orders, too.
"""

import argparse
import os
import statistics
import time
from collections import deque

from wsresilient import Credentials, Message, ResilientWebSocket, print_connection_report
from wsresilient.testing import FakeExchange
from wsresilient.venues import Bybit, Venue

THINKING = 1.5  # seconds that one decision takes


class Bot:
    def __init__(self, symbols: list[str], market: Venue) -> None:
        self.prices = {symbol: deque[float](maxlen=100) for symbol in symbols}
        self.market = ResilientWebSocket(
            venue=market,
            name="market",
            on_data=self.on_trades,
            queue_size=100,
            overflow="drop_oldest",
            slow_handler_after=5.0,  # a decision that takes longer is reported
        )
        self.market.subscribe(*[("publicTrade", symbol) for symbol in symbols])
        self.streams = [self.market]

    def follow_orders(self, account: Venue, login: Credentials) -> None:
        orders = ResilientWebSocket(venue=account, auth=login, name="orders", on_data=self.on_order)
        orders.subscribe("order")
        self.streams.append(orders)

    def on_trades(self, message: Message) -> None:
        prices = self.prices[str(message.symbol)]
        prices.extend(float(trade["p"]) for trade in message.data)
        time.sleep(THINKING)  # your strategy takes its place
        side = "buy" if prices[-1] < statistics.fmean(prices) else "sell"
        print(f"{message.symbol} at {prices[-1]:,.2f}: would {side}")

    def on_order(self, message: Message) -> None:
        for order in message.data:
            print(f"order {order['orderId']} of {order['symbol']}: {order['orderStatus']}")

    def start(self) -> None:
        for stream in self.streams:
            stream.start()

    def stop(self) -> None:
        for stream in self.streams:
            stream.stop()


def run(symbols: list[str]) -> None:
    bot = Bot(symbols, Bybit("linear"))
    if "BYBIT_API_KEY" in os.environ:
        login = Credentials(os.environ["BYBIT_API_KEY"], os.environ["BYBIT_API_SECRET"])
        bot.follow_orders(Bybit(private=True), login)
    bot.start()
    try:
        bot.market.join()
    except KeyboardInterrupt:
        bot.stop()


def demo() -> None:
    # This exchange pings twice a second and cuts whoever has not answered within one.
    with FakeExchange("bybit", rate=20.0, ping_interval=0.5, pong_timeout=1.0) as exchange:
        bot = Bot(["BTCUSDT"], exchange.venue)
        account = Bybit(private=True, url=f"{exchange.base_url}/v5/private")
        bot.follow_orders(account, Credentials("key", "secret"))
        bot.start()
        time.sleep(2.0)
        filled = {"orderId": "1", "symbol": "BTCUSDT", "orderStatus": "Filled"}
        exchange.push_private("order", [filled])
        time.sleep(2.0)
        print_connection_report()
        bot.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A trading bot on Bybit.")
    parser.add_argument("symbols", nargs="*", default=["BTCUSDT", "ETHUSDT"])
    parser.add_argument("--demo", action="store_true")
    arguments = parser.parse_args()
    demo() if arguments.demo else run(arguments.symbols)
