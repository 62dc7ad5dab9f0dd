"""How the demo of many pairs is shown."""

from __future__ import annotations

import io
from typing import Any

from wsresilient.cli.output import LineWriter
from wsresilient.cli.pool_script import FAULTS, Trial
from wsresilient.cli.pool_view import PoolLines, PoolScene, PoolScreen, connection_table


def stats(**changes: Any) -> dict[str, Any]:
    return {
        "state": "connected",
        "subscribed_pairs": 95,
        "confirmed_subscriptions": 90,
        "message_count": 1234,
        "messages_per_minute": 5700.0,
        "reconnect_count": 1,
        "last_message_age": 0.04,
    } | changes


def scene(elapsed: float = 12.0, *, trials: tuple[Trial, ...] = ()) -> PoolScene:
    connections = {"mexc-1": stats(), "mexc-2": stats(state="reconnecting", last_message_age=None)}
    return PoolScene(elapsed, 45.0, connections, live=180, pairs=190, trials=trials)


def trial(**changes: Any) -> Trial:
    return Trial(FAULTS[0], pairs=190, began=10.0, least_live=95, **changes)


def test_the_table_has_a_row_each_and_the_totals() -> None:
    lines = connection_table(scene())

    assert lines[0].split() == [
        *("CONNECTION", "STATE", "PAIRS", "CONFIRMED", "MESSAGES", "/S", "RECONN", "AGE"),
    ]
    assert lines[2].split() == ["mexc-1", "connected", "95", "90", "1234", "95", "1", "0.0", "s"]
    assert lines[3].split() == ["mexc-2", "reconnecting", "95", "90", "1234", "95", "1", "-"]
    assert lines[5].split() == ["1", "of", "2", "180", "live", "190", "180", "2468", "190", "2"]
    assert len({line.rfind(column) for line, column in zip(lines[2:4], "11", strict=True)}) == 1
    assert max(map(len, lines)) <= 80


def test_a_status_line_says_it_all() -> None:
    assert scene().status() == (
        "1 of 2 connections up, 180 of 190 pairs live, 2,468 messages, 2 reconnects, fault: none"
    )
    assert scene(trials=(trial(noticed=10.1),)).status().endswith("fault: line cut")
    assert scene(trials=(trial(noticed=10.1, back=11.0),)).current is None


def test_lines_come_every_second_and_on_a_change() -> None:
    stream = io.StringIO()
    view = PoolLines(LineWriter(stream), lambda: 12.0)

    view.show(scene(12.0))
    view.show(scene(12.5))
    view.show(scene(12.6, trials=(trial(),)))
    view.event("fault: line cut")
    view.show(scene(13.0, trials=(trial(),)))

    lines = stream.getvalue().splitlines()
    assert [line[:15] for line in lines] == [
        "[ 12.0 s] 1 of ",
        "[ 12.0 s] 1 of ",
        "[ 12.0 s] *** f",
        "[ 12.0 s] 1 of ",
    ]


def test_the_screen_shows_table_faults_and_logs_a_few_times_a_second() -> None:
    stream = io.StringIO()
    view = PoolScreen(LineWriter(stream))
    past, present = trial(noticed=10.1, back=15.0), trial(noticed=20.1)

    view.log("mexc-2: network: retry [1] in 0.5 s")
    view.show(scene(21.0, trials=(past, present)))
    view.show(scene(21.1))
    view.show(scene(21.3))

    frames = stream.getvalue().split("\x1b[H")[1:]
    assert len(frames) == 2
    for said in ("21 of 45 s", "fault: line cut: ", past.sentence(), "mexc-2: network", "/S"):
        assert said in frames[0]
    assert "fault: none" in frames[1]
