"""A collector of trades that runs for months, on Binance and OKX, into one file a day.

Binance cuts every connection after 24 hours. Before that, at night, the pool moves the topics to a
new connection, which is up and subscribed before the old one goes: nothing is missing, nothing
comes twice. Where something may be missing after an outage, a line of the file says so. Alerts go
to the log, or with a WebhookNotifier to Slack, Telegram or wherever you like.

    python collector.py data/
    python collector.py --demo          # a few seconds, against exchanges on this machine
"""

import argparse
import datetime
import json
import logging
import signal
import tempfile
import threading
import time
from pathlib import Path

from wsresilient import AlertManager, ConnectionPool, Gap, Message
from wsresilient.testing import FakeExchange
from wsresilient.venues import OKX, Binance, Venue

BINANCE_TOPICS = ["btcusdt@trade", "ethusdt@trade"]
OKX_TOPICS = ["trades:BTC-USDT", "trades:ETH-USDT"]


class Collector:
    """Writes what comes from one exchange; several connections may call it at a time."""

    def __init__(self, venue: Venue, topics: list[str], folder: Path) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        self.pool = ConnectionPool(
            venue,
            on_data=self.on_trade,
            on_gap=self.on_gap,
            rotation="make_before_break",
            rotate_window=("03:00", "04:00"),
            auto_restart=True,
        )
        self.pool.subscribe(*topics)

    def on_trade(self, message: Message) -> None:
        self.write({"at": message.received_at, "topic": message.topic, "data": message.data})

    def on_gap(self, gap: Gap) -> None:
        gone = gap.topics or "all topics"
        self.write({"at": gap.ended_at, "gap": gone, "since": gap.started_at})

    def write(self, record: dict[str, object]) -> None:
        today = datetime.datetime.now(datetime.timezone.utc).date()
        path = self.folder / f"{self.pool.name}-{today}.jsonl"
        # Opened for each line: nothing has to be flushed, and midnight takes care of itself.
        with self.lock, path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def run(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    binance = Collector(Binance(), BINANCE_TOPICS, folder)
    okx = Collector(OKX(), OKX_TOPICS, folder)
    with AlertManager(), binance.pool, okx.pool:
        stopped.wait()


def demo() -> None:
    with tempfile.TemporaryDirectory() as folder, FakeExchange("okx") as exchange:
        okx = Collector(exchange.venue, OKX_TOPICS, Path(folder))
        with okx.pool:
            time.sleep(1.0)
            okx.pool.rotate()  # as at night
            time.sleep(1.5)
            exchange.restart()  # as nobody has announced
            time.sleep(2.5)
        lines = "".join(path.read_text("utf-8") for path in Path(folder).iterdir()).splitlines()
        gaps = [line for line in lines if '"gap"' in line]
        rotations = okx.pool.get_statistics()["rotations"]
        print(f"{len(lines) - len(gaps)} messages, {rotations} rotation, {len(gaps)} gap:", *gaps)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A collector of trades.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("data"))
    parser.add_argument("--demo", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    demo() if arguments.demo else run(arguments.folder)
