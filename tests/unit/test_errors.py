"""The tree of exceptions: one root, the builtin relatives that programs catch, the texts."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

import wsresilient
from wsresilient import errors
from wsresilient.errors import (
    AuthenticationError,
    CertificateError,
    ConfigurationError,
    ConnectError,
    ConnectionFailedError,
    ConnectionLostError,
    DecodeError,
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
    SubscriptionError,
    SubscriptionLimitError,
    TLSError,
    VenueError,
    WSResilientError,
    as_exception,
    describe,
    named_type,
)

TREE: dict[type[Exception], tuple[type[Exception], ...]] = {
    WSResilientError: (Exception,),
    ConfigurationError: (WSResilientError, ValueError),
    NotConnectedError: (WSResilientError, ConnectionError),
    SendTimeoutError: (WSResilientError, TimeoutError),
    ConnectError: (WSResilientError, ConnectionError),
    NameResolutionError: (ConnectError,),
    OpenTimeoutError: (ConnectError, TimeoutError),
    TLSError: (ConnectError,),
    CertificateError: (TLSError,),
    ProxyError: (ConnectError,),
    HandshakeError: (WSResilientError, ConnectionError),
    ConnectionLostError: (WSResilientError, ConnectionError),
    PingTimeoutError: (ConnectionLostError, TimeoutError),
    ProtocolError: (ConnectionLostError,),
    MessageTooBigError: (ProtocolError,),
    StaleConnectionError: (WSResilientError, TimeoutError),
    ConnectionFailedError: (WSResilientError, ConnectionError),
    AuthenticationError: (ConnectionFailedError,),
    SubscriptionError: (WSResilientError,),
    SubscriptionLimitError: (SubscriptionError,),
    DecodeError: (WSResilientError, ValueError),
    VenueError: (WSResilientError,),
}


@pytest.mark.parametrize(("error", "parents"), TREE.items(), ids=str)
def test_the_tree_is_as_drawn(error: type[Exception], parents: tuple[type[Exception], ...]) -> None:
    assert error.__bases__ == parents


def test_every_exception_is_in_the_tree_and_public() -> None:
    defined = {
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, Exception)
    }

    assert defined == set(TREE)
    for error in TREE:
        assert error.__name__ in errors.__all__
        assert getattr(wsresilient, error.__name__) is error
        assert error.__name__ in wsresilient.__all__
        assert error.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_a_text_is_enough_and_survives_copies(error: type[Exception]) -> None:
    made = error("what happened")

    for version in (made, copy.copy(made), pickle.loads(pickle.dumps(made))):
        assert type(version) is error
        assert str(version) == "what happened"
        assert vars(version) == vars(made)


def test_errors_say_more_than_their_text_where_there_is_more() -> None:
    assert CertificateError("x", verify_code=18).verify_code == 18
    assert ProxyError("x", status=407).status == 407
    assert ConnectionLostError("x", close_code=1011, reason="no").close_code == 1011
    assert ConnectionLostError("x", close_code=1011, reason="no").reason == "no"
    assert AuthenticationError("x", status=401).status == 401
    refused = SubscriptionError("x", topic="trades", code=30001)
    assert (refused.topic, refused.code) == ("trades", 30001)
    handshake = HandshakeError("x", status=503, retry_after=2.0, body="later")
    assert (handshake.status, handshake.retry_after, handshake.body) == (503, 2.0, "later")
    answered = VenueError("x", code=-1003, status=429, retry_after=7.0)
    assert (answered.code, answered.status, answered.retry_after) == (-1003, 429, 7.0)


def test_what_is_not_known_is_none_or_empty() -> None:
    assert CertificateError("x").verify_code is None
    assert ProxyError("x").status is None
    assert AuthenticationError("x").status is None
    lost = PingTimeoutError("x")
    assert (lost.close_code, lost.reason) == (None, "")
    handshake = HandshakeError("x")
    assert (handshake.status, handshake.headers, handshake.retry_after) == (None, {}, None)
    assert handshake.body == ""
    refused = SubscriptionLimitError("x")
    assert (refused.topic, refused.code) == (None, None)
    unanswered = VenueError("x")
    assert (unanswered.code, unanswered.status, unanswered.retry_after) == (None, None, None)


def test_a_broken_protocol_has_the_code_that_it_is_closed_with() -> None:
    assert ProtocolError("x").close_code == 1002
    assert ProtocolError("x", close_code=1007).close_code == 1007
    assert MessageTooBigError("x").close_code == 1009


def test_headers_of_a_handshake_error_are_its_own_copy() -> None:
    headers = {"retry-after": "3"}
    error = HandshakeError("x", headers=headers)
    headers.clear()

    assert error.headers == {"retry-after": "3"}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no"), "ValueError: no"),
        (ValueError("  no\n"), "ValueError: no"),
        (OSError(), "OSError"),
        (OSError(111, "Connection refused"), "OSError: [Errno 111] Connection refused"),
        (KeyError("k"), "KeyError: 'k'"),
        (ConnectionResetError(""), "ConnectionResetError"),
        (Exception(" \t\n"), "Exception"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (HandshakeError("HTTP 503"), "HandshakeError: HTTP 503"),
    ],
)
def test_describe_says_type_and_text_and_is_never_empty(error: BaseException, text: str) -> None:
    expected = text.replace("OSError: [", "ConnectionRefusedError: [")
    assert describe(error) == expected


def test_describe_survives_an_exception_that_cannot_be_told() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text for you")

    assert describe(MuteError("x")) == "MuteError: (its text cannot be told)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "an int"),
        ({}, "a dict"),
        (object(), "an object"),
        (OSError(), "an OSError"),
        (None, "None"),
    ],
)
def test_a_type_is_named_with_its_article(value: object, text: str) -> None:
    assert named_type(value) == text


def test_as_exception_leaves_exceptions_alone() -> None:
    error = ValueError("no")

    assert as_exception(error, "a handler") is error


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit("over")])
def test_as_exception_wraps_what_is_no_exception_and_says_whose_it_is(error: BaseException) -> None:
    wrapped = as_exception(error, "a handler")

    assert isinstance(wrapped, Exception)
    assert str(wrapped) == f"a handler raised {describe(error)}"
    assert wrapped.__cause__ is error
