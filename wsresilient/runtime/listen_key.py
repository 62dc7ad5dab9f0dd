"""The key in the URL of a private stream, fetched over REST and kept alive (Binance futures).

The key opens an account's stream to whoever has it, so no text, repr or log shows it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..config import check_seconds
from ..core.backoff import ReconnectPolicy
from ..core.credentials import Credentials
from ..core.redact import Redactor, shorten
from ..errors import AuthenticationError, NotConnectedError, VenueError, describe
from ..venues.base import ListenKey
from ..venues.dialect import decode_answer
from ..venues.rest_binance import BinanceRest
from .clock import monotonic, wall_clock
from .host_pauses import default_host_pauses
from .http_client import HttpAnswer, HttpClient, NoAnswerError, parse_base_url
from .logs import Log
from .threads import gather, spawn

__all__ = ["ListenKeyKeeper"]

log = Log("wsresilient.rest")

#: The key does not exist any more.
EXPIRED = -1125
#: Bytes of an answer, and characters of a key; those of 2026 have 100 and 64.
MAX_BODY, LONGEST_KEY = 64 * 1024, 512
#: Between two attempts to keep a key alive: it is good for an hour, of which half is left.
RETRIES = ReconnectPolicy(initial_delay=5.0, max_delay=120.0, jitter=0.5)


class ListenKeyKeeper:
    """Obtains a listen key and keeps it alive, for one life of a connection.

    :param spec: where and how often.
    :param base_url: of the exchange's REST.
    :param credentials: whose key; or a function that returns them, called for each new key.
    :param name: of the connection, for the thread ``wsr-rest-<name>`` and for texts.
    :param on_expired: called without arguments, on that thread, when the key has ended before
        its time: the connection needs another one.
    :param timeout: seconds for keeping it alive once.
    :raises ConfigurationError: an argument is not allowed.
    """

    def __init__(
        self,
        spec: ListenKey,
        *,
        base_url: str,
        credentials: Credentials | Callable[[], Credentials],
        name: str,
        on_expired: Callable[[], object],
        timeout: float = 10.0,
    ) -> None:
        check_seconds("timeout", timeout, exclusive=True)
        self._spec = spec
        self._base = parse_base_url("base_url", base_url)
        self._credentials = credentials
        self._name = name
        self._on_expired = on_expired
        self._timeout = timeout
        self._dialect = BinanceRest("futures")  # no other exchange has such keys
        self._http = HttpClient(max_body=MAX_BODY)
        self._pauses = default_host_pauses()
        # Guards the fields below; the condition wakes the thread.
        self._changed = threading.Condition(threading.RLock())
        self._owner: Credentials | None = None
        self._due = 0.0
        self._stopped = False
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<ListenKeyKeeper of {self._name} at {self._base.url}>"

    def obtain(self, *, deadline: float) -> str:
        """Get the key, on the caller's thread, and keep it alive from now on.

        While there is one that lives, the exchange gives the same again, for another hour.

        :param deadline: monotonic time.
        :returns: the key, which is a secret.
        :raises AuthenticationError: the credentials were refused.
        :raises VenueError: there was another error, or no answer in time.
        :raises NotConnectedError: the keeper was stopped.
        """
        owner = self._credentials() if callable(self._credentials) else self._credentials
        answer = self._ask("POST", owner, deadline=deadline)
        key = answer.get("listenKey") if isinstance(answer, dict) else None
        if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY:
            raise VenueError(self._text("POST", "the answer holds no listenKey that could be one"))
        with self._changed:
            if self._stopped:
                raise NotConnectedError("the keeper of the listen key was stopped")
            self._owner = owner
            self._due = monotonic() + self._spec.interval
            if self._thread is None:
                self._thread = spawn(self._keep_alive, name=f"wsr-rest-{self._name}")
            self._changed.notify_all()
        return key

    def interrupt(self) -> None:
        """Give up the request that is under way, and ask for no key any more; from any thread.

        Without waiting, so :meth:`stop` has to follow.
        """
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._http.close()  # one that begins just now is refused

    def stop(self, *, timeout: float = 5.0) -> bool:
        """Stop for good; returns whether the thread has ended.

        :param timeout: seconds to wait for it.
        """
        self.interrupt()
        with self._changed:
            thread = self._thread
        return thread is None or not gather([thread], timeout=timeout)

    # The thread.

    def _keep_alive(self) -> None:
        failures = 0
        while (owner := self._wait_until_due()) is not None:
            error = self._extend(owner)
            if error is None:
                failures = 0
                pause: float | None = self._spec.interval
            elif isinstance(error, AuthenticationError) or error.code == EXPIRED:
                pause = None
            else:
                failures += 1
                pause = RETRIES.decide(failures, retry_after=error.retry_after, error=error).delay
            if not self._go_on(error, pause):
                return

    def _wait_until_due(self) -> Credentials | None:
        """Wait; returns whose key is to be kept alive, or None: stopped."""
        with self._changed:
            while not self._stopped:
                rest = self._due - monotonic()
                if rest <= 0.0:
                    return self._owner
                self._changed.wait(rest)
        return None

    def _extend(self, owner: Credentials) -> VenueError | AuthenticationError | None:
        try:
            self._ask("PUT", owner, deadline=monotonic() + self._timeout)
        except (VenueError, AuthenticationError) as error:
            return error
        except NotConnectedError:
            return None  # stopped meanwhile, which is seen next
        return None

    def _go_on(self, error: VenueError | AuthenticationError | None, pause: float | None) -> bool:
        """Say what happened, and plan what is next.

        :param pause: seconds until the key is kept alive again; None: it is no more.
        """
        with self._changed:
            if self._stopped:
                return False
            if pause is not None:
                self._due = monotonic() + pause
            else:
                self._thread = None  # the next obtain() starts another one
        if error is not None:
            log.warning("%s: the listen key was not kept alive: %s", self._name, describe(error))
        if pause is None:
            try:
                self._on_expired()
            except Exception:
                log.exception("%s: what to do without a listen key failed", self._name)
        return pause is not None

    # Requests.

    def _ask(self, method: str, owner: Credentials, *, deadline: float) -> Any:
        pause = self._pauses.running(self._base.host)
        if pause is not None:
            rest = max(0.0, pause.ends_at - monotonic())
            text = f"not asked, since the host is left alone for another {rest:.1f} s: {pause.why}"
            raise VenueError(self._text(method, text), retry_after=rest)
        redact = Redactor(owner.secrets)
        failure: VenueError | AuthenticationError
        try:
            answer = self._http.request(
                method,
                self._base.url + self._spec.path,
                headers={self._spec.header: owner.api_key},
                deadline=deadline,
                silence=self._timeout,
                redact=redact,
            )
        except NoAnswerError as error:
            failure = VenueError(self._text(method, f"no answer from {self._base.host}: {error}"))
        else:
            decoded, failed = self._judge(method, answer, redact)
            if failed is None:
                return decoded
            failure = failed
        raise failure

    def _judge(
        self, method: str, answer: HttpAnswer, redact: Redactor
    ) -> tuple[Any, VenueError | AuthenticationError | None]:
        """Decode an answer, or say what is wrong with it."""
        try:
            decoded = decode_answer(answer.body)
        except ValueError:
            decoded = None
        status = answer.status
        refusal = self._dialect.refusal(status, answer.headers, decoded, now=wall_clock())
        if refusal is None and status < 300 and decoded is not None:
            return decoded, None
        if refusal is None:
            return None, VenueError(
                self._text(method, f"HTTP {status} without an answer in JSON"), status=status
            )
        # Redacted before it is cut, and before anything stands behind it.
        page = shorten(redact(answer.body[:1000].decode("utf-8", "replace")), 200)
        said = shorten(redact(refusal.describe(status, page=page)), 400)
        code = redact(refusal.code) if isinstance(refusal.code, str) else refusal.code
        if refusal.for_all and refusal.retry_after is not None:
            self._pauses.begin(self._base.host, seconds=refusal.retry_after, why=said)
        if refusal.denied:
            text = self._text(method, f"the credentials were refused: {said}")
            return None, AuthenticationError(text, status=status)
        return None, VenueError(
            self._text(method, said),
            code=code,
            status=status,
            retry_after=refusal.retry_after,
        )

    def _text(self, method: str, what: str) -> str:
        return f"listen key of {self._name}: {method} {self._spec.path}: {what}"
