"""What an exchange wants of each connection: login, heartbeat, requests for topics; paced.

It lives on the connection's thread, which calls it with what comes and with the time. It never
waits: what cannot go out now is tried again at the next tick. What a message means it asks the
venue; topics are asked for by ``topic_requester.py``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable
from typing import Any, Protocol, TypeVar

from ..config import ConnectionConfig
from ..core.credentials import Credentials
from ..core.failure import Failure, FailureKind, classify
from ..core.frames import Payload
from ..core.incoming import (
    Acknowledged,
    Answer,
    Data,
    Incoming,
    LoggedIn,
    LoginRefused,
    Notice,
    Pong,
    Refused,
)
from ..core.login import login_failure, revoked_failure, strings_of
from ..core.redact import Redactor, shorten
from ..core.subscriptions import SubscriptionRegistry
from ..errors import (
    NotConnectedError,
    OpenTimeoutError,
    PingTimeoutError,
    SendTimeoutError,
    VenueError,
    as_exception,
    describe,
)
from .clock import monotonic, wall_clock
from .heartbeats import HeartbeatSender
from .logs import Log
from .pacing import Pacer
from .subscriber import Subscriber
from .topic_requester import TopicRequester
from .transport import Attempt

__all__ = ["SessionHooks", "VenueSession"]

#: Characters of a server's text that are looked at.
MOST_TEXT = 4000

CleanT = TypeVar("CleanT", Refused, LoginRefused)

log = Log("wsresilient.connection")


class SessionHooks(Protocol):
    """What a session asks of its connection, on the connection's thread."""

    def session_ready(self) -> None:
        """The login is over, or none is needed."""

    def may_request(self) -> bool:
        """Whether topics may be asked for: on_open has returned."""

    def report(self, error: Exception) -> None:
        """Count an error and give it to on_error; the connection goes on."""

    def let_rotate(self, reason: Failure) -> bool:
        """Whether somebody else replaces this connection, so that it need not end itself."""

    def take_answer(self, request_id: Hashable, message: Any) -> bool:
        """Give a message to the request() that waits for this id; returns whether one does."""


class VenueSession:
    """Speaks to the exchange for one connection, attempt after attempt.

    :param subscriber: the subscriptions.
    :param config: ack_timeout, send_timeout, min_uptime.
    :param pacer: what may go out when.
    :param hooks: who is told.
    :param name: the connection's, for logs.
    :param registry: what of the subscriptions this connection has; None: it is the only one.
    """

    def __init__(
        self,
        subscriber: Subscriber,
        config: ConnectionConfig,
        pacer: Pacer,
        hooks: SessionHooks,
        *,
        name: str,
        registry: SubscriptionRegistry | None = None,
    ) -> None:
        self._subscriber = subscriber
        self._venue = subscriber.venue
        self._config = config
        self._pacer = pacer
        self._hooks = hooks
        self._name = name
        self._attempt: Attempt | None = None
        self._credentials: Credentials | None = None
        self._redact = Redactor()
        self._login_by: float | None = None  # monotonic; None: no login is under way
        self._opened_at = 0.0
        self._is_ready = False
        self._has_logged_in = False
        self._heartbeats = HeartbeatSender(subscriber.venue.heartbeat, config, pacer)
        self._topics = TopicRequester(
            subscriber, config, pacer, hooks.report, name=name, registry=registry
        )

    def __repr__(self) -> str:
        state = "ready" if self._is_ready else ("logging in" if self._login_by else "closed")
        return f"<VenueSession {self._venue!r} {state}>"

    # What the connection tells.

    def opened(self, attempt: Attempt, credentials: Credentials | None, redact: Redactor) -> None:
        """Begin with a connection whose handshake is done."""
        now = monotonic()
        self._attempt, self._credentials, self._redact = attempt, credentials, redact
        self._opened_at, self._is_ready, self._has_logged_in = now, False, False
        self._pacer.begin_connection()
        self._heartbeats.opened(now)
        login = None
        if credentials is not None and self._venue.logs_in(group=self._subscriber.group):
            login = self._venue.login(credentials, wall_clock())
        if login is None:
            self._become_ready()
            return
        self._redact.add(strings_of(login))  # for whoever else shows texts of this attempt, too
        self._login_by = now + self._config.ack_timeout
        self._send_login(login)

    def _send_login(self, login: str) -> None:
        # The first message of a connection: the socket's buffer is empty, so it is taken.
        assert self._attempt is not None
        self._pacer.take()
        if not self._attempt.sender.try_send_text(login.encode()):
            self._end(OpenTimeoutError("the login could not be sent: the peer takes nothing"))

    def lost(self) -> None:
        """The connection has ended."""
        self._attempt, self._login_by, self._is_ready = None, None, False
        self._topics.lost()

    def _become_ready(self) -> None:
        self._login_by, self._is_ready = None, True
        assert self._attempt is not None
        self._topics.opened(self._venue.url_topics(self._attempt.location), self._redact)
        self._hooks.session_ready()

    def _end(self, error: Exception, *, graceful: bool = False) -> None:
        if self._attempt is not None:
            self._attempt.interrupt(classify(error), graceful=graceful)

    # What comes.

    def sift(self, messages: list[Payload]) -> list[Payload]:
        """Act on the control messages of a read.

        :returns: the others; the very list where there are none.
        """
        suspects = self._suspects(messages)
        taken = {at for at, payload in suspects if self._is_control(payload)} if suspects else None
        if taken:
            if self._attempt is not None:
                self._attempt.wake()  # for a look at what follows from it
            messages = [payload for at, payload in enumerate(messages) if at not in taken]
        if self._topics.is_awaiting_data:
            self._topics.look_for_data(messages)
        return messages

    def _suspects(self, messages: list[Payload]) -> list[tuple[int, Payload]]:
        """Give those that may be control messages, by a look at the text; mostly none."""
        mark, vetoes = self._venue.data_mark, self._venue.control_marks
        numbered = enumerate(messages)
        if mark is None:
            return list(numbered)
        try:
            if not vetoes:
                return [pair for pair in numbered if mark not in pair[1]]
            if len(vetoes) == 1:
                veto = vetoes[0]
                return [pair for pair in numbered if mark not in pair[1] or veto in pair[1]]
            found = {at for at, payload in enumerate(messages) if mark not in payload}
            for veto in vetoes:  # one pass for each is quicker than any() for each message
                found |= {at for at, payload in enumerate(messages) if veto in payload}
            return [(at, messages[at]) for at in sorted(found)]
        except TypeError:  # a binary message among them
            return list(enumerate(messages))

    def _is_control(self, payload: Payload) -> bool:
        try:
            message = self._venue.decode(payload)
            incoming = self._venue.read(message)
        except BaseException:  # whoever serves the message finds it again, and tells it
            log.debug("%s: a message could not be read", self._name)
            return False
        if isinstance(incoming, Data):
            return False
        if self._attempt is None or not self._attempt.is_open:
            return True  # it is ending: whatever is said now changes nothing
        try:
            return self._act(incoming, message)
        except BaseException as error:  # a venue of the user's may give anything
            text = shorten(self._redact(describe(error)))
            self._hooks.report(VenueError(f"{self._venue!r}: an answer made no sense: {text}"))
            return True

    def _act(self, incoming: Incoming, message: Any) -> bool:
        """Do what a control message says; returns whether it was for us."""
        if self._is_awaited(incoming, message) or isinstance(incoming, Pong):
            return True
        if isinstance(incoming, Acknowledged):
            return self._topics.acknowledged(incoming) or incoming.request_id is None
        if isinstance(incoming, Refused):
            return self._refused(self._clean(incoming))
        if isinstance(incoming, LoggedIn):
            if self._login_by is not None:
                log.info("%s: logged in", self._name)
                self._has_logged_in = True
                self._become_ready()
            return True
        if isinstance(incoming, LoginRefused):
            self._login_refused(self._clean(incoming))
            return True
        if isinstance(incoming, Notice):
            self._noticed(incoming)
            return True
        assert isinstance(incoming, Answer), "read() gives one of the kinds of Incoming"
        return False

    def _is_awaited(self, incoming: Incoming, message: Any) -> bool:
        """Give a message to the request() that waits for its id; returns whether one does."""
        request_id = getattr(incoming, "request_id", None)
        if request_id is None:
            request_id = self._venue.answer_id(message)
        return request_id is not None and self._hooks.take_answer(request_id, message)

    def _clean(self, answer: CleanT) -> CleanT:
        """Hide what may be a secret in what a server says, and cut what is too long."""
        code = answer.code
        if isinstance(code, str):
            code = shorten(self._redact(code[:MOST_TEXT]), 40)
        text = shorten(self._redact(str(answer.text)[:MOST_TEXT])) or "an error without a text"
        return dataclasses.replace(answer, text=text, code=code)

    def _refused(self, answer: Refused) -> bool:
        if self._login_by is not None and answer.names_nothing:
            # Whether it is about the credentials at all is not said: once more.
            retries = None if answer.temporary else 1
            refusal = LoginRefused(answer.code, answer.text, final=False, retries=retries)
            self._login_refused(refusal)
            return True
        if not self._topics.refused(answer):
            self._hooks.report(VenueError(f"{self._venue!r} says: {answer.text}", code=answer.code))
        return True

    def _login_refused(self, refusal: LoginRefused) -> None:
        if self._attempt is None:
            return
        if self._login_by is None and refusal.revoked and self._has_logged_in:
            failure = revoked_failure(refusal, repr(self._venue))
            self._attempt.interrupt(failure, graceful=True)
            return
        if self._login_by is None:
            # Nobody has logged in here, or has so already: it is no reason to end the stream.
            text = f"{self._venue!r} says: {refusal.text}"
            self._hooks.report(VenueError(text, code=refusal.code))
            return
        self._login_by = None
        failure = login_failure(refusal, repr(self._venue), self._redact, now=wall_clock())
        self._attempt.interrupt(failure, graceful=True)

    def _noticed(self, notice: Notice) -> None:
        text = shorten(self._redact(notice.text[:MOST_TEXT]))
        if not notice.reconnect:
            log.debug("%s: notice: %s", self._name, text)
            return
        log.info("%s: notice: %s", self._name, text)
        if self._attempt is None:
            return
        # A server that says so again and again is not asked without a pause.
        early = monotonic() - self._opened_at < self._config.min_uptime
        failure = Failure(
            FailureKind.CLOSED if early else FailureKind.ROTATION,
            f"the server asks for a new connection: {text}",
            is_error=False,
        )
        if early or not self._hooks.let_rotate(failure):
            self._attempt.interrupt(failure, graceful=True)

    # Time.

    def tick(self, now: float) -> float:
        """Do what is due.

        :returns: seconds until it has to be called again.
        """
        attempt = self._attempt
        if attempt is None or not attempt.is_open:
            return math.inf
        try:
            pause = self._heartbeats.tick(attempt, now)
            if self._login_by is not None:
                return min(pause, self._watch_login(now))
            may_request = self._hooks.may_request()
            return min(pause, self._topics.tick(attempt, now, may_request=may_request))
        except (NotConnectedError, SendTimeoutError, PingTimeoutError) as error:
            self._end(error)
            return math.inf
        except BaseException as error:  # a heartbeat of the user's may raise anything
            log.exception("%s: the venue raised; the connection is made anew", self._name)
            self._end(as_exception(error, "the venue"))
            return math.inf

    def _watch_login(self, now: float) -> float:
        assert self._login_by is not None
        if now >= self._login_by:
            self._end(
                OpenTimeoutError(
                    f"no answer to the login within {self._config.ack_timeout:g} s (ack_timeout)"
                )
            )
            return math.inf
        return self._login_by - now
