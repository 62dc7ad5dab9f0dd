"""Single messages of a connection: sent, asked for, pulled.

The part of :class:`~wsresilient.runtime.connection.ResilientWebSocket` that has to do with what
goes out, and with what somebody waits for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from ..config import check_callable, check_seconds
from ..core.encoding import encode_outgoing
from ..core.events import Message
from ..core.frames import Payload
from ..errors import ConfigurationError, NotConnectedError, named_type
from .clock import monotonic, wall_clock
from .link import Link
from .sending import GateClosedError
from .supervisor import Supervisor
from .topics import ConnectionTopics

__all__ = ["ConnectionMessages"]


class ConnectionMessages(ConnectionTopics):
    """Sends, asks and pulls. See :class:`ResilientWebSocket` for the arguments."""

    # Sending.

    def send(
        self,
        data: Any,
        *,
        timeout: float | None = None,
        queue: bool = False,
        ttl: float | None = None,
    ) -> str:
        """Send one message.

        :param data: str is text, bytes are binary, dict and list become JSON.
        :param timeout: seconds; None takes ``send_timeout``. A message that the peer does not
            take in time ends the connection, since part of it may be out.
        :param queue: keep it while not connected, up to ``send_queue_size`` messages.
        :param ttl: seconds after which a queued message is forgotten; None: never.
        :returns: "sent" or "queued".
        :raises NotConnectedError: there is no connection, or the queue is full.
        :raises SendTimeoutError: the peer, or the send rate, did not let it out in time.
        :raises ConfigurationError: it is nothing that can be sent.
        """
        payload, text = encode_outgoing(data)
        check_seconds("timeout", timeout, exclusive=True, optional=True)
        check_seconds("ttl", ttl, optional=True)
        patience = self._config.send_timeout if timeout is None else timeout
        if not queue:
            try:
                self._send_now(payload, text=text, timeout=patience)
            except GateClosedError as error:
                raise NotConnectedError(str(error)) from None
            return "sent"
        if self._may_overtake_queue():
            # Nothing has left when the gate is closed, so queueing cannot send it twice.
            with contextlib.suppress(GateClosedError):
                self._send_now(payload, text=text, timeout=patience)
                return "sent"
        self._enqueue(payload, text=text, ttl=ttl)
        return "queued"

    def _may_overtake_queue(self) -> bool:
        """Whether there is nothing that has to go out before."""
        life = self._life
        if life is None or not self.is_connected:
            return False
        return self._handlers.is_calling() or (life.has_greeted and not self._outgoing.waiting)

    def _link(self) -> Link | None:
        """Give the connection over which the calling thread sends now, or None."""
        life = self._life
        return None if life is None else life.reception.link_for_sending()

    def _send_now(self, payload: bytes, *, text: bool, timeout: float) -> None:
        link = self._link()
        try:
            self._send_over(link, payload, text=text, timeout=timeout)
        except GateClosedError:
            successor = self._link()
            if successor is link:
                raise
            self._send_over(successor, payload, text=text, timeout=timeout)

    def _send_over(self, link: Link | None, payload: bytes, *, text: bool, timeout: float) -> None:
        # An open gate is not enough: a login may be under way.
        if link is None or not link.is_ready:
            raise GateClosedError(self._why_not_connected())
        self._outgoing.send(link, payload, text=text, timeout=timeout)

    def _why_not_connected(self) -> str:
        life = self._life
        if life is None or life.is_over:
            return f"not connected: {self._name} is {self._status.state}; call start()"
        return (
            f"not connected: {self._name} is {self._status.state}; wait_until_connected() waits "
            "for it, send(..., queue=True) keeps the message until then"
        )

    def _enqueue(self, payload: bytes, *, text: bool, ttl: float | None) -> None:
        self._outgoing.enqueue(payload, text=text, ttl=ttl)
        life = self._life
        if life is not None:
            life.reception.flush_soon()

    def request(
        self,
        payload: Any,
        *,
        timeout: float,
        match: Callable[[Message], object] | None = None,
    ) -> Any:
        """Send, and wait for the answer.

        :param payload: as for :meth:`send`.
        :param timeout: seconds for all of it.
        :param match: tells whether a message is the answer; runs on the calling thread. None: the
            venue's rule, which compares ids; an id that is missing in the payload is added.
        :returns: the decoded answer.
        :raises TimeoutError: no answer came in time.
        :raises NotConnectedError: not connected, or the link dropped meanwhile.
        """
        check_seconds("timeout", timeout, exclusive=True)
        check_callable("match", match)
        request_id: Hashable = None
        if match is None:
            payload, request_id = self._with_id(payload)
        life = self._life
        if life is None:
            raise NotConnectedError(f"{self._name} is {self._status.state}; call start()")
        if self._config.dispatch == "inline" and life.is_own_thread():
            raise ConfigurationError(
                "request() inside a handler with dispatch='inline' would wait for itself; allowed: "
                "dispatch='thread', or request() on another thread"
            )
        encoded, text = encode_outgoing(payload)
        deadline = monotonic() + timeout

        def send(link: Link) -> None:
            self._send_over(link, encoded, text=text, timeout=timeout)

        while True:
            asked = self._link()
            if asked is None:
                raise NotConnectedError(self._why_not_connected())
            try:
                if match is None:
                    return self._ask_by_id(life, asked, send, request_id, deadline)
                return self._ask_by_look(life, asked, send, match, deadline)
            except GateClosedError as error:  # nothing was sent
                if self._link() is asked:
                    raise NotConnectedError(str(error)) from None

    def _ask_by_id(
        self,
        life: Supervisor,
        link: Link,
        send: Callable[[Link], None],
        request_id: Hashable,
        deadline: float,
    ) -> Any:
        answers = life.delivery.answers
        with answers.waiting_for(request_id, generation=link.generation) as waiter:
            send(link)
            return waiter.get(deadline)

    def _ask_by_look(
        self,
        life: Supervisor,
        link: Link,
        send: Callable[[Link], None],
        match: Callable[[Message], object],
        deadline: float,
    ) -> Any:
        """Send, and look at every message that comes."""
        delivery = life.delivery
        with delivery.answers.waiting(generation=link.generation) as looker:
            send(link)
            for answer in looker.payloads(deadline):
                data = delivery.decoding.answer(answer)
                if match(self.message_of(answer) or self._answer_message(data)):
                    return data
        raise AssertionError("who looks at messages ends with an answer or an exception")

    def _answer_message(self, data: Any) -> Message:
        return Message(
            data=data,
            received_at=wall_clock(),
            connection=self._name,
            generation=self.generation,
            raw=data,
        )

    def _with_id(self, payload: Any) -> tuple[Any, Hashable]:
        """Give a request the id by which the venue will answer it."""
        venue = self._options.venue
        if venue is None or self._subscriber is None:
            raise ConfigurationError("request() needs match=, which tells the answer, or a venue")
        if not isinstance(payload, dict):
            raise ConfigurationError(
                f"request() without match= takes a dict, not {named_type(payload)}"
            )
        with self._subscriber.registry() as registry:
            number = registry.next_id()
        payload, request_id = venue.with_id(dict(payload), number)
        if request_id is None:
            raise ConfigurationError(
                f"{venue!r} answers without ids; request() needs match=, which tells the answer"
            )
        return payload, request_id

    # Pulling.

    def recv(self, timeout: float | None = None) -> Payload:
        """Take the next message, over reconnects; only without on_message and on_data.

        :param timeout: seconds; None waits for ever.
        :raises TimeoutError: none came in time.
        :raises NotConnectedError: it is not running, or was stopped.
        :raises ConnectionFailedError: it was given up.
        """
        check_seconds("timeout", timeout, optional=True)
        has_topics = self._router is not None and self._router.has_handlers
        if self._handlers.has("message") or self._handlers.has("data") or has_topics:
            raise ConfigurationError(
                "recv() is for connections without on_message, on_data and handlers of topics"
            )
        life = self._life
        if life is None:
            raise NotConnectedError(f"{self._name} is {self._status.state}; call start()")
        payload = life.delivery.inbox.get(timeout)
        if payload is None:
            self._raise_if_failed()
            raise NotConnectedError(f"{self._name} was stopped")
        return payload

    def __iter__(self) -> Iterator[Payload]:
        """Iterate over messages, over reconnects, until it is stopped.

        :raises ConnectionFailedError: it was given up.
        """
        if self._life is None:
            raise NotConnectedError(f"{self._name} is {self._status.state}; call start()")
        while True:
            try:
                yield self.recv()
            except NotConnectedError:
                return
