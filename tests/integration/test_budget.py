"""One budget of connects for several processes of one machine; some of them die or stand still."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsresilient import ReconnectPolicy
from wsresilient.runtime.budget import LOCK_PAUSE, ConnectLimiter

from .clients import running
from .servers import PATIENCE, raw_server, wait_until

needs_signals = pytest.mark.skipif(os.name == "nt", reason="processes cannot be stopped or killed")

COUNT, SECONDS = 5, 0.3

BEGIN = """
import sys, time
from wsresilient.runtime.budget import ConnectLimiter
limiter = ConnectLimiter(int(sys.argv[2]), float(sys.argv[3]), margin=0.0, path=sys.argv[1])
"""
#: Books all that it can get, until it is told to end; writes down when.
BOOK = """
import threading
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
while not over.is_set():
    before = time.monotonic()
    wait = limiter.reserve()
    if wait:
        over.wait(wait)
    else:
        print(before, time.monotonic(), flush=True)
"""
#: Holds the lock until it is killed.
HOLD = """
with limiter._shared.locked() as descriptor:
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def process(code: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", BEGIN + code, str(path), str(COUNT), str(SECONDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def test_processes_together_keep_within_one_budget(tmp_path: Path) -> None:
    path = tmp_path / "connects"
    with process(BOOK, path) as one, process(BOOK, path) as other:
        lines: list[str] = []
        for child in (one, other):
            assert child.stdout is not None
            # Each has had its share of several windows.
            lines += [child.stdout.readline() for _ in range(2 * COUNT)]
        for child in (one, other):
            lines += child.communicate(timeout=PATIENCE)[0].splitlines()

    # Of each connect it is known after what it was booked, and before what.
    pairs = (line.split() for line in lines)
    spans = sorted((float(before), float(after)) for before, after in pairs)
    assert len(spans) >= 4 * COUNT
    for place in range(len(spans) - COUNT):
        too_many = spans[place : place + COUNT + 1]
        assert max(after for _, after in too_many) - too_many[0][0] >= SECONDS


@needs_signals
def test_a_process_that_dies_with_the_lock_leaves_none(tmp_path: Path) -> None:
    path = tmp_path / "connects"
    limiter = ConnectLimiter(COUNT, SECONDS, path=path)
    with process(HOLD, path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert limiter.reserve() == LOCK_PAUSE
        holder.kill()
        holder.wait(PATIENCE)
        assert limiter.reserve() == 0.0


@needs_signals
def test_a_process_that_stands_still_with_the_lock_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "connects"
    limiter = ConnectLimiter(COUNT, SECONDS, path=path)
    with process(HOLD, path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGSTOP)
        assert [limiter.reserve() for _ in range(3)] == [LOCK_PAUSE] * 3


def test_connections_wait_for_their_turn() -> None:
    limiter = ConnectLimiter(2, 0.2, margin=0.0)
    policy = ReconnectPolicy(initial_delay=0.0, max_delay=0.0)
    began = time.monotonic()
    with (
        raw_server(lambda peer: peer.close(1013)) as server,
        running(server.url, connected=False, reconnect=policy, connect_limiter=limiter) as (ws, _),
    ):
        wait_until(lambda: server.count >= 7, PATIENCE, "the fourth window")
        assert time.monotonic() - began >= 0.6
        assert ws.stop(PATIENCE)
