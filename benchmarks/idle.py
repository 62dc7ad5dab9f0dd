"""What an idle connection costs: memory, threads, and CPU time while nothing happens.

A collector holds hundreds of connections, and most of them are quiet most of the time. Each client
opens a few connections first, so that modules, pools and caches are not charged to the others, then
N more. What grew between the two, divided by N, is the price of one connection.

    python benchmarks/idle.py
    python benchmarks/idle.py --connections 500 --tls
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import ssl
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from harness import (
    BenchmarkError,
    Server,
    choose_cores,
    describe_environment,
    flood_server,
    is_importable,
    run_child,
)

WARM_UP_CONNECTIONS = 5
SETTLE_SECONDS = 1.0
CONNECT_LIMIT = 60.0
STOP_LIMIT = 20.0

Stop = Callable[[], None]
Open = Callable[[str, ssl.SSLContext | None], Stop]


@dataclass(frozen=True)
class Usage:
    """What this process uses at a moment."""

    resident_bytes: int
    threads: int
    cpu_seconds: float

    @classmethod
    def now(cls) -> Usage:
        """Look at the process."""
        gc.collect()
        return cls(_resident_bytes(), threading.active_count(), time.process_time())


@dataclass(frozen=True)
class Price:
    """The result of one client."""

    connections: int
    kibibytes_per_connection: float
    threads_per_connection: float
    cpu_percent: float
    """Of one core, for all connections together, while nothing arrives."""
    stopped: int
    """How many of them could be stopped, one after the other, within STOP_LIMIT."""
    stop_seconds: float


def open_ours(url: str, context: ssl.SSLContext | None) -> Stop:
    """Open one connection of wsresilient in its default configuration."""
    from wsresilient import ResilientWebSocket

    websocket = ResilientWebSocket(url, on_message=_ignore, ssl_context=context)
    websocket.start()
    if not websocket.wait_until_connected(CONNECT_LIMIT):
        raise TimeoutError("not connected")

    def stop() -> None:
        websocket.stop()

    return stop


def open_websocket_client(url: str, context: ssl.SSLContext | None) -> Stop:
    """Open one run_forever in a thread, with the same ping settings as ours."""
    import websocket

    connected = threading.Event()

    def on_open(_app: websocket.WebSocketApp) -> None:
        connected.set()

    app = websocket.WebSocketApp(url, on_open=on_open)
    options = {} if context is None else {"context": context}
    arguments = {"sslopt": options, "ping_interval": 60, "ping_timeout": 30}
    thread = threading.Thread(target=app.run_forever, kwargs=arguments, daemon=True)
    thread.start()
    if not connected.wait(CONNECT_LIMIT):
        raise TimeoutError("not connected")

    def stop() -> None:
        app.close()
        thread.join(STOP_LIMIT)

    return stop


def open_websockets_sync(url: str, context: ssl.SSLContext | None) -> Stop:
    """Open one threaded client of websockets, and a thread that reads it as a script would."""
    from websockets.sync.client import connect

    connection = connect(url, ssl=context, compression=None)

    def read() -> None:
        for _ in connection:
            pass

    thread = threading.Thread(target=read, daemon=True)
    thread.start()

    def stop() -> None:
        connection.close()
        thread.join(STOP_LIMIT)

    return stop


CLIENTS: dict[str, tuple[str, Open]] = {
    "ours": ("wsresilient", open_ours),
    "websocket-client": ("websocket", open_websocket_client),
    "websockets-sync": ("websockets", open_websockets_sync),
}


def measure(opener: Open, options: argparse.Namespace) -> Price:
    """Open the connections, wait, and stop them again."""
    context = ssl.create_default_context(cafile=options.ca_file) if options.ca_file else None
    stops = [opener(options.url, context) for _ in range(WARM_UP_CONNECTIONS)]
    time.sleep(SETTLE_SECONDS)
    before = Usage.now()
    stops += [opener(options.url, context) for _ in range(options.connections)]
    time.sleep(SETTLE_SECONDS)
    opened = Usage.now()
    time.sleep(options.seconds)
    cpu_seconds = time.process_time() - opened.cpu_seconds
    stopped, stop_seconds = stop_all(stops[-options.connections :])
    grown = opened.resident_bytes - before.resident_bytes
    return Price(
        connections=options.connections,
        kibibytes_per_connection=grown / 1024 / options.connections,
        threads_per_connection=(opened.threads - before.threads) / options.connections,
        cpu_percent=100 * cpu_seconds / options.seconds,
        stopped=stopped,
        stop_seconds=stop_seconds,
    )


def stop_all(stops: list[Stop]) -> tuple[int, float]:
    """Stop one connection after the other, within a limit: (how many, how long)."""
    stopped = 0

    def run() -> None:
        nonlocal stopped
        for stop in stops:
            stop()
            stopped += 1

    began = time.monotonic()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(STOP_LIMIT)
    return stopped, time.monotonic() - began


def run_client(name: str, options: argparse.Namespace, server: Server) -> dict[str, Any]:
    """Measure one client in a process of its own."""
    transport = "tls" if options.tls else "plain"
    arguments = ["--child", name, "--url", server.url(transport, "idle=1")]
    arguments += ["--connections", str(options.connections), "--seconds", str(options.seconds)]
    if server.ca_file is not None:
        arguments += ["--ca-file", server.ca_file]
    limit = options.seconds + CONNECT_LIMIT + STOP_LIMIT + 0.5 * options.connections
    return run_child("idle.py", arguments, limit)


def main() -> int:
    """Measure the chosen clients one after the other and print a table."""
    options = _parse_arguments()
    if options.child:
        price = measure(CLIENTS[options.child][1], options)
        print(json.dumps(asdict(price)), flush=True)
        os._exit(0)
    environment = describe_environment()
    print(f"Python {environment['python']} on {environment['platform']}: {options.connections}")
    print(f"idle {'TLS' if options.tls else 'plain'} connections, {options.seconds:g} s\n")
    print("client              KiB/connection  threads/connection  CPU of a core  stopped")
    failed = False
    with flood_server(choose_cores(pin=False), tls=options.tls) as server:
        for name in options.clients:
            if not is_importable(CLIENTS[name][0]):
                print(f"{name:<18}  not importable here")
                continue
            try:
                price = Price(**run_client(name, options, server))
            except BenchmarkError as error:
                print(f"{name:<18}  FAILED: {error}")
                failed = True
                continue
            print(
                f"{name:<18}  {price.kibibytes_per_connection:>14.1f}  "
                f"{price.threads_per_connection:>18.2f}  {price.cpu_percent:>11.2f} %  "
                f"{price.stopped} in {price.stop_seconds:.2f} s",
                flush=True,
            )
    return 1 if failed else 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to watch them idle")
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=list(CLIENTS))
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--child", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--ca-file", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.connections < 1 or options.seconds <= 0:
        parser.error("--connections and --seconds must be positive")
    return options


def _resident_bytes() -> int:
    """Memory that is really in use now, or its peak where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _ignore(_payload: str | bytes) -> None:
    """Take a message that never comes."""


if __name__ == "__main__":
    sys.exit(main())
