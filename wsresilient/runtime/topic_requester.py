"""Asking an exchange for topics: the registry's next request, when the pace allows it.

The half of a session that has to do with topics; it lives on the connection's thread as well, and
never waits there either.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

from ..config import ConnectionConfig
from ..core.frames import Payload
from ..core.incoming import Acknowledged, Data, Refused
from ..core.redact import Redactor, shorten
from ..core.subscriptions import SubscriptionRegistry
from ..core.topic_requests import Request, write_request
from ..errors import SubscriptionError, SubscriptionLimitError, describe
from .clock import monotonic
from .heartbeats import RETRY
from .logs import Log
from .pacing import Pacer
from .subscriber import Subscriber
from .transport import Attempt

__all__ = ["TopicRequester"]

log = Log("wsresilient.connection")


class TopicRequester:
    """Brings what the server has nearer to what is wanted.

    :param subscriber: the subscriptions.
    :param config: first_data_timeout, for texts.
    :param pacer: what may go out when.
    :param report: is given errors of topics, each once.
    :param name: the connection's, for logs.
    :param registry: what of the subscriptions the connection has; None: it is the only one.
    :ivar is_awaiting_data: whether :meth:`look_for_data` has something to find.
    """

    def __init__(
        self,
        subscriber: Subscriber,
        config: ConnectionConfig,
        pacer: Pacer,
        report: Callable[[Exception], None],
        *,
        name: str,
        registry: SubscriptionRegistry | None = None,
    ) -> None:
        self._subscriber = subscriber
        self._hold = functools.partial(subscriber.registry, registry)
        self._venue = subscriber.venue
        self._config = config
        self._pacer = pacer
        self._tell = report
        self._name = name
        self._redact = Redactor()
        self._in_url: frozenset[str] = frozenset()
        self.is_awaiting_data = False

    # The connection.

    def opened(self, url_topics: Sequence[str], redact: Redactor) -> None:
        """A connection is ready for requests.

        :param url_topics: those that its URL has subscribed.
        :param redact: hides its secrets.
        """
        self._redact = redact
        self._in_url = frozenset(url_topics)
        try:
            self._subscriber.want_of_url(url_topics)
        except SubscriptionLimitError as error:
            self._report([error])
        with self._hold() as registry:
            registry.opened(url_topics, now=monotonic())
            self.is_awaiting_data = registry.is_awaiting_data

    def lost(self) -> None:
        """The connection has ended."""
        self.is_awaiting_data = False
        with self._hold() as registry:
            registry.lost()

    # What comes.

    def acknowledged(self, answer: Acknowledged) -> bool:
        """Take an acknowledgement; returns whether it answered a request."""
        with self._hold() as registry:
            taken = registry.acknowledged(answer, monotonic())
            self.is_awaiting_data = registry.is_awaiting_data
        return taken

    def refused(self, answer: Refused) -> bool:
        """Take a refusal, its text without secrets; returns whether it was for a request."""
        with self._hold() as registry:
            errors = registry.refused(answer, monotonic())
            self.is_awaiting_data = registry.is_awaiting_data
        self._report(errors or [])
        return errors is not None

    def look_for_data(self, messages: list[Payload]) -> None:
        """Note which topics bring data; only while one is awaited."""
        index, seen = self._subscriber.index, set()
        for payload in messages:
            try:
                incoming = self._venue.read(self._venue.decode(payload))
                if isinstance(incoming, Data):
                    seen.add(index.resolve(incoming))
            except BaseException:  # whoever serves the message finds it again, and tells it
                continue
        now = monotonic()
        with self._hold() as registry:
            for topic in seen:
                registry.data_came(topic, now)
            self.is_awaiting_data = registry.is_awaiting_data

    def _report(self, errors: list[SubscriptionError]) -> None:
        for error in errors:
            log.warning("%s: %s", self._name, error)
            self._tell(error)

    # Time.

    def tick(self, attempt: Attempt, now: float, *, may_request: bool) -> float:
        """Send what is due, and look for what was not answered.

        :param may_request: whether topics may be asked for yet.
        :returns: seconds until it has to be called again.
        :raises NotConnectedError: the connection was lost.
        """
        with self._hold() as registry:
            errors = registry.expire(now)
            silent = registry.silent(now)
        self._report(errors)
        if silent:
            # Of some streams the data never say whose they are, so that nobody knows.
            told = [topic for topic in silent if self._venue.names_data(topic, attempt.location)]
            self._report([self._silent(topic) for topic in told])
        pause = self._send_requests(attempt, now) if may_request else math.inf
        with self._hold() as registry:
            deadline = registry.next_deadline()
            self.is_awaiting_data = registry.is_awaiting_data
        return pause if deadline is None else max(0.001, min(pause, deadline - now))

    def _silent(self, topic: str) -> SubscriptionError:
        how = "stands in the URL" if topic in self._in_url else "is confirmed"
        return SubscriptionError(
            f"the topic {topic!r:.80} {how} and has brought no data for "
            f"{self._config.first_data_timeout:g} s; it stays subscribed. Is the symbol traded, "
            "its spelling right, the channel on this route?",
            topic=topic,
        )

    def _send_requests(self, attempt: Attempt, now: float) -> float:
        """Send what may go out now; returns seconds until more may."""
        while True:
            with self._hold() as registry:
                if not registry.has_request(now):
                    return math.inf
                wait = self._pacer.try_request()
                if wait > 0.0:
                    return wait
                request = registry.next_request(now)
            if request is None:
                return math.inf
            if not self._send(attempt, request):
                return RETRY

    def _send(self, attempt: Attempt, request: Request) -> bool:
        try:
            payload, count = write_request(self._venue, request)
        except BaseException as error:  # a venue of the user's may raise anything
            self._give_up(request, error)
            return True
        if count < len(request.topics):
            with self._hold() as registry:
                registry.shorten(request, count)
        gone = attempt.sender.try_send_text(payload)
        with self._hold() as registry:
            if gone:
                registry.sent(request, monotonic())
            else:
                registry.unsent(request)
                self._pacer.give_back()
        return gone

    def _give_up(self, request: Request, error: BaseException) -> None:
        said = shorten(self._redact(describe(error)))
        with self._hold() as registry:
            errors = registry.unwritable(request, f"the venue could not make the request: {said}")
        self._pacer.give_back()
        self._report(errors)
