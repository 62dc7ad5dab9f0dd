"""From a URL to a connected stream: name, TCP, proxy and TLS under one deadline.

All addresses of a name are tried side by side (RFC 8305), so that a black-holed first one
hides no good second. Every wait ends when the waker is woken, so an attempt can be given up
in every phase; only the system's name resolver cannot be interrupted, therefore it runs in
a thread that is left to itself. Foreign exceptions of this phase are translated here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..core.proxies import ProxyURL
from ..core.urls import WebSocketURL
from ..errors import (
    CertificateError,
    ConnectError,
    NameResolutionError,
    OpenTimeoutError,
    TLSError,
    WSResilientError,
    describe,
)
from .clock import monotonic
from .threads import spawn
from .tunnel import build_tunnel
from .wire import READ, WRITE, PlainStream, Stream, TLSStream, Waker, new_selector, wait

__all__ = ["InterruptedOpenError", "Opened", "default_ssl_context", "open_stream"]

#: Seconds before the next address is tried beside the earlier ones (RFC 8305 section 5).
CONNECTION_ATTEMPT_DELAY = 0.25

Address = tuple[socket.AddressFamily, tuple[object, ...]]


class InterruptedOpenError(WSResilientError):
    """The attempt was given up by whoever woke the waker; the reason is recorded there."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A connected stream.

    :ivar stream: plain or TLS.
    :ivar address: of the peer, as text.
    """

    stream: Stream
    address: str


def default_ssl_context() -> ssl.SSLContext:
    """The system's certificates, the host name checked, TLS 1.2 at least."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def open_stream(
    url: WebSocketURL,
    *,
    proxy: ProxyURL | None,
    ssl_context: ssl.SSLContext | None,
    deadline: float,
    waker: Waker,
    user_timeout: float,
) -> Opened:
    """Open a stream to the host of a URL.

    :param proxy: to go through, or None.
    :param ssl_context: None takes :func:`default_ssl_context`; used for wss only.
    :param deadline: monotonic time, for all of it.
    :param waker: gives the attempt up when woken.
    :param user_timeout: seconds that sent data may stay unacknowledged, where the system
        can watch this (TCP_USER_TIMEOUT).
    :raises ConnectError: or one of its subclasses: it could not be opened.
    :raises InterruptedOpenError: the waker was woken.
    """
    target = (url.host, url.port) if proxy is None else (proxy.host, proxy.port)
    addresses = resolve(*target, deadline=deadline, waker=waker)
    raw, address = connect_any(addresses, deadline=deadline, waker=waker)
    try:
        _set_options(raw, user_timeout)
        if proxy is not None:
            _go_through(raw, proxy, url, deadline=deadline, waker=waker)
        stream: Stream
        if url.secure:
            stream = _start_tls(raw, url.host, ssl_context, deadline=deadline, waker=waker)
        else:
            stream = PlainStream(raw)
    except BaseException:
        raw.close()
        raise
    return Opened(stream, address)


def _go_through(
    raw: socket.socket, proxy: ProxyURL, url: WebSocketURL, *, deadline: float, waker: Waker
) -> None:
    host = url.host
    if not proxy.resolves_names:
        wanted = socket.AF_INET if proxy.scheme == "socks4" else socket.AF_UNSPEC
        found = resolve(url.host, url.port, deadline=deadline, waker=waker)
        usable = [address for family, address in found if wanted in (socket.AF_UNSPEC, family)]
        if not usable:
            raise NameResolutionError(
                f"{url.host!r} has no IPv4 address, and SOCKS4 knows no other"
            )
        host = str(usable[0][0])
    try:
        build_tunnel(raw, proxy, host, url.port, deadline=deadline, waker=waker)
    except TimeoutError:
        raise _late(deadline, f"no tunnel through proxy {proxy.shown}") from None


def _set_options(raw: socket.socket, user_timeout: float) -> None:
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    option = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux; elsewhere our deadlines serve
    if option is not None:
        raw.setsockopt(socket.IPPROTO_TCP, option, max(1, int(user_timeout * 1000)))


def resolve(host: str, port: int, *, deadline: float, waker: Waker) -> list[Address]:
    """Find the addresses of a host, families interleaved (RFC 8305 section 4).

    :raises NameResolutionError: there are none.
    :raises OpenTimeoutError: the system's resolver took too long.
    """
    try:
        return _lookup(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        return _lookup_in_thread(host, port, deadline=deadline, waker=waker)


def _lookup(host: str, port: int, flags: int = 0) -> list[Address]:
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=flags
    )
    return interleave([(family, address) for family, _, _, _, address in found])


def _lookup_in_thread(host: str, port: int, *, deadline: float, waker: Waker) -> list[Address]:
    answered = Waker()
    answer: list[list[Address] | Exception] = []

    def look_up() -> None:
        try:
            answer.append(_lookup(host, port))
        except (OSError, UnicodeError) as error:
            answer.append(error)
        answered.wake()

    try:
        spawn(look_up, name="wsr-resolve")
        if not wait(answered, READ, waker, deadline):
            raise _late(deadline, f"no address of {host} was found")
    finally:
        answered.close()
    result = answer[0]
    if isinstance(result, Exception):
        raise NameResolutionError(f"no address of {host!r}: {describe(result)}") from result
    return result


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """Order addresses so that families take turns, the resolver's first one leading."""
    by_family: dict[int, list[Address]] = {}
    for address in dict.fromkeys(addresses):
        by_family.setdefault(address[0], []).append(address)
    columns = list(by_family.values())
    longest = max(map(len, columns), default=0)
    return [column[row] for row in range(longest) for column in columns if row < len(column)]


def connect_any(
    addresses: Sequence[Address], *, deadline: float, waker: Waker
) -> tuple[socket.socket, str]:
    """Connect to the first address that answers, all of them tried side by side.

    :returns: the socket, non-blocking, and the address as text.
    :raises ConnectError: all of them failed; the text names each with its cause.
    """
    race = _Race(addresses)
    try:
        with new_selector() as selector:
            selector.register(waker, READ)
            return race.run(selector, deadline=deadline, waker=waker)
    finally:
        race.close_losers()


class _Race:
    """The sockets that are connecting side by side, and what became of the others."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._waiting = list(addresses)
        self._connecting: dict[socket.socket, str] = {}
        self._errors: list[tuple[str, OSError]] = []

    def run(
        self, selector: selectors.BaseSelector, *, deadline: float, waker: Waker
    ) -> tuple[socket.socket, str]:
        while True:
            if self._waiting:
                self._start_next(selector)
            if not self._connecting and not self._waiting:
                raise self._all_failed()
            now = monotonic()
            pause = min(deadline, now + CONNECTION_ATTEMPT_DELAY) if self._waiting else deadline
            if not self._connecting:
                continue
            for key, _ in selector.select(max(0.0, pause - now)):
                if key.fileobj is waker:
                    raise InterruptedOpenError("given up while connecting")
                winner = self._finish(key.fileobj, selector)  # type: ignore[arg-type]
                if winner is not None:
                    return winner
            if monotonic() >= deadline:
                names = ", ".join(self._connecting.values())
                raise OpenTimeoutError(f"no TCP connection to {names} within open_timeout")

    def _start_next(self, selector: selectors.BaseSelector) -> None:
        family, address = self._waiting.pop(0)
        name = _address_text(address)
        try:
            sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        except OSError as error:  # a family that this machine does not speak
            self._errors.append((name, error))
            return
        sock.setblocking(False)
        code = sock.connect_ex(address)
        if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR):
            self._lose(sock, name, code)
            return
        self._connecting[sock] = name
        selector.register(sock, WRITE)

    def _finish(
        self, sock: socket.socket, selector: selectors.BaseSelector
    ) -> tuple[socket.socket, str] | None:
        selector.unregister(sock)
        name = self._connecting.pop(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0:
            return sock, name
        self._lose(sock, name, code)
        return None

    def _lose(self, sock: socket.socket, name: str, code: int) -> None:
        self._errors.append((name, OSError(code, os.strerror(code))))
        sock.close()

    def _all_failed(self) -> ConnectError:
        if not self._errors:
            return ConnectError("the host name has no address that could be tried")
        texts = [f"{name}: {describe(error)}" for name, error in self._errors]
        failed = ConnectError("; ".join(texts))
        failed.__cause__ = self._errors[-1][1]
        return failed

    def close_losers(self) -> None:
        for sock in self._connecting:
            sock.close()


def _address_text(address: tuple[object, ...]) -> str:
    host, port = str(address[0]), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _start_tls(
    raw: socket.socket,
    host: str,
    ssl_context: ssl.SSLContext | None,
    *,
    deadline: float,
    waker: Waker,
) -> TLSStream:
    with _translated_tls_errors(host, deadline):
        context = ssl_context if ssl_context is not None else default_ssl_context()
        stream = TLSStream(raw, context, server_hostname=host)
        stream.handshake(deadline=deadline, waker=waker)
    return stream


@contextlib.contextmanager
def _translated_tls_errors(host: str, deadline: float) -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise CertificateError(
            f"the certificate of {host} was refused: {error.verify_message} "
            f"(verify code {error.verify_code}); a CA of your own goes into ssl_context=",
            verify_code=error.verify_code,
        ) from error
    except ssl.SSLError as error:
        raise TLSError(f"no TLS with {host}: {describe(error)}") from error
    except TimeoutError:
        raise _late(deadline, f"no TLS with {host}") from None
    except OSError as error:
        raise TLSError(f"no TLS with {host}: {describe(error)}") from error


def _late(deadline: float, what: str) -> WSResilientError:
    """Tell apart the two reasons for which a wait ends without an answer."""
    if monotonic() >= deadline:
        return OpenTimeoutError(f"{what} within open_timeout")
    return InterruptedOpenError(f"given up: {what}")
