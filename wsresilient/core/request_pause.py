"""How long no requests are sent after the exchange has said "too many requests"."""

from __future__ import annotations

__all__ = ["RequestPause"]

#: Seconds of the first pause, and of the longest; each is twice the one before.
FIRST, LONGEST = 2.0, 60.0


class RequestPause:
    """The pauses of one connection.

    :param patience: so many temporary refusals in a row are nothing to tell anybody.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._in_a_row = 0
        self._until: float | None = None

    def begin(self, now: float) -> bool:
        """Pause after a temporary refusal.

        Refusals that come while it pauses were under way already, and count as one.

        :returns: whether it is time to tell: once, and not again before :meth:`over`.
        """
        if self.is_on(now):
            return False
        self._until = now + min(LONGEST, FIRST * 2.0 ** min(self._in_a_row, 10))
        self._in_a_row += 1
        return self._in_a_row == self._patience + 1

    def over(self) -> None:
        """Note that a request was answered: the next pause is a short one again."""
        self._in_a_row = 0

    def clear(self) -> None:
        """Forget everything, for a new connection."""
        self._in_a_row, self._until = 0, None

    def is_on(self, now: float) -> bool:
        """Whether nothing may be sent yet."""
        return self._until is not None and now < self._until

    def pass_time(self, now: float) -> None:
        """Forget a pause that is over, or it would be a deadline that has always passed."""
        if not self.is_on(now):
            self._until = None

    @property
    def until(self) -> float | None:
        """Monotonic time at which requests may be sent again, or None."""
        return self._until
