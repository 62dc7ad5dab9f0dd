"""What it costs to be watched: throughput with dashboard and metrics, against without.

The same connection is measured in turn without anything, and with a dashboard whose page asks for
its state once a second and for its history every three, and a Prometheus that scrapes every five.
Whoever asks is another process, on any core; answering costs the client.

    python benchmarks/observed.py
    python benchmarks/observed.py --rounds 9 --seconds 5
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from harness import choose_cores, describe_environment, flood_server, run_child

CALIBRATION_MESSAGES = 500_000
LIMIT = 120.0
#: Seconds between two requests for each path.
ASKED = {"summary": 1.0, "history?minutes=1": 3.0, "metrics": 5.0}


def main() -> int:
    """Measure in turn, and print the rates and their ratio; fail only if a message was lost."""
    options = parse_arguments()
    if options.ask:
        print(ask_until_told(options.ask))
        return 0
    if options.child:
        print(json.dumps(measure(options)))
        return 0
    cores = choose_cores(pin=True)
    environment = describe_environment()
    print(f"Python {environment['python']}, {cores}, load {environment['load']}")
    with flood_server(cores, tls=False) as server:
        count = CALIBRATION_MESSAGES

        def run(*extra: str) -> dict[str, Any]:
            url = server.url("plain", f"count={count}&size={options.size}&payload=ascii")
            arguments = ["--child", url, "--count", str(count), "--dispatch", options.dispatch]
            if cores.client is not None:
                arguments += ["--cpu", str(cores.client)]
            return run_child("observed.py", [*arguments, *extra], LIMIT)

        count = int(run()["rate"] * options.seconds)
        ratios: list[float] = []
        for number in range(options.rounds):
            if number % 2:
                without, watched = run(), run("--watched")
            else:
                watched, without = run("--watched"), run()
            ratios.append(watched["rate"] / without["rate"])
            print(
                f"{without['rate']:12,.0f} without, {watched['rate']:12,.0f} watched "
                f"({watched['answers']} answers): {ratios[-1]:.3f}",
                flush=True,
            )
    print(f"median {statistics.median(ratios):.3f} ({min(ratios):.3f} .. {max(ratios):.3f})")
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one, roughly")
    parser.add_argument("--size", type=int, default=120)
    parser.add_argument("--dispatch", choices=("thread", "inline"), default="thread")
    parser.add_argument("--child", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--ask", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--cpu", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--watched", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Receive all messages, in this process."""
    import wsresilient

    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    received, times = 0, [0.0, 0.0]
    done = threading.Event()

    def handle(_payload: str | bytes) -> None:
        nonlocal received
        received += 1
        if received == 1:
            times[0] = time.perf_counter()
        elif received == options.count:
            times[1] = time.perf_counter()
            done.set()

    with contextlib.ExitStack() as stack:
        stop_asking: Callable[[], int] = int
        if options.watched:
            dashboard = wsresilient.start_dashboard(port=0)
            stack.callback(dashboard.stop)
            stop_asking = stack.enter_context(asking(dashboard.url))
        ws = wsresilient.connect(options.child, on_message=handle, dispatch=options.dispatch)
        stack.callback(ws.stop)
        if not done.wait(LIMIT):
            raise SystemExit(f"{received} of {options.count} messages came within {LIMIT:g} s")
        return {"rate": options.count / (times[1] - times[0]), "answers": stop_asking()}


@contextlib.contextmanager
def asking(url: str) -> Iterator[Callable[[], int]]:
    """Let another process ask; gives what ends that and returns the number of answers."""
    command = [sys.executable, __file__, "--ask", url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield lambda: int(process.communicate()[0])


def ask_until_told(url: str) -> int:
    """Ask for all paths again and again until standard input ends."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # the parent has one core
    told = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        told.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    due, answers = dict.fromkeys(ASKED, 0.0), 0
    while not told.wait(max(0.0, min(due.values()) - time.monotonic())):
        for path, pause in ASKED.items():
            if time.monotonic() >= due[path]:
                due[path] = time.monotonic() + pause
                with urllib.request.urlopen(url.rstrip("/") + "/" + path, timeout=LIMIT) as answer:
                    answers += answer.status == 200
    return answers


if __name__ == "__main__":
    sys.exit(main())
