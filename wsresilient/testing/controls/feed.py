"""What the clients of the fake exchange are sent, and when."""

from __future__ import annotations

from wsresilient.testing.controls.base import Controls, check_count

__all__ = ["FeedControls"]


class FeedControls(Controls):
    """The market's data, private data, and whatever else."""

    @property
    def rate(self) -> float:
        """Messages per second of all subscribed topics together. May be set."""
        return self._feed.rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._thread.call(lambda: setattr(self._feed, "rate", rate))

    def stop_feed(self) -> None:
        """Send no more data; connections stay up and pings are answered. Nothing is missed."""
        self._thread.call(lambda: setattr(self._feed, "is_running", False))

    def resume_feed(self) -> None:
        """End :meth:`stop_feed`."""
        self._thread.call(lambda: setattr(self._feed, "is_running", True))

    def silence(self, topic: str) -> None:
        """Send no more data of this topic; it stays subscribed, and the others go on.

        What other topics let happen meanwhile (the same trades, the same order book) comes later.
        """
        self._thread.call(lambda: self._feed.silenced.add(topic))

    def unsilence(self, topic: str) -> None:
        """End :meth:`silence`."""
        self._thread.call(lambda: self._feed.silenced.discard(topic))

    def lose_messages(self, count: int | None = 1, *, topic: str | None = None) -> None:
        """Let the next messages happen and not be sent: trade numbers then have a hole.

        :param count: how many; None: all, for good.
        :param topic: of which topic; None: of any.
        :raises ConfigurationError: count is below 1.
        """
        check_count(count)
        self._thread.call(lambda: self._server.publisher.messages_to_lose.update({topic: count}))

    def broadcast(self, payload: str | bytes) -> int:
        """Send one message, text or binary, to every open connection; return how many there are."""
        server = self._server
        return self._thread.call(lambda: server.publisher.send(server.open_peers(), payload))

    def push_private(self, topic: str, data: object) -> int:
        """Send private data to the connections that are logged in and get this topic.

        :param topic: as a client subscribes to it, or narrower where the venue has that
            ("orders:BTC-USDT?instType=SPOT" goes to who subscribed to "orders?instType=ANY");
            what Binance sends over its user data streams is "userData".
        :param data: what goes under the venue's envelope; anything that is JSON.
        :returns: how many connections there were.
        """
        return self._thread.call(lambda: self._server.push_private(topic, data))
