from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wsresilient.core.limits import Limits
from wsresilient.core.placement import Load, Placement, TopicTraits, place, rebalance

TRAITS = TopicTraits(
    group_of=lambda topic: topic.partition("/")[0] if "/" in topic else None,
    symbol_of=lambda topic: topic.partition(":")[2] or None,
)


def placed(topics: Iterable[str], *loads: Load, connections: int = 10, **limits: Any) -> Placement:
    names = (f"new-{number}" for number in itertools.count(1))
    return place(
        list(topics),
        loads,
        limits=Limits(**{"topics_per_connection": 100, **limits}),
        max_connections=connections,
        traits=TRAITS,
        new_name=lambda: next(names),
    )


def test_a_connection_is_opened_only_when_the_others_are_full() -> None:
    made = placed([f"t{number}" for number in range(250)])

    assert made.opened == ("new-1", "new-2", "new-3")
    assert made.fit == 250
    assert sorted(map(len, made.assigned.values())) == [50, 100, 100]


def test_the_least_loaded_one_is_taken() -> None:
    made = placed(["x"], Load("a", ["1", "2"]), Load("b", ["3"]))

    assert made.assigned == {"b": ("x",)}


def test_the_measured_rate_counts_before_the_number() -> None:
    made = placed(["x"], Load("a", ["1", "2"], rate=10.0), Load("b", ["3"], rate=500.0))

    assert made.assigned == {"a": ("x",)}


def test_topics_of_a_symbol_stay_together() -> None:
    busy = Load("b", ["deal:A", *map(str, range(50))])
    made = placed(["depth:A", "kline:A", "deal:B"], Load("a", ["1"]), busy)

    assert made.assigned == {"b": ("depth:A", "kline:A"), "a": ("deal:B",)}


def test_they_part_rather_than_not_fit() -> None:
    loads = [Load("a", list(map(str, range(99)))), Load("b", list(map(str, range(98))))]
    made = placed(["x:A", "y:A", "z:A"], *loads, connections=2)

    assert made.fit == 3
    assert sorted(map(len, made.assigned.values())) == [1, 2]


def test_groups_do_not_mix() -> None:
    made = placed(["market/a", "public/b", "c"], Load("m", ["market/x"], "market"))

    assert made.assigned == {"m": ("market/a",), "new-1": ("public/b", "c")}


def test_how_many_fit_is_told() -> None:
    assert placed(map(str, range(3750)), connections=10).fit == 1000
    assert placed(["a" * 60, "b" * 60], connections=1, topics_size=100).fit == 1


@given(st.integers(1, 40), st.integers(1, 8), st.integers(1, 6), st.integers(0, 400))
def test_all_fit_whenever_there_is_room(
    most: int, connections: int, channels: int, count: int
) -> None:
    topics = [f"c{number % channels}:S{number // channels}" for number in range(count)]
    made = placed(topics, connections=connections, topics_per_connection=most)

    assert made.fit == min(count, most * connections)
    assert all(len(some) <= most for some in made.assigned.values())
    assert len(made.assigned) <= connections
    if made.fit == count:
        assert sorted(itertools.chain(*made.assigned.values())) == sorted(topics)


def test_rebalancing_moves_whole_symbols_where_it_can() -> None:
    full = Load("a", [f"{channel}:{symbol}" for symbol in "ABCD" for channel in ("x", "y")])
    moves = rebalance([full, Load("b")], traits=TRAITS)

    assert len(moves) == 4
    assert len({move.topic[-1] for move in moves}) == 2
    assert {(move.source, move.target) for move in moves} == {("a", "b")}


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(1, 4))
def test_after_rebalancing_one_topic_is_the_largest_difference(
    sizes: list[int], channels: int
) -> None:
    numbers = itertools.count()
    loads = [
        Load(
            f"c{at}",
            [
                f"{number % channels}:{number // channels}"
                for number in itertools.islice(numbers, size)
            ],
        )
        for at, size in enumerate(sizes)
    ]
    after = {load.name: set(load.topics) for load in loads}
    moves = rebalance(loads, traits=TRAITS)
    for move in moves:
        after[move.source].remove(move.topic)
        after[move.target].add(move.topic)

    lengths = sorted(map(len, after.values()))
    assert lengths[-1] - lengths[0] <= 1
    assert sum(lengths) == sum(sizes)
    least, extra = divmod(sum(sizes), len(sizes))
    ranked = sorted(sizes, reverse=True)
    fewest = sum(max(0, size - least - (at < extra)) for at, size in enumerate(ranked))
    assert len(moves) == fewest


def test_rebalancing_keeps_to_the_groups() -> None:
    loads = [
        Load("a", [f"m/{n}" for n in range(4)], "m"),
        Load("b", ["m/x", "m/y"], "m"),
        Load("c", [f"p/{n}" for n in range(9)], "p"),
    ]
    moves = rebalance(loads, traits=TRAITS)

    assert {(move.source, move.target) for move in moves} == {("a", "b")}
    assert len(moves) == 1


def test_one_that_has_given_up_gets_a_topic_only_where_no_other_has_room() -> None:
    dead = Load("dead", [], is_usable=False)
    busy = Load("busy", ["1", "2"])
    assert placed(["x"], dead, busy).assigned == {"busy": ("x",)}
    assert placed(["x"], dead, topics_per_connection=2).assigned == {"new-1": ("x",)}
    assert placed(["x"], dead, connections=1).assigned == {"dead": ("x",)}


def test_rebalancing_leaves_one_that_has_given_up_alone() -> None:
    dead = Load("dead", ["1"], is_usable=False)
    loads = [dead, Load("a", ["2", "3", "4"]), Load("b", [])]
    moves = rebalance(loads, traits=TRAITS)

    assert {(move.source, move.target) for move in moves} == {("a", "b")}
