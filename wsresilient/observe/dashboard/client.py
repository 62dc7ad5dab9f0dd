"""One client: its request comes in, its answer goes out, and the last bytes are waited for.

Every step has its deadline. It is driven by the server's thread alone and never blocks.
"""

from __future__ import annotations

import enum
import logging
import selectors
import socket
from collections.abc import Callable

from .request import HeadBuffer, RefusedRequestError, Request, parse_request
from .response import Response, refusal

__all__ = ["Client"]

logger = logging.getLogger("wsresilient.observe")

#: Seconds for a client to send its request, to take the answer, and to hang up.
REQUEST_TIMEOUT = 10.0
ANSWER_TIMEOUT = 30.0
FAREWELL_TIMEOUT = 1.0

_CHUNK = 64 * 1024
_ASKING_SLOWLY = f"The request did not come within {REQUEST_TIMEOUT:g} seconds."
_TOO_MANY = "Too many clients at one time; try again in a moment."


class _Step(enum.Enum):
    ASKING = enum.auto()  # its request is not complete
    ANSWERED = enum.auto()  # the answer is on its way
    LEAVING = enum.auto()  # all is sent; closing now could destroy what it has not read yet
    OVER = enum.auto()


class Client:
    """What is between accepting and closing.

    :param accepted: non-blocking; the server closes it.
    :param respond: makes the answer.
    :param now: monotonic seconds.
    :param wall: the wall clock.
    :ivar deadline: when :meth:`run_out` is due, monotonic.
    """

    def __init__(
        self,
        accepted: socket.socket,
        respond: Callable[[Request], Response],
        now: float,
        wall: Callable[[], float],
    ) -> None:
        self.socket = accepted
        self.deadline = now + REQUEST_TIMEOUT
        self._respond = respond
        self._wall = wall
        self._step = _Step.ASKING
        self._head = HeadBuffer()
        self._outgoing: list[memoryview] = []

    @property
    def is_over(self) -> bool:
        """Whether it can be closed."""
        return self._step is _Step.OVER

    @property
    def interest(self) -> int:
        """What the selector has to wait for."""
        is_writing = self._step is _Step.ANSWERED
        return selectors.EVENT_WRITE if is_writing else selectors.EVENT_READ

    def is_due(self, now: float) -> bool:
        """Tell whether its time is over."""
        return now >= self.deadline

    def proceed(self, now: float) -> None:
        """Do as much as can be done without waiting."""
        try:
            if self._step is _Step.ASKING:
                self._read(now)
            elif self._step is _Step.ANSWERED:
                self._write(now)
            elif self._step is _Step.LEAVING and not self.socket.recv(_CHUNK):
                self._step = _Step.OVER
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._step = _Step.OVER  # it has gone, which is its right

    def run_out(self, now: float) -> None:
        """Its time is over: tell it if it has not been answered, else end it."""
        if self._step is _Step.ASKING:
            self._refuse(RefusedRequestError(408, _ASKING_SLOWLY), now)
        else:
            self._step = _Step.OVER

    def turn_away(self, now: float) -> None:
        """Make room: tell it if it has not been answered; it is closed at once."""
        if self._step is _Step.ASKING:
            self._refuse(RefusedRequestError(503, _TOO_MANY, headers={"Retry-After": "1"}), now)

    def _read(self, now: float) -> None:
        data = self.socket.recv(_CHUNK)
        if not data:
            self._step = _Step.OVER
            return
        try:
            head = self._head.feed(data)
            if head is None:
                return
            request = parse_request(head)
        except RefusedRequestError as error:
            self._refuse(error, now)
            return
        logger.debug("dashboard: %s %.100r", request.method, request.path)
        self._answer(self._respond(request), now, with_body=request.method != "HEAD")

    def _refuse(self, error: RefusedRequestError, now: float) -> None:
        self._answer(refusal(error), now, with_body=True)

    def _answer(self, response: Response, now: float, *, with_body: bool) -> None:
        self._step = _Step.ANSWERED
        self.deadline = now + ANSWER_TIMEOUT
        body = response.body if with_body else b""
        self._outgoing = [memoryview(response.head(at=self._wall())), memoryview(body)]
        self.proceed(now)  # most answers fit into the socket's buffer

    def _write(self, now: float) -> None:
        while self._outgoing:
            first = self._outgoing[0]
            sent = self.socket.send(first) if first else 0
            if sent < len(first):
                self._outgoing[0] = first[sent:]
            else:
                del self._outgoing[0]
        self.socket.shutdown(socket.SHUT_WR)
        self._step = _Step.LEAVING
        self.deadline = now + FAREWELL_TIMEOUT
