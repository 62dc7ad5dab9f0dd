"""HTTP through requests, as the library wants it: bounded, without redirects, cookies and secrets.

It knows no exchange: a status is an answer like any other.
"""

from __future__ import annotations

import http.client
import http.cookiejar
import os
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from ..core.redact import redact_text, shorten
from ..core.urls import redact_malformed
from ..errors import ConfigurationError, NotConnectedError, WSResilientError, describe
from .http_call import Call, DeadlineAdapter

__all__ = ["BaseURL", "HttpAnswer", "HttpClient", "NoAnswerError", "parse_base_url"]

#: Bytes of an answer, unpacked.
MAX_BODY = 64 * 1024 * 1024
CHUNK = 64 * 1024

_FOREIGN = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,  # of a header that cannot be sent, with its value
    WSResilientError,
)
#: What is wrong with the request itself is so the next time, too.
_FINAL = (
    ssl.SSLCertVerificationError,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidSchema,
    ValueError,
    urllib3.exceptions.LocationParseError,
)


class NoAnswerError(WSResilientError):
    """A request got no whole answer. Stays inside of the library: its callers say of whom.

    :ivar temporary: whether the same request may get one later.
    """

    def __init__(self, message: str, *, temporary: bool) -> None:
        super().__init__(message)
        self.temporary = temporary


class _BodyTooBigError(Exception):
    """The answer is larger than allowed."""


@dataclass(frozen=True, slots=True)
class BaseURL:
    """Where an exchange's REST is.

    :ivar url: without a slash at the end.
    :ivar host: name and port, as it stands in the URL.
    """

    url: str
    host: str


def parse_base_url(name: str, url: object) -> BaseURL:
    """Check a base URL.

    :param name: of the argument.
    :raises ConfigurationError: it is none, or holds a secret: user info or a query.
    """
    allowed = "http://host[:port][/path] or https://..."
    if not isinstance(url, str):
        raise ConfigurationError(f"{name} is of type {type(url).__name__}; allowed: {allowed}")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
        parts = urlsplit("")
    if not good or parts.query or parts.fragment or "@" in parts.netloc or url != url.strip():
        raise ConfigurationError(f"{name} is {redact_malformed(url)!r:.200}; allowed: {allowed}")
    return BaseURL(url.rstrip("/"), parts.netloc.lower())


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer, whatever its status.

    :ivar status: the HTTP status.
    :ivar headers: names in lower case.
    :ivar body: unpacked.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def _as_it_is(request: Any) -> Any:
    return request


class HttpClient:
    """Sends requests; from any number of threads.

    :param redact: hides what no text may show.
    :param max_body: bytes of an answer.
    """

    def __init__(
        self, *, redact: Callable[[str], str] = redact_text, max_body: int = MAX_BODY
    ) -> None:
        self._redact = redact
        self._max_body = max_body
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()  # guards the fields below
        self._calls: set[Call] = set()
        self._closed = False
        self._session = self._new_session()

    @staticmethod
    def _new_session() -> requests.Session:
        session = requests.Session()
        adapter = DeadlineAdapter()
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.headers["User-Agent"] = "wsresilient"
        session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        session.auth = _as_it_is  # otherwise requests sends what stands in ~/.netrc
        return session

    def request(
        self,
        method: str,
        url: str,
        *,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str | None] | None = None,
        deadline: float,
        silence: float,
        redact: Callable[[str], str] | None = None,
        body: bytes | None = None,
        excerpt: int | None = None,
    ) -> HttpAnswer:
        """Send a request and read its whole answer.

        :param body: to send, or None.
        :param excerpt: how many bytes of the answer's body are worth reading, not unpacked; a body
            that is longer, or does not come, is no failure. None: all of it.
        :param deadline: monotonic time at which all of it has to be over.
        :param silence: seconds for which the server may say nothing.
        :param redact: in place of the client's own, for the secrets of this request.
        :raises NoAnswerError: there was none; the text says why and shows no secret.
        :raises NotConnectedError: the client is closed.
        """
        call = self._begin_call(deadline=deadline, silence=silence)
        try:
            with call.current():
                return self._perform(call, method, url, parameters, headers, body, excerpt)
        except (*_FOREIGN, _BodyTooBigError) as error:
            failure = _no_answer(error, call, redact or self._redact)
        finally:
            with self._lock:
                self._calls.discard(call)
            call.close()
        # Not in the except: what requests raises holds URLs and headers, and would stay with it.
        raise failure

    def _begin_call(self, *, deadline: float, silence: float) -> Call:
        if self._process != os.getpid():
            self._begin()  # in a child after a fork: the sockets and the lock are the parent's
        with self._lock:
            if self._closed:
                raise NotConnectedError("the client is closed; make a new one")
            call = Call(deadline=deadline, silence=silence)
            self._calls.add(call)
            return call

    def _perform(
        self,
        call: Call,
        method: str,
        url: str,
        parameters: Mapping[str, str] | None,
        headers: Mapping[str, str | None] | None,
        body: bytes | None,
        excerpt: int | None,
    ) -> HttpAnswer:
        response = self._session.request(
            method,
            url,
            params=parameters,
            headers=headers,
            data=body,
            timeout=call.patience(),
            allow_redirects=False,
            stream=True,
        )
        with response:
            content = self._read(response) if excerpt is None else _read_excerpt(response, excerpt)
        names = {name.lower(): value for name, value in response.headers.items()}
        return HttpAnswer(response.status_code, names, content)

    def _read(self, response: requests.Response) -> bytes:
        response.raw.enforce_content_length = True  # urllib3 1.26 takes half for the whole
        size, chunks = 0, []
        for chunk in response.iter_content(CHUNK):
            size += len(chunk)
            if size > self._max_body:
                raise _BodyTooBigError(f"the answer is larger than {self._max_body:,} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    def close(self) -> None:
        """Give up what is under way and close all connections; any number of times."""
        with self._lock:
            self._closed = True
        self.abort()
        self._session.close()

    def abort(self) -> None:
        """Give up what is under way; the client can go on."""
        with self._lock:
            calls = list(self._calls)
        for call in calls:
            call.abort()


def _read_excerpt(response: requests.Response, size: int) -> bytes:
    """Read the beginning of a body; what does not come is not missed."""
    try:
        content: bytes = response.raw.read(size, decode_content=False)
    except _FOREIGN:
        return b""
    return content


def _no_answer(error: BaseException, call: Call, redact: Callable[[str], str]) -> NoAnswerError:
    """Say why there is no answer, and whether there may be one the next time."""
    chain = _causes(error)
    if call.aborted:
        return NoAnswerError("it was given up", temporary=False)
    if call.is_late:
        return NoAnswerError("it took too long", temporary=False)
    final = isinstance(error, _BodyTooBigError) or any(isinstance(e, _FINAL) for e in chain)
    if any(isinstance(one, TimeoutError) for one in chain):
        return NoAnswerError(f"it was silent for {call.silence:g} s", temporary=True)
    cause = chain[-1]
    text = str(error) if isinstance(error, _BodyTooBigError) else describe(cause)
    if isinstance(cause, ssl.SSLCertVerificationError):
        text += "; a CA of your own goes into the environment variable REQUESTS_CA_BUNDLE"
    return NoAnswerError(shorten(redact(text), 300), temporary=not final)


def _causes(error: BaseException) -> list[BaseException]:
    """Find what an exception of requests wraps, the outermost first."""
    # Not by __context__, which may be what the caller was busy with.
    found: list[BaseException] = []
    inner: Any = error
    while isinstance(inner, BaseException) and inner not in found:
        found.append(inner)
        wrapped = [getattr(inner, "reason", None), *inner.args, inner.__cause__]
        inner = next((one for one in wrapped if isinstance(one, BaseException)), None)
    return found
