"""The five states: what may follow what, and that an illegal step changes nothing."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient import ConnectionConfig, ConnectionState, WSResilientError
from wsresilient.core.state import TRANSITIONS, IllegalTransitionError, transition
from wsresilient.runtime.status import Status

S = ConnectionState
LEGAL = {
    (S.DISCONNECTED, S.CONNECTING),
    (S.CONNECTING, S.CONNECTED),
    (S.CONNECTING, S.RECONNECTING),
    (S.CONNECTING, S.FAILED),
    (S.CONNECTING, S.DISCONNECTED),
    (S.CONNECTED, S.RECONNECTING),
    (S.CONNECTED, S.FAILED),
    (S.CONNECTED, S.DISCONNECTED),
    (S.RECONNECTING, S.CONNECTING),
    (S.RECONNECTING, S.FAILED),
    (S.RECONNECTING, S.DISCONNECTED),
    (S.FAILED, S.CONNECTING),
    (S.FAILED, S.DISCONNECTED),
}
PAIRS = list(itertools.product(S, S))


def test_the_states_are_the_five_of_the_api_and_compare_as_str() -> None:
    words = ["disconnected", "connecting", "connected", "reconnecting", "failed"]

    assert [state.value for state in S] == words
    assert "connected" in [S.CONNECTED]  # by ==, as programs compare it
    assert f"{S.CONNECTED}" == str(S.CONNECTED) == "connected"
    assert json.dumps(S.FAILED) == '"failed"'


@pytest.mark.parametrize(("current", "new"), PAIRS)
def test_a_step_is_allowed_exactly_where_the_table_says(
    current: ConnectionState, new: ConnectionState
) -> None:
    if (current, new) in LEGAL:
        assert transition(current, new) is new
        return
    with pytest.raises(IllegalTransitionError) as caught:
        transition(current, new)
    text = str(caught.value)
    assert f"that is {current} cannot become {new}" in text
    allowed = text.partition("allowed: ")[2].split(", ")
    assert allowed == sorted(after.value for before, after in LEGAL if before is current)


def test_an_illegal_step_is_one_of_the_library_s_errors() -> None:
    assert issubclass(IllegalTransitionError, WSResilientError)


def test_no_state_is_a_dead_end_and_every_state_can_be_reached() -> None:
    reached = {S.DISCONNECTED}
    while more := {new for current, new in LEGAL if current in reached} - reached:
        reached |= more

    assert reached == set(S)
    assert all(TRANSITIONS[state] for state in S)
    # stop() must be possible from everywhere
    assert all(S.DISCONNECTED in TRANSITIONS[state] for state in S if state is not S.DISCONNECTED)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[S.FAILED] = frozenset()  # type: ignore[index]


@given(st.lists(st.sampled_from(S), max_size=30))
def test_whoever_holds_a_state_keeps_it_after_an_illegal_step(wanted: list[S]) -> None:
    status = Status("x", "ws://x", ConnectionConfig())
    expected = S.DISCONNECTED
    for new in wanted:
        if (expected, new) in LEGAL:
            change = status.advance(new, "why")
            assert (change.previous, change.state, change.message) == (expected, new, "why")
            expected = new
        else:
            with pytest.raises(IllegalTransitionError):
                status.advance(new, "why")
        assert status.state is expected
