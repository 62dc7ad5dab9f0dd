"""Where the next attempt goes, and with what: URL, headers, credentials, listen key.

Everything that may change from attempt to attempt is asked for here, on the connection's thread:
the user's functions, the topics' route, the key in a private stream's URL. A connection may be lost
while its successor is planned, so that attempts take turns.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..config import ConnectionConfig
from ..core.credentials import Credentials
from ..core.endpoints import EndpointList
from ..core.redact import Redactor
from ..errors import ConfigurationError, NotConnectedError
from .clock import monotonic
from .listen_key import ListenKeyKeeper
from .options import ConnectionOptions, redactor
from .subscriber import Subscriber
from .transport import AttemptRequest

__all__ = ["AttemptPlanner", "Plan"]

#: Seconds after which whoever waits for its turn looks around.
PIECE = 0.05


@dataclass(frozen=True, slots=True)
class Plan:
    """Where one attempt goes, and with what.

    :ivar request: for the attempt.
    :ivar credentials: for its login, or None.
    :ivar redact: hides its secrets.
    :ivar group: of the topics that its URL is for.
    """

    request: AttemptRequest
    credentials: Credentials | None
    redact: Redactor
    group: str | None


class AttemptPlanner:
    """Plans the attempts of one life of a connection.

    :param options: what the user gave.
    :param config: open_timeout.
    :param subscriber: the topics, or None.
    :param name: the connection's.
    :param on_key_expired: is called when a listen key has ended; from any thread.
    :ivar redact: hides the secrets of the attempt that was planned last.
    :ivar asking: who was asked last, in words.
    """

    def __init__(
        self,
        options: ConnectionOptions,
        config: ConnectionConfig,
        subscriber: Subscriber | None,
        *,
        name: str,
        on_key_expired: Callable[[], object],
    ) -> None:
        self._options = options
        self._config = config
        self._subscriber = subscriber
        self._name = name
        self._on_key_expired = on_key_expired
        # Held while an attempt is planned; guards the following, and that the user's functions are
        # never called side by side.
        self._turn = threading.Lock()
        self._credentials: Credentials | None = None  # of the latest plan
        self.redact = Redactor()
        self.asking = ""  # whom, right now: for whoever has to say who raised what
        # Written by whoever has the turn, then _is_over is read; interrupt() does the reverse,
        # so that one of the two sees what the other has done.
        self._keys: ListenKeyKeeper | None = None
        self._is_over = False

    @contextlib.contextmanager
    def turn(self, is_unwanted: Callable[[], bool]) -> Iterator[bool]:
        """Wait for the turn to plan, and to look at what came of it; nobody else has it then.

        :param is_unwanted: whether the attempt need not be made any more.
        :yields: whether there is a turn; False: the attempt is unwanted, or all is being stopped,
            while somebody else may be in a function of the user's for however long.
        """
        has_turn = False
        while not (has_turn or self._is_over or is_unwanted()):
            has_turn = self._turn.acquire(timeout=PIECE)
        try:
            yield has_turn
        finally:
            if has_turn:
                self._turn.release()

    def plan(self, endpoints: EndpointList) -> Plan:
        """Plan an attempt; calls the user's functions, and REST for a listen key.

        The caller has the :meth:`turn`.

        :param endpoints: chooses among several URLs.
        :raises NotConnectedError: :meth:`interrupt` was called.
        :raises Exception: what these raise.
        """
        options = self._options
        self.asking = "the auth function"
        self._credentials = credentials = options.credentials()
        self._check_not_over()
        self._want_own_topics()
        group = None if self._subscriber is None else self._subscriber.group
        self.asking = "the exchange's REST"
        key = self._listen_key(group)
        self.asking = "the url function"
        urls = options.urls(group=group, listen_key=key)
        if key is not None:
            # It stands in the path, which is shown otherwise.
            hide = Redactor([key])
            urls = tuple(dataclasses.replace(url, shown=hide(url.shown)) for url in urls)
        url = endpoints.choose(urls, monotonic())
        self.asking = "the headers function"
        headers = options.headers_for(url)
        proxy = options.proxy_for(url)
        redact = redactor(urls, headers, proxy, options.subprotocols, credentials)
        if key is not None:
            redact = redact.with_secrets([key])
        self.redact = redact
        request = AttemptRequest(
            url=url,
            headers=headers,
            subprotocols=options.subprotocols,
            proxy=proxy,
            ssl_context=options.ssl_context,
            redact=redact,
        )
        return Plan(request, credentials, redact, group)

    def _want_own_topics(self) -> None:
        """With credentials and nothing else to do, the account's own data are wanted."""
        venue, subscriber = self._options.venue, self._subscriber
        if venue is None or subscriber is None or self._credentials is None:
            return
        if venue.private_topics and not subscriber.wanted:
            subscriber.subscribe(venue.private_topics)

    def _listen_key(self, group: str | None) -> str | None:
        venue = self._options.venue
        spec = None if venue is None or self._options.url else venue.listen_key(group=group)
        if spec is None or venue is None or self._credentials is None:
            self._drop_keys()
            return None
        if venue.rest_url is None:
            raise ConfigurationError(f"{venue!r} has no rest_url, from which its key comes")
        if self._keys is None:
            self._keys = ListenKeyKeeper(
                spec,
                base_url=venue.rest_url,
                credentials=self._current_credentials,
                name=self._name,
                on_expired=self._key_has_expired,
            )
        self._check_not_over()
        return self._keys.obtain(deadline=monotonic() + self._config.open_timeout)

    def _drop_keys(self) -> None:
        """Keep no key alive for topics that need none."""
        keys, self._keys = self._keys, None
        if keys is not None:
            keys.stop(timeout=1.0)

    def _key_has_expired(self) -> None:
        if self._keys is not None:
            self._on_key_expired()

    def _check_not_over(self) -> None:
        if self._is_over:
            raise NotConnectedError("the connection was stopped while an attempt was prepared")

    def _current_credentials(self) -> Credentials:
        assert self._credentials is not None, "a key is asked for with credentials only"
        return self._credentials

    def leads_elsewhere(self, plan: Plan) -> bool:
        """Tell whether the topics have come to need another URL than the planned one."""
        if self._subscriber is None or self._options.url is not None:
            return False
        return self._subscriber.leads_elsewhere(plan.group)

    def interrupt(self) -> None:
        """Give up what is being waited for, and plan nothing any more; from any thread."""
        self._is_over = True
        keys = self._keys
        if keys is not None:
            keys.interrupt()

    def stop(self, *, timeout: float) -> None:
        """Keep no key alive any more.

        :param timeout: seconds to wait for its thread.
        """
        keys = self._keys  # whoever hangs in a function of the user's may come back right now
        if keys is not None:
            keys.stop(timeout=timeout)
