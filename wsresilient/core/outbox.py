"""What is to be sent once there is a connection: bounded, in order, forgotten in time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ..errors import NotConnectedError

__all__ = ["Outbox", "OutgoingMessage"]


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message that waits.

    :ivar payload: UTF-8 where ``text``.
    :ivar text: whether it goes out as text.
    :ivar expires_at: monotonic time after which it must not go out any more, or None.
    """

    payload: bytes
    text: bool
    expires_at: float | None


class Outbox:
    """A bounded queue of messages to send. The caller holds the lock.

    :param size: how many may wait.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: deque[OutgoingMessage] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, message: OutgoingMessage, *, now: float) -> None:
        """Put a message at the end.

        :raises NotConnectedError: so many wait already.
        """
        if len(self._waiting) >= self._size:
            self._waiting = deque(kept for kept in self._waiting if _is_live(kept, now))
        if len(self._waiting) >= self._size:
            raise NotConnectedError(
                f"not connected, and {len(self._waiting)} messages wait already; "
                f"send_queue_size is {self._size}"
            )
        self._waiting.append(message)

    def next(self, *, now: float) -> OutgoingMessage | None:
        """Take the first message that has not expired, or None."""
        while self._waiting:
            message = self._waiting.popleft()
            if _is_live(message, now):
                return message
        return None

    def put_back(self, message: OutgoingMessage) -> None:
        """Put a message that could not be sent back to the front."""
        self._waiting.appendleft(message)

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()


def _is_live(message: OutgoingMessage, now: float) -> bool:
    return message.expires_at is None or now < message.expires_at
