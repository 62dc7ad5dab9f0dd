"""Every exception of the library, in one tree, so that a caller needs one ``except``.

.. code-block:: text

    WSResilientError
    ├── ConfigurationError (ValueError)         an argument is wrong; nothing was started
    ├── NotConnectedError (ConnectionError)     there is no open connection to send on
    ├── SendTimeoutError (TimeoutError)         the peer did not take the data in time
    ├── ConnectError (ConnectionError)          an attempt did not get as far as HTTP
    │   ├── NameResolutionError                 the host name has no address
    │   ├── OpenTimeoutError (TimeoutError)     the open deadline passed
    │   ├── TLSError                            the TLS handshake failed
    │   │   └── CertificateError                the server's certificate was refused
    │   └── ProxyError(status)                  the proxy did not build the tunnel
    ├── HandshakeError (ConnectionError)        the server did not switch to WebSocket
    ├── ConnectionLostError (ConnectionError)   an open connection ended
    │   ├── PingTimeoutError (TimeoutError)     no sign of life after a ping
    │   └── ProtocolError                       the peer broke RFC 6455
    │       └── MessageTooBigError              a message is larger than max_size
    ├── StaleConnectionError (TimeoutError)     the link lives, the feed does not
    ├── ConnectionFailedError (ConnectionError) given up: the state is FAILED
    │   └── AuthenticationError                 credentials refused, nothing left to try
    ├── SubscriptionError                       the server refused a topic
    │   └── SubscriptionLimitError              more topics than fit
    ├── DecodeError (ValueError)                a message could not be decoded
    └── VenueError                              an exchange answered with an error, or not

Texts say type and cause, are never empty and carry no secret: whoever raises one has
redacted it before. This module imports nothing of the library.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "AuthenticationError",
    "CertificateError",
    "ConfigurationError",
    "ConnectError",
    "ConnectionFailedError",
    "ConnectionLostError",
    "DecodeError",
    "HandshakeError",
    "MessageTooBigError",
    "NameResolutionError",
    "NotConnectedError",
    "OpenTimeoutError",
    "PingTimeoutError",
    "ProtocolError",
    "ProxyError",
    "SendTimeoutError",
    "StaleConnectionError",
    "SubscriptionError",
    "SubscriptionLimitError",
    "TLSError",
    "VenueError",
    "WSResilientError",
    "as_exception",
    "describe",
    "named_type",
]


def describe(error: BaseException) -> str:
    """Say type and text of an exception, never an empty string.

    >>> describe(ValueError("no"))
    'ValueError: no'
    >>> describe(OSError())
    'OSError'
    """
    name = type(error).__name__
    try:
        text = str(error).strip()
    except Exception:  # an exception of the user's may do anything
        text = "(its text cannot be told)"
    return f"{name}: {text}" if text else name


def named_type(value: object) -> str:
    """Name the type of a wrong argument, for the text of an error.

    >>> named_type(1), named_type({}), named_type(None)
    ('an int', 'a dict', 'None')
    """
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def as_exception(error: BaseException, what: str) -> Exception:
    """Return an Exception for whatever a user's function raised.

    :param what: of the user's, such as "a handler": says who raised what is no Exception
        (SystemExit, KeyboardInterrupt), which is wrapped.
    """
    if isinstance(error, Exception):
        return error
    wrapped = RuntimeError(f"{what} raised {describe(error)}")
    wrapped.__cause__ = error
    return wrapped


class WSResilientError(Exception):
    """The root: ``except WSResilientError`` catches whatever the library raises."""


class ConfigurationError(WSResilientError, ValueError):
    """An argument is wrong. The text says which, what it was and what is allowed."""


class NotConnectedError(WSResilientError, ConnectionError):
    """There is no open connection: not started, between two attempts, stopped or failed."""


class SendTimeoutError(WSResilientError, TimeoutError):
    """The peer did not take the data within the deadline."""


class ConnectError(WSResilientError, ConnectionError):
    """An attempt failed before HTTP: refused, unreachable, reset, TLS."""


class NameResolutionError(ConnectError):
    """The host name has no address (now)."""


class OpenTimeoutError(ConnectError, TimeoutError):
    """Name, TCP, proxy, TLS and HTTP handshake together took longer than open_timeout."""


class TLSError(ConnectError):
    """The TLS handshake failed."""


class CertificateError(TLSError):
    """The server's certificate was refused; retrying does not help.

    :ivar verify_code: OpenSSL's number of the reason, or None.
    """

    def __init__(self, message: str, *, verify_code: int | None = None) -> None:
        super().__init__(message)
        self.verify_code = verify_code


class ProxyError(ConnectError):
    """The proxy did not build the tunnel.

    :ivar status: the proxy's HTTP status, or None where it gave none.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class HandshakeError(WSResilientError, ConnectionError):
    """The server answered, but not with a WebSocket (RFC 6455 section 4).

    :ivar status: HTTP status, or None where the answer was no HTTP at all.
    :ivar headers: the answer's headers, names in lower case, credentials redacted.
    :ivar retry_after: seconds that the server asked to wait, or None.
    :ivar body: the beginning of the answer's body, redacted, or "".
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        body: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers: dict[str, str] = dict(headers or {})
        self.retry_after = retry_after
        self.body = body


class ConnectionLostError(WSResilientError, ConnectionError):
    """An open connection ended without our asking.

    :ivar close_code: the code of the close frame, or None where there was none.
    :ivar reason: the close frame's reason, redacted, or "".
    """

    def __init__(self, message: str, *, close_code: int | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.close_code = close_code
        self.reason = reason


class PingTimeoutError(ConnectionLostError, TimeoutError):
    """Neither a pong nor any other byte came within ping_timeout of a ping."""


class ProtocolError(ConnectionLostError):
    """The peer broke RFC 6455; ``close_code`` is the code that we answered with."""

    def __init__(self, message: str, *, close_code: int = 1002) -> None:
        super().__init__(message, close_code=close_code)


class MessageTooBigError(ProtocolError):
    """A message is larger than ``max_size``, or comes in too many fragments."""

    def __init__(self, message: str, *, close_code: int = 1009) -> None:
        super().__init__(message, close_code=close_code)


class StaleConnectionError(WSResilientError, TimeoutError):
    """No data message came for ``stale_after`` seconds, though the link may live."""


class ConnectionFailedError(WSResilientError, ConnectionError):
    """The library has given up on the connection; its state is FAILED."""


class AuthenticationError(ConnectionFailedError):
    """The server refused the credentials and nothing could give others.

    :ivar status: HTTP status or close code, or None.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class SubscriptionError(WSResilientError):
    """The server refused a topic, or never answered.

    :ivar topic: the topic.
    :ivar code: what the server said, or None.
    """

    def __init__(
        self, message: str, *, topic: str | None = None, code: int | str | None = None
    ) -> None:
        super().__init__(message)
        self.topic = topic
        self.code = code


class SubscriptionLimitError(SubscriptionError):
    """More topics than fit; nothing was subscribed by halves."""


class DecodeError(WSResilientError, ValueError):
    """A message could not be decoded, or a venue could not read it; the stream goes on."""


class VenueError(WSResilientError):
    """An exchange answered with an error, or gave no answer.

    :ivar code: the exchange's, or None where it gave none.
    :ivar status: HTTP status, or None where there was no answer.
    :ivar retry_after: seconds before which the exchange wants no other request, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.retry_after = retry_after
