"""What has happened at the fake exchange, and what is now."""

from __future__ import annotations

from wsresilient.testing.controls.base import Controls
from wsresilient.testing.limits import VenueLimits, Violation
from wsresilient.testing.records import Handshake, LoginAttempt, ReceivedRequest, RestRecord

__all__ = ["Records"]


class Records(Controls):
    """Lists are in the order of what happened, and hold the latest 100,000."""

    # Now.

    @property
    def connection_count(self) -> int:
        """How many WebSocket connections are open now."""
        return len(self.connections)

    @property
    def connections(self) -> tuple[int, ...]:
        """The numbers of the WebSocket connections that are open now; the first ever was 1."""
        return self._thread.call(
            lambda: tuple(sorted(peer.number for peer in self._server.open_peers()))
        )

    @property
    def subscriptions(self) -> dict[str, int]:
        """How many subscribers each topic has now; a topic without one is not in it."""
        return self._thread.call(
            lambda: {
                topic: len(peers) for topic, peers in self._server.publisher.subscribers.items()
            }
        )

    def active_topics(self, connection: int) -> tuple[str, ...]:
        """Give the topics of an open connection, in the order in which they came.

        :param connection: its number; one that is not open has none.
        """

        def find() -> tuple[str, ...]:
            peers = self._server.open_peers()
            return next((tuple(p.topics) for p in peers if p.number == connection), ())

        return self._thread.call(find)

    @property
    def symbols(self) -> tuple[str, ...]:
        """What is traded, in the venue's spelling; the first has the largest 24 h turnover."""
        return self._feed.market.symbols

    @property
    def limits(self) -> VenueLimits:
        """What is enforced."""
        return self._server.enforcer.limits

    # Until now.

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The messages of clients, but for echoes."""
        return self._thread.call(lambda: list(self._server.ledger.requests))

    @property
    def handshakes(self) -> list[Handshake]:
        """The handshakes that were answered, with their headers."""
        return self._thread.call(lambda: list(self._server.ledger.handshakes))

    @property
    def logins(self) -> list[LoginAttempt]:
        """The logins, as they came; whether one was accepted is known before it is answered."""
        return self._thread.call(lambda: list(self._server.ledger.logins))

    @property
    def violations(self) -> list[Violation]:
        """Where clients went over a limit."""
        return self._thread.call(lambda: list(self._server.ledger.violations))

    @property
    def rest_requests(self) -> list[RestRecord]:
        """The requests over REST."""
        return self._thread.call(lambda: list(self._server.ledger.rest_requests))

    @property
    def close_codes(self) -> list[int | None]:
        """With which code clients closed the connections that have ended; 1006: with none."""
        return self._thread.call(lambda: list(self._server.ledger.close_codes))

    @property
    def sent_count(self) -> int:
        """How many data messages were sent, to each client counted; acknowledgements are not."""
        return self._thread.call(lambda: self._server.ledger.sent_count)

    @property
    def ping_count(self) -> int:
        """How many pings and heartbeats have come, the ignored ones too."""
        return self._thread.call(lambda: self._server.ledger.ping_count)
