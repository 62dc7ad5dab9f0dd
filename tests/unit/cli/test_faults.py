"""The script of the demo: when each fault is due, and how its story is told."""

from __future__ import annotations

import itertools

import pytest

from wsresilient.cli.faults import FAULTS, ROUND, Ordeal, plain_words, plan, tell_survival

RESET, FREEZE, REFUSE, STALL = FAULTS


def ordeal(**others: float | None) -> Ordeal:
    made = Ordeal(FREEZE, began=7.0)
    made.note_error("ping/pong timed out: nothing came for 1.2 s", 8.5)
    for name, value in others.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize("duration", [8.0, 12.0, 30.0, 45.0])
def test_one_of_each_in_proportion(duration: float) -> None:
    due = list(plan(duration))[:4]

    assert [planned.fault for planned in due] == [RESET, FREEZE, REFUSE, STALL]
    scale = min(1.0, duration / ROUND)
    for planned, following in itertools.pairwise(due):
        # The next begins when the one before is over, even at its slowest.
        assert planned.at + scale * planned.fault.needs < following.at
    assert due[-1].at + scale * STALL.needs < duration


def test_long_demos_repeat_and_end_in_calm() -> None:
    due = list(plan(75.0))

    assert [planned.fault for planned in due] == [*FAULTS, *FAULTS, RESET, FREEZE]
    assert all(planned.at + planned.fault.needs <= 75.0 for planned in due)


def test_the_first_error_is_the_cause_and_the_others_are_attempts() -> None:
    it = Ordeal(REFUSE, began=1.0)
    assert it.sentence() == "door shut: not noticed yet"

    it.note_error("connection reset by peer", 1.1)
    it.note_error("connection refused", 1.3)
    assert it.sentence() == ("door shut: connection reset by peer, 1 attempt in vain; not back yet")

    it.note_error("connection refused", 1.9)
    it.back = 4.25
    assert it.sentence() == (
        "door shut: connection reset by peer, 2 attempts in vain; back after 3.2 s"
    )


def test_a_sentence_gives_the_gist() -> None:
    assert ordeal(back=11.0).sentence() == (
        "server frozen: nothing came for 1.2 s; back after 4.0 s"
    )
    assert len(ordeal(back=11.0).sentence(40)) == 40


def test_what_nobody_noticed_is_said() -> None:
    it = Ordeal(STALL, began=1.0, ended=5.0)

    assert it.sentence() == "feed silent: not noticed"
    assert "     not noticed" in tell_survival([it], is_alive=True, state="connected")


def test_stories_fit_the_live_table() -> None:
    for fault in FAULTS:
        assert len(f"fault: {fault.title}: {fault.story}") <= 73


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("ConnectionResetError: [Errno 104] Connection reset by peer"),
         "connection reset by peer"),
        (OSError("127.0.0.1:80: ConnectionRefusedError: [Errno 111] Connection refused"),
         "connection refused"),
        (OSError("[WinError 10054] An existing connection was closed"),
         "an existing connection was closed"),
        (OSError("stalled: no message for 3.0 s, stale_after is 3 s"),
         "stalled: no message for 3.0 s"),
        (OSError("TLS broke"), "TLS broke"),
        (OSError(), "OSError"),
    ],
)  # fmt: skip
def test_errors_are_said_in_plain_words(error: Exception, words: str) -> None:
    assert plain_words(error) == words


def test_the_end_tells_everything() -> None:
    lines = tell_survival([ordeal(back=11.0, refusals=2)], is_alive=True, state="connected")

    assert lines == [
        "What the stream went through",
        "",
        "  1.   7.0 s  server frozen",
        "     the line is open and nothing comes, not even a pong",
        "     noticed after 1.5 s: ping/pong timed out: nothing came for 1.2 s",
        "     2 attempts in vain; messages again 4.0 s after the fault",
        "",
        "1 fault, 1 survived, and no code of yours was needed. The stream is alive.",
    ]
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize(
    ("ordeals", "is_alive", "verdict"),
    [
        ([], True, "No faults this time. The stream is alive."),
        ([], False, "0 faults, 0 survived. The stream is not alive: failed."),
        ([ordeal()], False, "1 fault, 0 survived. The stream is not alive: failed."),
        ([ordeal(back=11.0), ordeal()], False,
         "2 faults, 1 survived. The stream is not alive: failed."),
    ],
)  # fmt: skip
def test_the_verdict_is_true(ordeals: list[Ordeal], is_alive: bool, verdict: str) -> None:
    assert tell_survival(ordeals, is_alive=is_alive, state="failed")[-1] == verdict
