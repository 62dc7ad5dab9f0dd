"""What a user sends: at once where there is a connection, later where it may wait.

One for all lives of a connection; it sends over the link that it is given, as that one's pace
allows, and knows the queue of messages that wait. It does not know why there is no connection.
"""

from __future__ import annotations

import threading

from ..config import ConnectionConfig
from ..core.outbox import Outbox, OutgoingMessage
from ..errors import NotConnectedError, SendTimeoutError
from .clock import monotonic
from .link import Link
from .logs import Log
from .sending import GateClosedError

__all__ = ["Outgoing"]


log = Log("wsresilient.connection")


class Outgoing:
    """Sends messages of one connection.

    :param config: send_queue_size, send_timeout.
    """

    def __init__(self, config: ConnectionConfig) -> None:
        self._send_timeout = config.send_timeout
        self._lock = threading.Lock()  # guards _outbox
        self._outbox = Outbox(config.send_queue_size)
        self._in_flight = False

    @property
    def waiting(self) -> int:
        """Messages that wait for a connection, or are just leaving."""
        return len(self._outbox) + self._in_flight

    def send(self, link: Link, payload: bytes, *, text: bool, timeout: float) -> None:
        """Send at once, or as soon as the rate allows.

        :raises SendTimeoutError: the rate, or the peer, did not let it out in time.
        :raises NotConnectedError: the connection is closing, closed, or was lost meanwhile.
        """
        deadline = monotonic() + timeout
        if not link.pacer.acquire(timeout=timeout):
            raise SendTimeoutError(
                f"nothing was sent: the rate ({link.pacer.text}) let nothing out within "
                f"{timeout:g} s"
            )
        rest = max(0.001, deadline - monotonic())
        link.send_message(payload, text=text, timeout=rest)

    def enqueue(self, payload: bytes, *, text: bool, ttl: float | None) -> None:
        """Keep a message for the next connection.

        :param ttl: seconds after which it is forgotten, or None.
        :raises NotConnectedError: the queue is full.
        """
        now = monotonic()
        message = OutgoingMessage(payload, text, None if ttl is None else now + ttl)
        with self._lock:
            self._outbox.add(message, now=now)

    def flush(self, link: Link) -> None:
        """Send what waits, in order and as the rate allows; not on the reader's thread.

        The reader has to read on meanwhile: a server that answers what it gets stops taking
        more when nobody reads its answers.
        """
        while link.is_open:
            with self._lock:
                message = self._outbox.next(now=monotonic())
                self._in_flight = message is not None
            if message is None:
                return
            try:
                if not link.pacer.acquire(timeout=1.0):
                    raise GateClosedError("the rate let nothing out; it is tried again")
                link.send_message(message.payload, text=message.text, timeout=self._send_timeout)
            except GateClosedError:
                self._put_back(message)
            except (NotConnectedError, SendTimeoutError) as error:
                # Part of it may be out; what could be an order is not sent twice.
                log.warning("a queued message was lost with its connection: %s", error)
            finally:
                self._in_flight = False

    def _put_back(self, message: OutgoingMessage) -> None:
        with self._lock:
            self._outbox.put_back(message)

    def clear(self) -> None:
        """Forget what waits."""
        with self._lock:
            self._outbox.clear()

    def forget_after_fork(self) -> None:
        """In a child: the lock may have been held by a thread that is no more."""
        self._lock = threading.Lock()
        self._outbox.clear()
