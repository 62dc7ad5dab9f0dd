"""The demo of many pairs."""

from __future__ import annotations

import re

import pytest

from wsresilient.cli import main
from wsresilient.cli.pool_script import PoolSize
from wsresilient.testing import FakeExchange


@pytest.mark.timeout(90)
def test_the_pool_survives_and_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["demo", "--pairs", "24", "--connections", "3", "--duration", "7"])

    text = capsys.readouterr().out
    assert code == 0, text
    assert "warm-up: 24 pairs on up to 3 connections of at most 9 topics" in text
    assert re.search(r"1 of 3 connections up, \d+ of 24 pairs live", text), "the warm-up shows"
    survived = re.findall(r"\*\*\* survived: (.*?): (\d+) of 24 pairs live .* all well", text)
    assert ("line cut", "15") in survived or ("line cut", "18") in survived
    assert "mexc-1       connected          9          9" in text
    assert text.rstrip().endswith("survived. Every pair is live.")


@pytest.mark.timeout(90)
def test_a_pool_that_is_not_whole_at_the_end_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsresilient.cli.pool_demo.OVERTIME", 0.5)
    monkeypatch.setattr(PoolSize, "warm_up", 0.0)
    start = FakeExchange.start

    def start_silent(exchange: FakeExchange) -> FakeExchange:
        start(exchange).stop_feed()
        return exchange

    monkeypatch.setattr(FakeExchange, "start", start_silent)

    code = main(["demo", "--pairs", "2", "--duration", "3.2"])

    text = capsys.readouterr().out
    assert code == 1, text
    assert text.rstrip().endswith("0 faults, 0 survived. Not every pair is live.")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--pairs", "801", "--connections", "8"), "--pairs is 801; allowed: up to 800"),
        (("--connections", "11"), "--connections is 11; allowed: 1 to 10"),
        (("--pairs", "750", "--connections", "8", "--duration", "15"), "--duration is 15.0"),
    ],
)
def test_what_cannot_be_shown_is_said(
    options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", *options]) == 2
    assert said in capsys.readouterr().err
