"""The classification table of FACTS.md, row by row: kind, retry or not, and what is said."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from wsresilient import Failure, FailureKind
from wsresilient.core.failure import (
    HANDSHAKE_BUDGET,
    PLANNED,
    PROTOCOL_BUDGET,
    classify,
    needs_credentials,
)
from wsresilient.errors import (
    AuthenticationError,
    CertificateError,
    ConfigurationError,
    ConnectError,
    ConnectionFailedError,
    ConnectionLostError,
    HandshakeError,
    MessageTooBigError,
    NameResolutionError,
    NotConnectedError,
    OpenTimeoutError,
    PingTimeoutError,
    ProtocolError,
    ProxyError,
    SendTimeoutError,
    StaleConnectionError,
    TLSError,
)

K = FailureKind


def lost(code: int | None, reason: str = "") -> ConnectionLostError:
    return ConnectionLostError("the server closed", close_code=code, reason=reason)


def http(status: int | None, retry_after: float | None = None) -> HandshakeError:
    return HandshakeError(f"HTTP {status}", status=status, retry_after=retry_after)


def kind_and_retry(error: Exception) -> tuple[FailureKind, bool]:
    failure = classify(error)
    return failure.kind, failure.retryable


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        # refused, unreachable, timed out
        (ConnectError("127.0.0.1:1: ConnectionRefusedError"), K.NETWORK, True),
        (ConnectionRefusedError(111, "Connection refused"), K.NETWORK, True),
        (OSError(101, "Network is unreachable"), K.NETWORK, True),
        (OSError(113, "No route to host"), K.NETWORK, True),
        (TimeoutError(110, "Connection timed out"), K.TIMEOUT, True),
        (OpenTimeoutError("no TCP connection within open_timeout"), K.TIMEOUT, True),
        # name not found
        (NameResolutionError("no address of 'nowhere'"), K.NAME, True),
        (socket.gaierror(-2, "Name or service not known"), K.NAME, True),
        # end of file, reset or timeout in the handshake, or later
        (ConnectionResetError(104, "Connection reset by peer"), K.NETWORK, True),
        (BrokenPipeError(32, "Broken pipe"), K.NETWORK, True),
        (lost(None), K.NETWORK, True),
        (NotConnectedError("the connection was closed while sending"), K.NETWORK, True),
        # certificate, other TLS
        (CertificateError("refused", verify_code=18), K.TLS, False),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), K.TLS, False),
        (TLSError("no TLS"), K.TLS, True),
        (ssl.SSLError(1, "wrong version number"), K.TLS, True),
        (ssl.SSLEOFError(8, "EOF occurred"), K.TLS, True),
        # the reasons that are recorded when the link is cut
        (PingTimeoutError("ping/pong timed out"), K.PING, True),
        (StaleConnectionError("stalled"), K.STALLED, True),
        (SendTimeoutError("the peer did not take it"), K.TIMEOUT, True),
        # RFC 6455 broken
        (ProtocolError("reserved bits"), K.PROTOCOL, True),
        (ProtocolError("bad UTF-8", close_code=1007), K.PROTOCOL, True),
        (MessageTooBigError("too big"), K.TOO_BIG, True),
        # the proxy
        (ProxyError("HTTP 407", status=407), K.PROXY, False),
        (ProxyError("HTTP 403", status=403), K.PROXY, True),
        (ProxyError("HTTP 502", status=502), K.PROXY, True),
        (ProxyError("no answer"), K.PROXY, True),
        # given up, or never to begin with
        (AuthenticationError("no", status=401), K.AUTHENTICATION, False),
        (ConfigurationError("url is 5"), K.CONFIGURATION, False),
        (ConnectionFailedError("given up"), K.CONFIGURATION, False),
        # what a callable of the user raised may go better next time
        (RuntimeError("no token yet"), K.CONFIGURATION, True),
        (KeyError("token"), K.CONFIGURATION, True),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_each_row_of_the_table(error: Exception, kind: FailureKind, retryable: bool) -> None:
    failure = classify(error)

    assert (failure.kind, failure.retryable) == (kind, retryable)
    assert failure.error is error
    assert failure.is_error
    assert not failure.planned
    assert failure.text.startswith(type(error).__name__)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 599])
def test_an_http_status_that_may_pass_is_retried_with_its_retry_after(status: int) -> None:
    failure = classify(http(status, retry_after=7.5))

    assert (failure.kind, failure.retryable) == (K.HANDSHAKE, True)
    assert (failure.status, failure.retry_after) == (status, 7.5)
    assert failure.budget is None


@pytest.mark.parametrize(
    "status", [200, 204, 301, 302, 307, 308, 400, 404, 405, 410, 418, 426, 451]
)
def test_an_http_status_that_will_not_pass_is_fatal(status: int) -> None:
    failure = classify(http(status))

    assert (failure.kind, failure.retryable, failure.status) == (K.HANDSHAKE, False, status)


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_fatal_unless_others_can_be_had(status: int) -> None:
    failure = classify(http(status, retry_after=3.0))

    assert (failure.kind, failure.retryable) == (K.AUTHENTICATION, False)
    assert needs_credentials(failure)
    assert isinstance(failure.error, AuthenticationError)
    assert failure.error.status == failure.status == status
    assert f"HTTP {status}" in failure.text
    assert failure.retry_after == 3.0


@pytest.mark.parametrize("status", [None, 101])
def test_an_answer_that_is_no_websocket_is_fatal_after_a_few(status: int | None) -> None:
    failure = classify(http(status))

    assert (failure.kind, failure.retryable) == (K.HANDSHAKE, True)
    assert failure.budget == HANDSHAKE_BUDGET
    assert 1 < HANDSHAKE_BUDGET < 20


def test_a_peer_that_breaks_the_protocol_is_retried_a_few_times() -> None:
    failure = classify(ProtocolError("reserved bits"))

    assert failure.budget == PROTOCOL_BUDGET
    assert 1 < PROTOCOL_BUDGET < 50
    assert classify(MessageTooBigError("too big")).budget is None


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1005, 1006, 1009, 1011, 1012, 1013, 1014, 4000])
def test_a_close_of_the_server_is_retried(code: int) -> None:
    failure = classify(lost(code, "auth"))  # the text matters with 1008 only

    assert (failure.kind, failure.retryable) == (K.CLOSED, True)
    assert failure.close_code == code


@pytest.mark.parametrize("code", [1000, 1001])
def test_an_orderly_close_is_no_error(code: int) -> None:
    assert not classify(lost(code)).is_error


@pytest.mark.parametrize("code", [None, 1002, 1005, 1006, 1008, 1011, 4000])
def test_any_other_end_is_an_error(code: int | None) -> None:
    assert classify(lost(code)).is_error


@pytest.mark.parametrize("code", [4401, 4403])
def test_a_close_code_that_means_refused_credentials_is_fatal(code: int) -> None:
    failure = classify(lost(code))

    assert (failure.kind, failure.retryable) == (K.AUTHENTICATION, False)
    assert isinstance(failure.error, AuthenticationError)
    assert failure.error.status == failure.close_code == code
    # unlike after HTTP 401, a login came too late to be told by a new attempt
    assert not needs_credentials(failure)


@pytest.mark.parametrize(
    "reason",
    [
        "authentication failed",
        "Unauthorized",
        "not authorised",
        "invalid api key",
        "Invalid API-key, IP, or permissions for action",
        "expired token",
        "bad signature",
        "please log in",
        "Login failed",
        "Forbidden",
        "access denied",
        "wrong credentials",
    ],
)
def test_1008_with_an_authentication_text_is_fatal(reason: str) -> None:
    assert kind_and_retry(lost(1008, reason)) == (K.AUTHENTICATION, False)


@pytest.mark.parametrize(
    "reason", ["", "too many requests", "rate limit", "slow consumer", "policy violation", "keyed"]
)
def test_1008_with_any_other_text_is_retried(reason: str) -> None:
    assert kind_and_retry(lost(1008, reason)) == (K.CLOSED, True)


def test_a_name_that_is_not_found_is_asked_for_more_slowly() -> None:
    assert classify(NameResolutionError("no address")).slower > 1.0
    assert classify(ConnectError("refused")).slower == 1.0


@pytest.mark.parametrize("error", [OSError(), ValueError(""), TimeoutError(), Exception("\n")])
def test_a_text_is_never_empty(error: Exception) -> None:
    assert classify(error).text == type(error).__name__


def test_what_we_planned_is_no_failure() -> None:
    assert {K.ROTATION, K.REQUESTED, K.STOPPED} == PLANNED
    for kind in FailureKind:
        assert Failure(kind, "x").planned == (kind in PLANNED)


def test_kinds_are_the_words_of_the_log() -> None:
    # a broken network, a stalled feed, a planned rotation: told apart by one word
    assert len({str(kind) for kind in FailureKind}) == len(FailureKind)
    assert f"{K.NETWORK} {K.STALLED} {K.ROTATION}" == "network stalled rotation"


def test_a_failure_is_changed_by_making_another() -> None:
    failure = classify(http(404))
    changes: dict[str, Any] = {"retryable": True, "retry_after": 4.0}
    changed = failure.replace(**changes)

    assert (changed.retryable, changed.retry_after) == (True, 4.0)
    assert (changed.kind, changed.text, changed.error) == (
        failure.kind,
        failure.text,
        failure.error,
    )
    assert not failure.retryable
    with pytest.raises(AttributeError):
        failure.retryable = True  # type: ignore[misc]
