"""The examples run as they are, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
PATIENCE = 60.0

# What each of them says when it has done what it shows.
SAYS = {
    "bybit_bot.py": ["BTCUSDT at ", "order 1 of BTCUSDT: Filled", "0 reconnects", "Status: ok"],
    "okx_ticker_monitor.py": ["BTC-USDT ", "SOL-USDT ", "OLD", "The exchange restarts"],
    "mexc_analyser.py": ["8 of 8 connections, 240 of 240 pairs", "COIN"],
    "collector.py": [" messages, ", '"gap": ["trades:BTC-USDT", "trades:ETH-USDT"]'],
    "binance_280_streams.py": ["80 of 80 connections healthy", "80 streams, limits exceeded: 0"],
}


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All of them at a time, since they mostly wait."""
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-W", "error", str(FOLDER / name), "--demo"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        for name in SAYS
    }
    yield processes
    for process in processes.values():
        process.kill()
        process.communicate()


def test_there_is_a_test_for_each() -> None:
    programs = sorted(path.name for path in FOLDER.glob("*.py"))

    assert programs == sorted(SAYS)
    readme = (FOLDER / "README.rst").read_text(encoding="utf-8")
    assert all(f"``{name}``" in readme for name in programs)
    assert all(len((FOLDER / name).read_text().splitlines()) < 100 for name in programs)


@pytest.mark.parametrize("name", list(SAYS))
def test_it_shows_what_it_promises(name: str, running: dict[str, subprocess.Popen[str]]) -> None:
    process = running[name]
    text, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == 0, text
    for said in SAYS[name]:
        assert said in text
    assert "Traceback" not in text
    assert "Exception" not in text
