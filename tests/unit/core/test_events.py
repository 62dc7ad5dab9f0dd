"""What users are told: values with the names of the API that nobody can change."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from wsresilient import ConnectionState, Gap, Message, StateChange

MESSAGE = Message(data={"p": 1})
CHANGE = StateChange(
    state=ConnectionState.CONNECTED,
    message="connected",
    retry_count=2,
    previous=ConnectionState.CONNECTING,
    connection="x",
    at=5.0,
)
GAP = Gap(connection="x", topics=("a",), reason="reconnect", started_at=1.0, ended_at=2.0)


@pytest.mark.parametrize(
    ("event", "names"),
    [
        (
            MESSAGE,
            "data topic channel symbol received_at connection generation source raw",
        ),
        (CHANGE, "state message retry_count previous connection at"),
        (GAP, "connection topics reason started_at ended_at last_seen first_seen recovered"),
    ],
    ids=["Message", "StateChange", "Gap"],
)
def test_the_names_are_those_of_the_api(event: Any, names: str) -> None:
    assert [field.name for field in dataclasses.fields(event)] == names.split()


@pytest.mark.parametrize("event", [MESSAGE, CHANGE, GAP], ids=["Message", "StateChange", "Gap"])
def test_an_event_cannot_be_changed_but_copied_and_compared(event: Any) -> None:
    name = dataclasses.fields(event)[0].name

    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, name, "other")
    with pytest.raises((AttributeError, TypeError)):
        event.other = 1

    for version in (copy.copy(event), pickle.loads(pickle.dumps(event))):
        assert version == event
    assert dataclasses.replace(event, **{name: "other"}) != event


def test_what_is_not_known_of_a_message_is_none() -> None:
    assert (MESSAGE.topic, MESSAGE.channel, MESSAGE.symbol, MESSAGE.raw) == (None,) * 4
    assert (MESSAGE.source, MESSAGE.generation, MESSAGE.connection) == ("websocket", 0, "")


def test_a_gap_is_not_recovered_until_somebody_has_done_so() -> None:
    assert (GAP.last_seen, GAP.first_seen, GAP.recovered) == (None, None, False)
