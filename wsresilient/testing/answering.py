"""What the fake exchange does with the requests of its clients, and what it leaves undone.

Everything runs on the loop's thread. What a request means and how an answer is spelled is the
format's business; here it is decided whether it is done, lost, refused or held back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from wsresilient.core.credentials import Credentials
from wsresilient.testing.delay import DelayLine
from wsresilient.testing.enforcement import Enforcer
from wsresilient.testing.formats.base import (
    Action,
    Answer,
    Close,
    ExchangeFormat,
    Heartbeat,
    ListTopics,
    Login,
    Refusal,
    Reply,
    Session,
    Subscribe,
    Unsubscribe,
)
from wsresilient.testing.ledger import Ledger
from wsresilient.testing.limits import Limit, Violation
from wsresilient.testing.peer import Peer
from wsresilient.testing.publishing import Publisher, take_one
from wsresilient.testing.records import LoginAttempt

__all__ = ["Clerk"]


class Clerk:
    """Answers requests.

    :param venue: how they are spelled.
    :param publisher: the subscriptions.
    :param enforcer: the limits.
    :param ledger: where it is written down.
    :param credentials: whom the exchange knows.
    :param now: the exchange's clock, milliseconds since 1970.
    :ivar refusals: topics that are refused, whatever the format says.
    :ivar login_refusal: why every login is refused; None: each is checked.
    :ivar acks_to_lose: topic -> how often (None: always); the topic None is any.
    :ivar acks: where acknowledgements pass on their way to the client.
    :ivar logins: the same for logins.
    :ivar is_ignoring_pings: whether pings and heartbeats get no answer.
    """

    def __init__(
        self,
        venue: ExchangeFormat,
        publisher: Publisher,
        enforcer: Enforcer,
        ledger: Ledger,
        credentials: Credentials,
        now: Callable[[], int],
    ) -> None:
        self.refusals: dict[str, Refusal] = {}
        self.login_refusal: Refusal | None = None
        self.acks_to_lose: dict[str | None, int | None] = {}
        self.acks = DelayLine()
        self.logins = DelayLine()
        self.is_ignoring_pings = False
        self._venue = venue
        self._publisher = publisher
        self._enforcer = enforcer
        self._ledger = ledger
        self._credentials = credentials
        self._now = now

    def __repr__(self) -> str:
        return f"<Clerk {self._venue.name} refusals={len(self.refusals)}>"

    def take(self, peer: Peer, session: Session, payload: str | bytes) -> None:
        """Do what a message asks for, and answer."""
        for action in self._venue.parse(payload, session):
            if peer.is_open:
                self._perform(peer, session, action)

    def punish(self, peer: Peer, limit: Limit, request: Action | None = None) -> None:
        """Write down that a client went over a limit, and let it feel that."""
        self._ledger.violations.append(Violation(time.monotonic(), peer.number, limit))
        if peer.session is not None:
            asked = request if isinstance(request, (Subscribe, Unsubscribe, Login)) else None
            self._deliver(peer, self._venue.penalty(limit, asked, peer.session))

    def _perform(self, peer: Peer, session: Session, action: Action) -> None:
        if isinstance(action, Heartbeat):
            self._take_heartbeat(peer, action)
        elif isinstance(action, Reply):
            self._deliver(peer, [action.payload])
        elif isinstance(action, Close):
            self._deliver(peer, [action])
        elif isinstance(action, ListTopics):
            self._deliver(peer, self._venue.listing(action, session))
        else:
            limit = self._enforcer.request(action, peer.meter, time.monotonic())
            if limit is not None:
                self.punish(peer, limit, action)
            elif isinstance(action, Login):
                self._log_in(peer, session, action)
            elif isinstance(action, Subscribe):
                self._subscribe(peer, session, action)
            else:
                self._unsubscribe(peer, session, action)

    def _take_heartbeat(self, peer: Peer, heartbeat: Heartbeat) -> None:
        self._ledger.ping_count += 1
        peer.meter.heartbeat_at = time.monotonic()
        if not self.is_ignoring_pings:
            self._deliver(peer, [heartbeat.answer])

    def _deliver(self, peer: Peer, answers: Iterable[Answer]) -> None:
        for answer in answers:
            if isinstance(answer, str):
                peer.send(answer)
            elif answer.code is None:
                peer.abort()
            else:
                peer.close(answer.code, answer.reason)

    # Topics.

    def _subscribe(self, peer: Peer, session: Session, request: Subscribe) -> None:
        refused = {
            topic: refusal
            for topic in request.topics
            if (refusal := self._refusal(topic, session)) is not None
        }
        accepted = [topic for topic in request.topics if topic not in refused]
        if refused and self._venue.refuses_whole(session):
            accepted = []
        limit = self._enforcer.topics(session, accepted)
        if limit is not None:
            self.punish(peer, limit, request)
            return
        self._publisher.add(peer, session, accepted)
        answers = self._venue.answer(request, accepted, refused, session)
        self._acknowledge(peer, request.topics, answers)
        self._publisher.send_snapshots(peer, accepted)

    def _refusal(self, topic: str, session: Session) -> Refusal | None:
        if topic in self.refusals:
            return self.refusals[topic]
        stream = self._venue.stream(topic, session)
        if isinstance(stream, Refusal):
            return stream
        is_known = not stream.symbol or stream.symbol in self._publisher.feed.market
        if not is_known and self._venue.refuses_unknown_symbols:
            return self._venue.refusal(topic)
        return None

    def _unsubscribe(self, peer: Peer, session: Session, request: Unsubscribe) -> None:
        self._publisher.drop(peer, request.topics)
        self._publisher.retire(request.topics)
        answers = self._venue.answer(request, request.topics, {}, session)
        self._acknowledge(peer, request.topics, answers)

    def _acknowledge(self, peer: Peer, topics: Iterable[str], answers: Iterable[Answer]) -> None:
        if not any(take_one(self.acks_to_lose, topic) for topic in (None, *topics)):
            self.acks.pass_on(lambda: self._deliver(peer, answers))

    # Logins.

    def _log_in(self, peer: Peer, session: Session, login: Login) -> None:
        refusal = self.login_refusal or self._venue.check_login(
            login, self._credentials, self._now()
        )
        code, message = (None, "") if refusal is None else (refusal.code, refusal.message)
        self._ledger.logins.append(
            LoginAttempt(time.monotonic(), peer.number, login.api_key, code, message)
        )
        self.logins.pass_on(lambda: self._finish_login(peer, session, login, refusal))

    def _finish_login(
        self, peer: Peer, session: Session, login: Login, refusal: Refusal | None
    ) -> None:
        if not peer.is_open:
            return
        if refusal is None:
            session.is_logged_in = True
            self._publisher.add(peer, session, login.topics)
        self._deliver(peer, self._venue.login_answer(login, refusal, session))
