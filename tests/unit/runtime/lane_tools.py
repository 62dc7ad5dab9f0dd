"""What tests of lanes share: batches, and a server that only notes that it was called."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from wsresilient.core.frames import Payload
from wsresilient.runtime.lanes import Batch, Entry, Event, Lane


def batch(*messages: Payload, size: int | None = None, generation: int = 1) -> Batch:
    """Make the messages of one read; their size is their length unless told otherwise."""
    length = sum(map(len, messages)) if size is None else size
    return Batch(list(messages), length, generation, 1_700_000_000.0)


class Notes:
    """Serves nothing; a test takes what is in the lane by itself."""

    def __init__(self) -> None:
        self.scheduled = 0
        self.relieved = 0

    def schedule(self, lane: Lane) -> None:
        self.scheduled += 1

    def relieve(self) -> None:
        self.relieved += 1


def ignore(*_args: Any) -> None:
    """Do nothing."""


def lane_of(
    overflow: str = "block",
    *,
    max_messages: int = 100,
    max_bytes: int = 1_000_000,
    serve: Callable[[Entry], None] = ignore,
    on_overflow: Callable[[int], None] = ignore,
    key_of: Callable[[Payload], Hashable] | None = None,
) -> Lane:
    return Lane(
        max_messages=max_messages,
        max_bytes=max_bytes,
        overflow=overflow,
        serve=serve,
        on_overflow=on_overflow,
        key_of=key_of,
    )


def attached(lane: Lane) -> Notes:
    notes = Notes()
    lane.attach(notes)
    return notes


def shown(entry: Entry | None) -> Any:
    """Give what an entry brings: a list of messages, or what its event returns."""
    return entry.call() if isinstance(entry, Event) else list(entry.messages) if entry else None


def drain(lane: Lane) -> list[Any]:
    """Serve a lane until it is empty; single messages and what events return, in order."""
    lane.begin()
    served: list[Any] = []
    while (entry := lane.take()) is not None:
        brought = shown(entry)
        served += brought if isinstance(entry, Batch) else [brought]
        lane.done(entry)
    return served
