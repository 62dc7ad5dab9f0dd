"""Run the Autobahn test suite against this library, and judge its report.

The suite is a server that plays 500 cases of the WebSocket protocol at a client, good and bad.
It needs a Python 2.7, which is looked for on PATH and in pyenv; where there is none, this says
so and ends with 0. It is installed into a virtualenv of its own beside the tox environment.

    python tests/autobahn/run.py [--cases 1.* 2.*] [--work DIRECTORY]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import wsresilient

AGENT = "wsresilient"
#: Categories 1 to 7, 9, 10: framing, pings, reserved bits, opcodes, fragments, UTF-8, closing,
#: limits; 12 and 13: compression.
PLAIN_CASES = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*")
COMPRESSED_CASES = ("12.*", "13.*")
#: What counts as passed. UNIMPLEMENTED: offers of compression that a client need not make.
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}
CASE_TIMEOUT = 120.0


def find_python27() -> str | None:
    """Find a Python 2.7 that runs."""
    pyenv = pathlib.Path.home() / ".pyenv" / "versions"
    candidates = [shutil.which("python2.7"), *map(str, sorted(pyenv.glob("2.7*/bin/python2.7")))]
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "-V"], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def install_suite(python27: str, work: pathlib.Path) -> pathlib.Path:
    """Install the suite once; returns the path of ``wstest``."""
    wstest = work / "suite" / "bin" / "wstest"
    if wstest.exists():
        return wstest
    boot = work / "boot"
    run = [python27, "-m", "pip", "install", "-q", "--target", str(boot), "virtualenv==20.15.1"]
    subprocess.run(run, check=True, stderr=subprocess.DEVNULL)
    environment = {**os.environ, "PYTHONPATH": str(boot)}
    make = [python27, "-m", "virtualenv", "-q", str(work / "suite")]
    subprocess.run(make, check=True, env=environment)
    pip = work / "suite" / "bin" / "pip"
    subprocess.run([str(pip), "install", "-q", "autobahntestsuite"], check=True)
    return wstest


@contextlib.contextmanager
def fuzzing_server(
    wstest: pathlib.Path, work: pathlib.Path, cases: tuple[str, ...]
) -> Iterator[int]:
    """Run the suite's server; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    spec = {
        "url": f"ws://127.0.0.1:{port}",
        "outdir": str(work / "reports"),
        "cases": list(cases),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    specification = work / "fuzzingserver.json"
    specification.write_text(json.dumps(spec))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    server = subprocess.Popen(
        [str(wstest), "-m", "fuzzingserver", "-s", str(specification)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=work,
        env=environment,
    )
    try:
        wait_for_port(port)
        yield port
    finally:
        server.terminate()
        server.wait(10)


def wait_for_port(port: int) -> None:
    """Wait until something listens."""
    deadline = time.monotonic() + 60.0
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            threading.Event().wait(0.1)
        else:
            return


def run_case(url: str, *, compression: str | None, echo: bool) -> list[str | bytes]:
    """Open one connection, echo what comes, and wait until the server has closed it."""
    received: list[str | bytes] = []
    closed = threading.Event()

    def on_message(payload: str | bytes) -> None:
        received.append(payload)
        if echo:
            with contextlib.suppress(wsresilient.NotConnectedError):
                connection.send(payload)

    def on_state_change(change: wsresilient.StateChange) -> None:
        if change.state == "failed":
            closed.set()

    connection = wsresilient.ResilientWebSocket(
        url,
        on_message=on_message,
        on_state_change=on_state_change,
        reconnect=wsresilient.ReconnectPolicy(max_attempts=0),
        compression=compression,
        proxy="direct",
        ping_interval=0,
        max_size=64 * 1024 * 1024,
        send_timeout=60.0,
        stale_after=None,
    )
    connection.start()
    if not closed.wait(CASE_TIMEOUT):
        print(f"  {url}: not closed within {CASE_TIMEOUT:.0f} s", flush=True)
    connection.stop()
    return received


def run_cases(port: int, *, compression: str | None) -> None:
    """Run every case that the server offers, then make it write its report."""
    base = f"ws://127.0.0.1:{port}"
    count = int(run_case(f"{base}/getCaseCount", compression=None, echo=False)[0])
    for case in range(1, count + 1):
        url = f"{base}/runCase?case={case}&agent={AGENT}"
        run_case(url, compression=compression, echo=True)
        if case % 50 == 0 or case == count:
            print(f"  {case} of {count}", flush=True)
    run_case(f"{base}/updateReports?agent={AGENT}", compression=None, echo=False)


def judge(work: pathlib.Path) -> tuple[Counter[str], list[str]]:
    """Read the report; returns how cases ended, and the bad ones."""
    index: dict[str, Any] = json.loads((work / "reports" / "index.json").read_text())[AGENT]
    ends: Counter[str] = Counter()
    bad: list[str] = []
    for case, result in sorted(index.items(), key=lambda item: [*map(int, item[0].split("."))]):
        behavior, closing = result["behavior"], result["behaviorClose"]
        ends[behavior] += 1
        optional = behavior == "UNIMPLEMENTED" and case.split(".")[0] in ("12", "13")
        if not optional and (behavior not in GOOD or closing not in GOOD):
            bad.append(f"{case}: {behavior}, close {closing}")
        elif behavior == "NON-STRICT":
            print(f"  {case}: NON-STRICT")
    return ends, bad


def main() -> int:
    """Run it; exit code 0 if nothing failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("autobahn-work"))
    parser.add_argument("--cases", nargs="+", help="only these; default: all but performance")
    parser.add_argument("--compression", action="store_true", help="with --cases: offer deflate")
    arguments = parser.parse_args()
    python27 = find_python27()
    if python27 is None:
        print("no Python 2.7 was found, which the Autobahn suite needs: nothing was run")
        return 0
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    wstest = install_suite(python27, work)
    runs = [(PLAIN_CASES, None), (COMPRESSED_CASES, "deflate")]
    if arguments.cases:
        runs = [(tuple(arguments.cases), "deflate" if arguments.compression else None)]
    failed = 0
    for cases, compression in runs:
        print(f"cases {' '.join(cases)}, compression {compression}", flush=True)
        shutil.rmtree(work / "reports", ignore_errors=True)
        with fuzzing_server(wstest, work, cases) as port:
            run_cases(port, compression=compression)
            ends, bad = judge(work)
        print("  " + ", ".join(f"{count} {end}" for end, count in sorted(ends.items())))
        for line in bad:
            print(f"  BAD {line}")
        failed += len(bad)
    print(f"{failed} failed" if failed else "none failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
