"""What a pool of single-stream connections costs, and whether it keeps to the exchange's limits.

The fake Binance, with the limits of the real one, runs in a process of its own. The pool opens 280
connections, 20 every 2 seconds, with one stream each. Then they stream for a while, all of them are
replaced (make before break), and all are stopped.

    python benchmarks/pool.py
    python benchmarks/pool.py --connections 100 --seconds 5 --rate 0
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness import BenchmarkError, describe_environment

from wsresilient import ConnectionPool, ConnectLimiter, Message
from wsresilient.testing import FakeExchange, wait_until
from wsresilient.venues import Binance

LIMIT = 120.0


@dataclass(frozen=True)
class Usage:
    """What this process uses at a moment."""

    resident_kib: float
    threads: int
    cpu_seconds: float
    at: float

    @classmethod
    def now(cls) -> Usage:
        """Look at the process."""
        gc.collect()
        with open("/proc/self/statm", encoding="ascii") as statm:
            pages = int(statm.read().split()[1])
        kib = pages * os.sysconf("SC_PAGE_SIZE") / 1024
        return cls(kib, threading.active_count(), time.process_time(), time.monotonic())

    def cpu_since(self, before: Usage) -> float:
        """Per cent of a core since another look."""
        return 100 * (self.cpu_seconds - before.cpu_seconds) / (self.at - before.at)


class Numbers:
    """A handler that checks the numbers of trades: none missing, none twice, in order."""

    def __init__(self) -> None:
        self.latest: dict[str, int] = {}
        self.faults: Counter[str] = Counter()
        self.count = 0

    def on_data(self, message: Message) -> None:
        """Take a trade."""
        topic, number = str(message.topic), message.data["t"]
        latest = self.latest.get(topic)
        if latest is not None and number != latest + 1:
            self.faults["missing" if number > latest else "twice"] += 1
        self.latest[topic] = number
        self.count += 1


def measure(options: argparse.Namespace, url: str) -> None:
    """Go through the life of a pool, and print what it takes."""
    count = options.connections
    numbers = Numbers()
    pool = ConnectionPool(
        Binance(url=url),
        max_connections=count,
        max_subscriptions_per_connection=1,
        rotation="make_before_break",
        connect_limiter=ConnectLimiter(_connects(count), 300.0),
        on_data=numbers.on_data,
    )
    with ConnectionPool(Binance(url=url), name="first") as first:  # loads what is loaded once
        first.subscribe(*(f"first{number}usdt@trade" for number in range(3)))
        first.wait_until_ready(LIMIT)
    before = Usage.now()
    pool.subscribe(*(f"coin{number:04}usdt@trade" for number in range(count)))
    with pool:
        if not pool.wait_until_ready(LIMIT):
            raise BenchmarkError(f"not ready: {pool.check_health()}")
        up = Usage.now()
        print(f"warm-up       {count} connections up after {up.at - before.at:.1f} s")
        _per_connection("memory", (up.resident_kib - before.resident_kib) / count, "KiB")
        _per_connection("threads", (up.threads - before.threads) / count, "")
        print(f"              CPU {up.cpu_since(before):.1f} % of a core")
        began, received = Usage.now(), numbers.count
        time.sleep(options.seconds)
        now = Usage.now()
        rate = (numbers.count - received) / (now.at - began.at)
        print(f"streaming     {rate:.0f} messages a second, CPU {now.cpu_since(began):.1f} %")
        began = Usage.now()
        pool.rotate()
        wait_until(lambda: not pool.is_moving, LIMIT + count, "the rotation")
        now = Usage.now()
        statistics = pool.get_statistics()
        print(
            f"rotation      {statistics['rotations']} replaced in {now.at - began.at:.1f} s, "
            f"{statistics['duplicates_dropped']} duplicates dropped, "
            f"CPU {now.cpu_since(began):.1f} %"
        )
        began = Usage.now()
    print(
        f"stop          {Usage.now().at - began.at:.2f} s, {threading.active_count()} thread left"
    )
    print(f"numbers       {numbers.count} messages, faults: {dict(numbers.faults) or 'none'}")


def _connects(count: int) -> int:
    """Connects that are allowed in five minutes: the real 300, or what the rotation needs too."""
    return max(300, 2 * count + 20)


def _per_connection(what: str, amount: float, unit: str) -> None:
    print(f"              {what} per connection: {amount:.2f} {unit}")


def judge(report: dict[str, Any], options: argparse.Namespace) -> None:
    """Print what the exchange has seen."""
    times = report["handshakes"][3 : 3 + options.connections]
    windows = {
        seconds: max(sum(begin <= at < begin + seconds for at in times) for begin in times)
        for seconds in (0.1, 1.0, 2.0)
    }
    print("server        most handshakes within", end=" ")
    print(", ".join(f"{seconds:g} s: {most}" for seconds, most in windows.items()))
    print(f"              limits exceeded: {len(report['violations'])}")


@contextlib.contextmanager
def exchange_process(options: argparse.Namespace) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Run the exchange in a process of its own; its report is in the list afterwards."""
    command = [sys.executable, __file__, "--serve"]
    command += ["--connections", str(options.connections), "--rate", str(options.rate)]
    reports: list[dict[str, Any]] = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        if not line:
            raise BenchmarkError("the exchange did not start")
        try:
            yield line, reports
        finally:
            out, _ = process.communicate("", timeout=LIMIT)
            reports.append(json.loads(out))


def serve(options: argparse.Namespace) -> None:
    """Be the exchange until standard input ends, and then say what was seen."""
    symbols = [f"COIN{number:04}USDT" for number in range(options.connections)]
    limit = (_connects(options.connections), 300.0)
    with FakeExchange(
        "binance", symbols=symbols, rate=options.rate, connect_rate=limit
    ) as exchange:
        print(exchange.url, flush=True)
        sys.stdin.read()
        handshakes = [one.at for one in exchange.handshakes]
        violations = [str(one.what) for one in exchange.violations]
        print(json.dumps({"handshakes": handshakes, "violations": violations}), flush=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=280)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to stream")
    parser.add_argument("--rate", type=float, default=560.0, help="messages a second of all")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.connections < 1 or options.seconds <= 0 or options.rate < 0:
        parser.error("--connections and --seconds must be positive, --rate must not be negative")
    if options.serve:
        serve(options)
        return 0
    environment = describe_environment()
    print(
        f"Python {environment['python']} on {environment['platform']}, load {environment['load']}"
    )
    with exchange_process(options) as (url, reports):
        measure(options, url)
    judge(reports[0], options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
