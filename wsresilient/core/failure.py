"""One table for every failure: what happened -> kind, whether to retry, and how to say it.

Foreign exceptions of websocket-client have been translated before they come here; this
module knows the library's own tree, ``OSError`` and ``ssl``. The reason that was recorded
when a connection was cut wins over the exception that the cut caused.
"""

from __future__ import annotations

import enum
import math
import re
import socket
import ssl
from dataclasses import dataclass, replace

from ..errors import (
    AuthenticationError,
    CertificateError,
    ConfigurationError,
    ConnectionFailedError,
    ConnectionLostError,
    HandshakeError,
    MessageTooBigError,
    NameResolutionError,
    OpenTimeoutError,
    PingTimeoutError,
    ProtocolError,
    ProxyError,
    SendTimeoutError,
    StaleConnectionError,
    TLSError,
    VenueError,
    describe,
)

__all__ = ["PLANNED", "Failure", "FailureKind", "classify", "needs_credentials", "refused_by_close"]


class FailureKind(str, enum.Enum):
    """What kind of end it was; the value is the word that log lines carry."""

    NETWORK = "network"  # refused, unreachable, reset, end of file
    NAME = "name"  # no address for the host name
    TIMEOUT = "timeout"  # the open deadline, a send that was not taken, ETIMEDOUT
    PING = "ping"  # no sign of life after a ping
    STALLED = "stalled"  # pings live, the feed does not
    TLS = "tls"
    PROXY = "proxy"
    HANDSHAKE = "handshake"  # HTTP said no
    AUTHENTICATION = "authentication"
    PROTOCOL = "protocol"
    TOO_BIG = "too_big"
    CLOSED = "closed"  # a close frame of the server
    CONFIGURATION = "configuration"  # a callable of the user raised, or gave nonsense
    ROTATION = "rotation"  # planned: too old
    REQUESTED = "requested"  # planned: reconnect()
    STOPPED = "stopped"  # stop()

    def __str__(self) -> str:
        return self.value


#: Ends that we wanted: neither errors nor failures, no backoff, closed with 1000.
PLANNED = frozenset({FailureKind.ROTATION, FailureKind.REQUESTED, FailureKind.STOPPED})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt or a connection ended, and what follows from it.

    :ivar kind: see :class:`FailureKind`.
    :ivar text: type and cause, never empty, without secrets.
    :ivar retryable: whether another attempt makes sense.
    :ivar retry_after: seconds that the server asked for, or None.
    :ivar close_code: of the close frame, or None.
    :ivar status: HTTP status, or None.
    :ivar error: the exception, or None for a planned end.
    :ivar is_error: whether on_error is told.
    :ivar budget: after so many of this kind in a row it is fatal after all. None: no such limit.
    :ivar slower: factor on the policy's delay, within its bounds.
    """

    kind: FailureKind
    text: str
    retryable: bool = True
    retry_after: float | None = None
    close_code: int | None = None
    status: int | None = None
    error: Exception | None = None
    is_error: bool = True
    budget: int | None = None
    slower: float = 1.0

    @property
    def planned(self) -> bool:
        """Whether we ended it ourselves, on purpose."""
        return self.kind in PLANNED

    @property
    def is_sound(self) -> bool:
        """Whether a classify function left values that can be reckoned with."""
        numbers: tuple[object, ...] = (self.retry_after or 0.0, self.slower)
        return all(
            isinstance(number, (int, float)) and 0.0 <= number < math.inf for number in numbers
        )

    def replace(self, **changes: object) -> Failure:
        """Return a copy with other values, for ``classify=``."""
        return replace(self, **changes)  # type: ignore[arg-type]


# RFC 6455 section 7.4 and the IANA registry; 44xx as exchanges use it.
_AUTHENTICATION_CODES = frozenset({4401, 4403})
_NO_ERROR_CODES = frozenset({1000, 1001})
_AUTHENTICATION_TEXT = re.compile(
    r"auth|credential|login|log in|forbidden|permission|not allowed|denied|"
    r"(invalid|expired|wrong|missing|bad)[ _-]*(api[ _-]*)?(key|token|signature|sign)\b",
    re.IGNORECASE,
)
_RETRY_STATUS = frozenset({408, 421, 425, 429})
_CREDENTIAL_STATUS = frozenset({401, 403})

#: A peer that speaks no WebSocket, or breaks it every time, will not learn it.
HANDSHAKE_BUDGET = 5
PROTOCOL_BUDGET = 10


def needs_credentials(failure: Failure) -> bool:
    """Tell whether other credentials might help: HTTP 401 and 403, and a refused login."""
    if failure.kind is not FailureKind.AUTHENTICATION:
        return False
    return failure.status in _CREDENTIAL_STATUS or failure.close_code is None


def classify(error: Exception) -> Failure:
    """Say what an exception means for the connection.

    :param error: one of the library's, an OSError, or anything a user's callable raised.
    """
    text = describe(error)
    if isinstance(error, ConnectionLostError):
        return _classify_lost(error, text)
    if isinstance(error, HandshakeError):
        return _classify_handshake(error, text)
    if isinstance(error, ProxyError):
        # 407 asks for credentials that nobody has; other states may pass.
        fatal = error.status == 407
        return Failure(
            FailureKind.PROXY, text, retryable=not fatal, status=error.status, error=error
        )
    if isinstance(error, AuthenticationError):
        return Failure(
            FailureKind.AUTHENTICATION, text, retryable=False, status=error.status, error=error
        )
    if isinstance(error, (ConfigurationError, ConnectionFailedError)):
        return Failure(FailureKind.CONFIGURATION, text, retryable=False, error=error)
    if isinstance(error, (NameResolutionError, socket.gaierror)):
        # A name does not come back within a second; do not hammer the resolver.
        return Failure(FailureKind.NAME, text, error=error, slower=2.0)
    if isinstance(error, VenueError):
        # A listen key that could not be had: REST is busy, or down.
        return Failure(FailureKind.HANDSHAKE, text, retry_after=error.retry_after, error=error)
    for kinds, kind, retryable in _BY_TYPE:
        if isinstance(error, kinds):
            return Failure(kind, text, retryable=retryable, error=error)
    # What a url or headers callable of the user raised: it may go better next time.
    return Failure(FailureKind.CONFIGURATION, text, error=error)


_BY_TYPE: tuple[tuple[tuple[type[Exception], ...], FailureKind, bool], ...] = (
    ((StaleConnectionError,), FailureKind.STALLED, True),
    ((OpenTimeoutError, SendTimeoutError), FailureKind.TIMEOUT, True),
    ((CertificateError, ssl.SSLCertVerificationError), FailureKind.TLS, False),
    ((TLSError, ssl.SSLError), FailureKind.TLS, True),
    ((TimeoutError,), FailureKind.TIMEOUT, True),
    ((OSError,), FailureKind.NETWORK, True),
)


def _classify_lost(error: ConnectionLostError, text: str) -> Failure:
    code = error.close_code
    if isinstance(error, MessageTooBigError):
        return Failure(FailureKind.TOO_BIG, text, close_code=code, error=error)
    if isinstance(error, ProtocolError):
        return Failure(
            FailureKind.PROTOCOL, text, close_code=code, error=error, budget=PROTOCOL_BUDGET
        )
    if isinstance(error, PingTimeoutError):
        return Failure(FailureKind.PING, text, error=error)
    if code is None:
        return Failure(FailureKind.NETWORK, text, error=error)
    refused = code in _AUTHENTICATION_CODES or (
        code == 1008 and _AUTHENTICATION_TEXT.search(error.reason) is not None
    )
    if refused:
        return refused_by_close(error)
    return Failure(
        FailureKind.CLOSED,
        text,
        close_code=code,
        error=error,
        is_error=code not in _NO_ERROR_CODES,
    )


def refused_by_close(error: ConnectionLostError) -> Failure:
    """Make the failure of a close frame that means: these credentials never."""
    refusal = AuthenticationError(str(error), status=error.close_code)
    return Failure(
        FailureKind.AUTHENTICATION,
        describe(refusal),
        retryable=False,
        close_code=error.close_code,
        error=refusal,
    )


def _classify_handshake(error: HandshakeError, text: str) -> Failure:
    status = error.status
    if status in _CREDENTIAL_STATUS:
        refusal = AuthenticationError(f"the server refused the credentials: {error}", status=status)
        return Failure(
            FailureKind.AUTHENTICATION,
            describe(refusal),
            retryable=False,
            retry_after=error.retry_after,
            status=status,
            error=refusal,
        )
    # No status: not HTTP at all, a wrong accept key; perhaps a box on the way, so try again.
    retryable = status is None or status == 101 or status in _RETRY_STATUS or status >= 500
    return Failure(
        FailureKind.HANDSHAKE,
        text,
        retryable=retryable,
        retry_after=error.retry_after,
        status=status,
        error=error,
        budget=HANDSHAKE_BUDGET if status is None or status == 101 else None,
    )
