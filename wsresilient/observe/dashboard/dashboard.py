"""Starting and stopping the page: where it listens, and who may look.

Only this machine may, unless there is a token.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import sys
import weakref
from collections.abc import Iterable

from ...config import check_integer, check_seconds
from ...errors import ConfigurationError
from ..monitor import Monitor, get_monitor
from .access import Access, is_address
from .pages import Pages
from .server import PageServer

__all__ = ["Dashboard", "start_dashboard"]

_BACKLOG = 128
_HIGHEST_PORT = 65535
# What is not ASCII a browser sends as "xn--...".
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
# On Windows the option means "take the port from whoever has it".
_REUSE_ADDRESS = os.name == "posix" and sys.platform != "cygwin"


def start_dashboard(
    host: str = "127.0.0.1",
    port: int = 8765,
    *,
    token: str | None = None,
    monitor: Monitor | None = None,
    allowed_hosts: Iterable[str] = (),
) -> Dashboard:
    """Serve a page that shows how all connections are, from one thread of its own.

    Paths: ``/`` (the page), ``/summary`` (:func:`~wsresilient.get_summary` as JSON), ``/history``
    (history and issues as JSON), ``/metrics`` (for Prometheus; needs the extra ``metrics``) and
    ``/healthz`` (status 503 while the return code is 2, else 200). Nothing can be changed there.

    :param host: a name or address of this machine to listen on. One that other machines can
        reach needs a token.
    :param port: 0 picks a free one; see :attr:`Dashboard.url`.
    :param token: what a client must know: as ``Authorization: Bearer <token>``, or as
        ``?token=<token>``, which a browser's first visit turns into a cookie. Visible ASCII
        characters. None: whoever can reach it may look.
    :param monitor: whose connections are shown; None: the default one.
    :param allowed_hosts: further names that a client may call it by (the Host header), such as
        that of a reverse proxy before it.
    :returns: the running dashboard; it ends with :meth:`Dashboard.stop` or with the process.
    :raises ConfigurationError: an argument is wrong, the port is taken, or there is no token.
    """
    _check_address(host, port)
    _check_token(token)
    if monitor is None:
        monitor = get_monitor()
    _check_monitor(monitor)
    names = _checked_names(allowed_hosts)
    listener = _listen(host, port, has_token=token is not None)
    access = _access(host, listener, token, names)
    return Dashboard(host, listener, Pages(monitor, access))


class Dashboard:
    """A page that is being served; made by :func:`start_dashboard`. Also a context manager."""

    def __init__(self, host: str, listener: socket.socket, pages: Pages) -> None:
        self._host = host
        self._port: int = listener.getsockname()[1]
        self._server = PageServer(listener, pages.respond)
        _all.add(self)

    def __repr__(self) -> str:
        return f"<Dashboard {self.url} {'running' if self.is_running else 'stopped'}>"

    def __enter__(self) -> Dashboard:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the page is for a browser on this machine, with a slash at the end; no token."""
        host = self._host
        if is_address(host):
            address = ipaddress.ip_address(host)
            if address.is_unspecified:  # "all addresses" is none that can be visited
                host = "127.0.0.1" if address.version == 4 else "::1"
            host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self._port}/"

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    @property
    def is_running(self) -> bool:
        """Whether it is served."""
        return self._server.is_running

    def stop(self, timeout: float = 5.0) -> bool:
        """Stop serving, at once, and cut off who is being served. Twice is once.

        :param timeout: seconds to wait for its thread.
        :returns: whether its thread has ended.
        :raises ConfigurationError: timeout is no number of seconds.
        """
        check_seconds("timeout", timeout)
        return self._server.stop(timeout)

    def _forget_after_fork(self) -> None:
        self._server.forget_after_fork()


def _check_address(host: object, port: int) -> None:
    if not isinstance(host, str) or not host:
        raise ConfigurationError(
            f"host is {host!r:.60}; allowed: a name or address such as '127.0.0.1'"
        )
    check_integer("port", port, minimum=0)
    if port > _HIGHEST_PORT:
        raise ConfigurationError(f"port is {port}; allowed: 0 to {_HIGHEST_PORT}")


def _check_monitor(monitor: object) -> None:
    if not isinstance(monitor, Monitor):
        raise ConfigurationError(f"monitor is {monitor!r:.60}; allowed: a Monitor, or None")


def _check_token(token: object) -> None:
    """Check a token without ever showing it."""
    if token is None:
        return
    if not isinstance(token, str) or not token or not all("!" <= char <= "~" for char in token):
        raise ConfigurationError(
            "token is not usable; allowed: a str of visible ASCII characters without spaces, "
            "such as secrets.token_urlsafe() makes, or None"
        )


def _checked_names(names: Iterable[object]) -> frozenset[str]:
    one = isinstance(names, str) or not isinstance(names, Iterable)
    listed: list[object] = [names] if one else list(names)
    if not all(isinstance(name, str) and _is_bare_host(name) for name in listed):
        raise ConfigurationError(
            f"allowed_hosts is {listed!r:.80}; allowed: names or addresses alone, such as "
            "'dash.example.com', without scheme, port and path"
        )
    return frozenset(str(name).lower().removesuffix(".") for name in listed)


def _is_bare_host(name: str) -> bool:
    """Whether a Host header can say it: no scheme, port, path or brackets."""
    return is_address(name) or _NAME.fullmatch(name) is not None


def _listen(host: str, port: int, *, has_token: bool) -> socket.socket:
    """Listen on the first address that a name has."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        if not has_token and not ipaddress.ip_address(str(address[0])).is_loopback:
            raise ConfigurationError(
                f"host is {host!r}, which other machines can reach, and there is no token; "
                "allowed: a loopback address such as '127.0.0.1', or token=..."
            )
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise _cannot_listen(host, port, error) from error
    try:
        if _REUSE_ADDRESS:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise _cannot_listen(host, port, error) from error
    return listener


def _cannot_listen(host: str, port: int, error: Exception) -> ConfigurationError:
    reason = getattr(error, "strerror", None) or error
    return ConfigurationError(
        f"the dashboard cannot listen on {host!r}, port {port}: {reason}; allowed: an address of "
        "this machine and a port that is free, or 0 for any"
    )


def _access(host: str, listener: socket.socket, token: str | None, names: frozenset[str]) -> Access:
    address, port = listener.getsockname()[:2]
    is_any = ipaddress.ip_address(str(address)).is_unspecified
    known = names | {host.lower(), str(address).lower()}
    if is_any:
        known |= {socket.gethostname().lower()}
    return Access(frozenset(known), is_any, token, f"wsresilient_{port}")


_all: weakref.WeakSet[Dashboard] = weakref.WeakSet()


def _forget_all_in_child() -> None:
    for dashboard in list(_all):
        dashboard._forget_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all_in_child)
