"""The script of the demo of many pairs: what fits, and how it is told."""

from __future__ import annotations

import pytest

from wsresilient import ConfigurationError
from wsresilient.cli.pool_script import FAULTS, PoolSize, Trial, tell_trials


@pytest.mark.parametrize(
    ("pairs", "connections", "size", "most_topics"),
    [
        (750, 8, PoolSize(750, 8), 95),
        (800, 8, PoolSize(800, 8), 100),
        (1000, 10, PoolSize(1000, 10), 100),
        (1, 1, PoolSize(1, 1), 2),
        (None, 8, PoolSize(750, 8), 95),
        (None, None, PoolSize(750, 8), 95),
        (101, None, PoolSize(101, 2), 52),
    ],
)
def test_what_fits(
    pairs: int | None, connections: int | None, size: PoolSize, most_topics: int
) -> None:
    assert PoolSize.checked(pairs, connections) == size
    assert size.most_topics == most_topics
    assert size.most_topics * size.connections >= size.pairs


@pytest.mark.parametrize(
    ("pairs", "connections", "said"),
    [
        (801, 8, "--pairs is 801; allowed: up to 800 on 8 connections, since MEXC"),
        (1001, None, "--pairs is 1001; allowed: up to 1000 on 10 connections"),
        (750, 11, "--connections is 11; allowed: 1 to 10, since MEXC"),
        (3, 4, "--connections is 4 and --pairs 3; allowed: at least one pair"),
        (0, 1, "--pairs is 0; allowed: a whole number >= 1"),
        (1, 0, "--connections is 0; allowed: a whole number >= 1"),
    ],
)
def test_what_does_not_fit_is_answered_with_what_does(
    pairs: int | None, connections: int | None, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        PoolSize.checked(pairs, connections)


def test_times_follow_the_exchange_s_pace() -> None:
    size = PoolSize(750, 8)

    assert size.batch_size == 3
    assert size.subscribing == pytest.approx(95 / 20)
    cut, silence = FAULTS[:2]
    assert cut.lasts(size) == cut.needs + size.subscribing
    assert silence.lasts(size) == silence.needs


def test_a_trial_is_told_as_far_as_it_has_come() -> None:
    trial = Trial(FAULTS[0], pairs=1000, began=9.0, least_live=1000)
    assert trial.sentence() == "line cut: not noticed yet"

    trial.noticed, trial.least_live = 9.1, 875
    live = "line cut: 875 of 1,000 pairs live at the worst moment"
    assert trial.sentence() == f"{live}; not all back yet"

    trial.back = 14.25
    assert trial.sentence() == f"{live}; all well after 5.2 s"


def test_the_end_tells_all_in_80_columns() -> None:
    trials = [Trial(fault, 750, 10.0, 655, noticed=10.1, back=15.0) for fault in FAULTS]
    trials[-1].back = None

    lines = tell_trials(trials, is_whole=False)

    assert lines[-1] == "4 faults, 3 survived. Not every pair is live."
    assert all(fault.story in "\n".join(lines) for fault in FAULTS)
    assert max(map(len, lines)) <= 80
    assert tell_trials(trials[:1], is_whole=True)[-1] == "1 fault, 1 survived. Every pair is live."
