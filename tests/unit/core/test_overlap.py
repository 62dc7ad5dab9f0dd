from __future__ import annotations

from wsresilient.core.overlap import Overlap

TOPICS = frozenset("abc")


def brought(overlap: Overlap, topic: str, *identities: object, generation: int = 1) -> None:
    for identity in identities:
        overlap.brought(topic, identity, generation=generation)


def delivered(overlap: Overlap, topic: str, *identities: object) -> None:
    for identity in identities:
        overlap.delivered(topic, identity)


def test_they_meet_whoever_comes_first() -> None:
    overlap = Overlap()
    delivered(overlap, "a", 1, 2)
    brought(overlap, "a", 2)
    brought(overlap, "b", 7)
    assert not overlap.is_proved(TOPICS, 1)

    delivered(overlap, "b", 7)

    assert overlap.is_proved(TOPICS, 1)
    assert overlap.has_met(frozenset("ab"), 1)
    assert not overlap.has_met(frozenset("abc"), 1)


def test_a_snapshot_that_only_the_new_one_got_is_no_hindrance() -> None:
    overlap = Overlap()
    brought(overlap, "a", "snapshot", 5)
    assert not overlap.is_proved(TOPICS, 1)

    delivered(overlap, "a", 4, 5)

    assert overlap.is_proved(TOPICS, 1)


def test_identities_are_of_one_topic() -> None:
    overlap = Overlap()
    delivered(overlap, "a", 1)
    brought(overlap, "b", 1)

    assert not overlap.is_proved(TOPICS, 1)
    assert not overlap.was_delivered("b", 1)


def test_what_was_brought_before_a_loss_proves_nothing() -> None:
    overlap = Overlap()
    delivered(overlap, "a", 1)
    brought(overlap, "a", 1, generation=1)
    assert overlap.is_proved(TOPICS, 1)
    assert not overlap.is_proved(TOPICS, 2)

    brought(overlap, "a", 5, generation=2)
    assert not overlap.is_proved(TOPICS, 2)
    assert not overlap.has_met(frozenset("a"), 2)

    delivered(overlap, "a", 5)
    assert overlap.is_proved(TOPICS, 2)


def test_what_is_quiet_is_proved() -> None:
    assert Overlap().is_proved(TOPICS, 3)


def test_only_topics_that_still_count_have_to_meet() -> None:
    overlap = Overlap()
    brought(overlap, "a", 1)
    brought(overlap, "gone", 1)
    delivered(overlap, "a", 1)

    assert overlap.is_proved(TOPICS, 1)
    assert not overlap.is_proved(TOPICS | {"gone"}, 1)


def test_topics_are_behind_until_the_last_delivered_message_has_come() -> None:
    overlap = Overlap()
    delivered(overlap, "a", 1, 2)
    delivered(overlap, "b", 1)
    brought(overlap, "a", 1)
    brought(overlap, "b", 1)

    assert overlap.behind() == {"a"}
    assert overlap.is_latest("a", 2)
    assert not overlap.is_latest("a", 1)
    assert not overlap.is_latest("c", None)


def test_what_is_forgotten_is_found_for_one_step_more() -> None:
    overlap = Overlap()
    delivered(overlap, "a", 1)

    overlap.forget()
    delivered(overlap, "a", 2)
    assert overlap.was_delivered("a", 1)
    assert len(overlap) == 2

    overlap.forget()
    assert not overlap.was_delivered("a", 1)
    assert overlap.was_delivered("a", 2)
    assert len(overlap) == 1
