"""A tunnel through a proxy, over a socket of ours: python-socks speaks, we wait.

python-socks opens its sockets itself, unless the proxy is reached through another one. That
is how it is given our socket, so that the tunnel has the same deadline as all the rest, and
can be given up in every phase.
"""

from __future__ import annotations

import socket
from typing import Any

from ..core.handshake import HEAD_END, MAX_HEAD
from ..core.proxies import ProxyURL
from ..core.redact import Redactor, shorten
from ..errors import ConfigurationError, ProxyError, describe
from .clock import monotonic
from .wire import READ, Waker, send_all, wait

__all__ = ["build_tunnel", "check_available"]


def check_available() -> None:
    """Check that python-socks is installed.

    :raises ConfigurationError: it is not; the text names the extra.
    """
    try:
        import python_socks.sync  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "a proxy is set, and python-socks is not installed: pip install 'wsresilient[proxy]', "
            "or say proxy='direct'"
        ) from None


def build_tunnel(
    raw: socket.socket,
    proxy: ProxyURL,
    host: str,
    port: int,
    *,
    deadline: float,
    waker: Waker,
) -> None:
    """Make a socket that is connected to a proxy one that is connected to a host.

    :param raw: non-blocking.
    :param host: name, or an address where the proxy resolves no names.
    :param deadline: monotonic time.
    :raises ProxyError: the proxy did not do it; with ``status`` where it is an HTTP one.
    :raises TimeoutError: the deadline passed, or the waker was woken.
    """
    from python_socks import ProxyError as Refused
    from python_socks import ProxyType
    from python_socks.sync import Proxy

    kinds = {"http": ProxyType.HTTP, "socks4": ProxyType.SOCKS4, "socks5": ProxyType.SOCKS5}
    kind = kinds[proxy.scheme.removesuffix("a").removesuffix("h")]
    ours = _WaitingSocket(raw, deadline=deadline, waker=waker, whole_head=kind is ProxyType.HTTP)
    speaker = Proxy(
        proxy_type=kind,
        host=proxy.host,
        port=proxy.port,
        username=proxy.username,
        password=proxy.password or ("" if proxy.username else None),
        rdns=True,
        forward=_AlreadyConnected(ours),  # type: ignore[arg-type]  # it has what is called
    )
    try:
        speaker.connect(dest_host=host, dest_port=port, timeout=max(0.001, deadline - monotonic()))
    except Refused as error:
        status = error.error_code if kind is ProxyType.HTTP else None
        text = shorten(Redactor(proxy.secrets)(str(error)))
        failed = ProxyError(
            f"proxy {proxy.shown} did not open a tunnel to {host}:{port}: {text}", status=status
        )
    except OSError as error:
        failed = ProxyError(f"proxy {proxy.shown} ended the connection: {describe(error)}")
    else:
        return
    # Raised out here: what python-socks raised repeats the proxy, which may repeat the credentials.
    if ours.timed_out:
        raise TimeoutError("the proxy did not answer")
    raise failed


class _AlreadyConnected:
    """What python-socks takes for another proxy on the way to this one."""

    def __init__(self, sock: _WaitingSocket) -> None:
        self._sock = sock

    def connect(self, **_destination: Any) -> _WaitingSocket:
        return self._sock


class _WaitingSocket:
    """The few methods that python-socks calls, with our deadline and waker.

    :param whole_head: return an HTTP head in one piece and nothing behind it: python-socks
        reads once, whatever it gets.
    """

    def __init__(
        self, raw: socket.socket, *, deadline: float, waker: Waker, whole_head: bool
    ) -> None:
        self._raw = raw
        self._deadline = deadline
        self._waker = waker
        self._whole_head = whole_head
        self.timed_out = False

    def sendall(self, data: bytes) -> None:
        try:
            send_all(self._raw, data, deadline=self._deadline, waker=self._waker)
        except TimeoutError:
            self.timed_out = True
            raise

    def recv(self, size: int) -> bytes:
        if not self._whole_head:
            return self._receive(size)
        head = b""
        while HEAD_END not in head and len(head) < MAX_HEAD:
            piece = self._receive_up_to_head_end(head)
            if not piece:
                break
            head += piece
        return head

    def _receive_up_to_head_end(self, head: bytes) -> bytes:
        """Take bytes, but none of what follows the head: that belongs to the tunnel."""
        self._wait()
        seen = self._raw.recv(4096, socket.MSG_PEEK)
        end = (head[-3:] + seen).find(HEAD_END)
        wanted = len(seen) if end < 0 else end + len(HEAD_END) - len(head[-3:])
        return self._raw.recv(wanted) if wanted else b""

    def _receive(self, size: int) -> bytes:
        self._wait()
        return self._raw.recv(size)

    def _wait(self) -> None:
        if not wait(self._raw, READ, self._waker, self._deadline):
            self.timed_out = True
            raise TimeoutError("the proxy did not answer in time")

    def close(self) -> None:
        """Nothing: whoever opened the socket closes it."""
