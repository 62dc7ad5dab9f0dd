"""How the demo is shown, without a terminal and without the demo."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from wsresilient.cli.faults import FAULTS, Ordeal
from wsresilient.cli.output import LineWriter
from wsresilient.cli.views import LiveView, PlainView, Scene, live_view
from wsresilient.observe.foreign import ForeignConnection


def scene(elapsed: float = 1.0, current: Ordeal | None = None, **stats: Any) -> Scene:
    feed = ForeignConnection("market", 0.0)
    feed.add_messages(1500, 0, 1.0)
    survived = Ordeal(FAULTS[0], began=3.0, noticed=3.0, cause="connection reset", back=3.25)
    return Scene(
        elapsed=elapsed,
        duration=30.0,
        stats=feed.stats(1.5, 1_700_000_000.0) | stats,
        rate=199.6,
        ordeals=[survived] if current is None else [survived, current],
        current=current,
        prices={"BTCUSDT": 60_123.456, "XRPUSDT": 0.6},
    )


def plain() -> tuple[PlainView, io.StringIO]:
    out = io.StringIO()
    return PlainView(LineWriter(out), lambda: 4.2), out


def test_plain_lines_tell_the_time_and_the_state() -> None:
    view, out = plain()

    with view:
        view.show(scene())
        view.event("fault: cable pulled")
        view.log("WARNING market: network")

    assert out.getvalue().splitlines() == [
        "[  4.2 s] connected, 1500 messages (200/s), reconnects 0, last message 0.5 s ago, "
        "quality 100, fault: none",
        "[  4.2 s] *** fault: cable pulled",
        "[  4.2 s] WARNING market: network",
    ]


def test_plain_status_comes_every_second_and_on_a_change() -> None:
    view, out = plain()

    for elapsed in (1.0, 1.1, 1.9, 2.0, 2.1):
        view.show(scene(elapsed))
    view.show(scene(2.2, state="reconnecting"))
    view.show(scene(2.3, state="reconnecting", last_message_age=None))
    view.show(scene(2.4, Ordeal(FAULTS[1], began=2.4), state="reconnecting"))

    lines = out.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("[  4.2 s] reconnecting")
    assert lines[3].endswith("fault: server frozen")


def live_in(width: int) -> LiveView:
    console = pytest.importorskip("rich.console")
    return LiveView(console.Console(file=io.StringIO(), width=width, force_terminal=True))


def rendered(view: LiveView, shown: Scene, width: int = 80) -> list[str]:
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(view.render(shown))
    lines = out.getvalue().splitlines()
    assert all(len(line) <= width - 3 for line in lines)
    return lines


@pytest.fixture
def live() -> LiveView:
    return live_in(80)


def test_live_table_shows_everything_in_24_lines(live: LiveView) -> None:
    for number in range(9):
        live.log(f"market: line {number} [red]\x1b[2J")
    text = rendered(live, scene(last_error="OSError: gone", state="connecting"))

    assert len(text) <= 22
    joined = "\n".join(text)
    for expected in (
        "connecting", "1500", "200", "0.5 s", "100", "OSError: gone", "none, a calm moment",
        "BTC 60,123.46  XRP 0.6000", "cable pulled: connection reset; back after 0.2 s",
        "line 8 [red]", "1 of 30 s",
    ):  # fmt: skip
        assert expected in joined
    assert "line 3" not in joined
    assert "\x1b" not in joined


def test_live_table_explains_the_fault_of_the_moment(live: LiveView) -> None:
    joined = "\n".join(rendered(live, scene(2.0, Ordeal(FAULTS[2], began=2.0))))

    assert f"door shut: {FAULTS[2].story}" in joined


def test_live_table_fits_a_small_terminal() -> None:
    nothing_yet = Scene(0.0, 30.0, scene().stats, 0.0, [], None, {})

    assert "nothing yet" in "\n".join(rendered(live_in(60), nothing_yet, width=60))


def test_live_table_is_drawn_and_taken_away(live: LiveView) -> None:
    with live:
        live.show(scene(1.0))
        live.show(scene(1.05))
        live.show(scene(1.2))
        live.event("fault: is in the list anyway")

    assert not live.is_closed


def test_without_rich_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)

    assert live_view() is None
    assert "pip install 'wsresilient[demo]'" in capsys.readouterr().err


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich take anything for a terminal

    assert live_view() is None
