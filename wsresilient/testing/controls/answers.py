"""What requests and logins get from the fake exchange, and when."""

from __future__ import annotations

from wsresilient.testing.controls.base import Controls, check_count
from wsresilient.testing.formats.base import Refusal

__all__ = ["AnswerControls"]


class AnswerControls(Controls):
    """Pings, acknowledgements, topics and logins."""

    # Pings.

    def ignore_pings(self) -> None:
        """Leave pings and heartbeats unanswered."""
        self._thread.call(lambda: setattr(self._server.clerk, "is_ignoring_pings", True))

    def answer_pings(self) -> None:
        """End :meth:`ignore_pings`."""
        self._thread.call(lambda: setattr(self._server.clerk, "is_ignoring_pings", False))

    # Acknowledgements.

    def lose_next_ack(self, count: int | None = 1, *, topic: str | None = None) -> None:
        """Do what the next requests ask for, and do not answer them.

        :param count: how many requests; None: all, for good.
        :param topic: count only requests that name this topic; None: any.
        :raises ConfigurationError: count is below 1.
        """
        check_count(count)
        self._thread.call(lambda: self._server.clerk.acks_to_lose.update({topic: count}))

    def answer_all(self) -> None:
        """Forget what :meth:`lose_next_ack` was told."""
        self._thread.call(self._server.clerk.acks_to_lose.clear)

    def delay_acks(self, seconds: float) -> None:
        """Answer subscribe and unsubscribe requests so much later; they are done at once.

        :param seconds: 0 ends it.
        :raises ConfigurationError: seconds is negative.
        """
        self._thread.call(lambda: self._server.clerk.acks.set_seconds(seconds))

    def hold_acks(self) -> None:
        """Keep the answers to subscribe and unsubscribe requests until :meth:`release_acks`."""
        self._thread.call(self._server.clerk.acks.hold)

    def release_acks(self) -> int:
        """Send what :meth:`hold_acks` has kept, and end that; return how many there were."""
        return self._thread.call(self._server.clerk.acks.release)

    # Topics.

    def refuse_topic(self, topic: str, code: int | None = None, message: str = "") -> None:
        """Refuse a topic from now on; those that are subscribed to it stay so.

        :param code: the venue's error code; None: that of a topic that does not exist.
        :param message: what the venue says; "": what it says of a topic that does not exist.
        """
        usual = self._format.refusal(topic)
        refusal = Refusal(usual.code if code is None else code, message or usual.message)
        self._thread.call(lambda: self._server.clerk.refusals.update({topic: refusal}))

    def permit_topic(self, topic: str) -> None:
        """End :meth:`refuse_topic`."""
        self._thread.call(lambda: self._server.clerk.refusals.pop(topic, None))

    # Logins.

    def reject_logins(self, code: int | None = None, message: str = "") -> None:
        """Refuse every login from now on, whatever it is like.

        :param code: the venue's error code; None: that of a wrong key.
        :param message: what the venue says; "": what it says with its usual code.
        """
        usual = self._format.login_refusal
        refusal = Refusal(usual.code if code is None else code, message or usual.message)
        self._thread.call(lambda: setattr(self._server.clerk, "login_refusal", refusal))

    def accept_logins(self) -> None:
        """End :meth:`reject_logins`: logins are checked again."""
        self._thread.call(lambda: setattr(self._server.clerk, "login_refusal", None))

    def delay_logins(self, seconds: float) -> None:
        """Decide on logins so much later; until then the connection is not logged in.

        :param seconds: 0 ends it.
        :raises ConfigurationError: seconds is negative.
        """
        self._thread.call(lambda: self._server.clerk.logins.set_seconds(seconds))

    def hold_logins(self) -> None:
        """Leave logins undecided until :meth:`release_logins`."""
        self._thread.call(self._server.clerk.logins.hold)

    def release_logins(self) -> int:
        """Decide on the logins that :meth:`hold_logins` has kept; return how many there were."""
        return self._thread.call(self._server.clerk.logins.release)

    def shift_clock(self, seconds: float) -> None:
        """Let the exchange's clock be so much ahead of this machine's; negative: behind.

        Logins are checked by it, and REST tells it.
        """
        self._thread.call(lambda: setattr(self._server, "clock_offset", seconds))
