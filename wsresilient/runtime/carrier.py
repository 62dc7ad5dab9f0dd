"""What a handover asks of a connection, and of whoever names its messages."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from ..core.frames import Payload
from .lanes import Batch

__all__ = ["Carrier", "Gate", "Identify"]

#: Gives the topic and the identity of a payload; (None, None) where it has none.
Identify = Callable[[Payload], tuple[str | None, Hashable]]
Gate = Callable[[Batch], list[Payload]]


class Carrier(Protocol):
    """One of the two connections, as the handover sees it."""

    @property
    def generation(self) -> int:
        """The number of its attempt."""

    @property
    def is_connected(self) -> bool:
        """Whether there is an open connection."""

    def has_confirmed(self, topics: frozenset[str]) -> bool:
        """Whether the server has confirmed, or refused, all of these topics."""

    def add_gate(self, gate: Gate) -> None:
        """Let all batches go through one function more, behind those that there are."""

    def remove_gate(self, gate: Gate) -> None:
        """Let them go through one function less, if it is there."""

    def replace_gate(self, gate: Gate, other: Gate) -> None:
        """Let them go through another function in the place of one, if it is there."""

    def after_queued(self, call: Callable[[], object]) -> None:
        """Make a call on the serving thread, behind all that is queued."""

    def deliver_now(self, payloads: list[Payload], received_at: float) -> None:
        """Give messages to the handlers, past the gates; on the serving thread."""
