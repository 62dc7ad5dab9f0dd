"""A listening port that can refuse connects for a while without losing its number.

A port that is merely closed may be given to somebody else meanwhile, on loopback even to the
client that tries to connect to it (a TCP self-connect). So while it refuses, a socket that is
bound but does not listen holds it. This module accepts nothing and knows no protocol.
"""

from __future__ import annotations

import logging
import os
import socket
import sys

__all__ = ["HeldPort", "join_address"]

logger = logging.getLogger("wsresilient.testing")

_BACKLOG = 1024
# On Windows the option means "take the port from whoever has it".
_REUSE_ADDRESS = os.name == "posix" and sys.platform != "cygwin"


class HeldPort:
    """One address to listen on; not thread-safe, its owner is one thread at a time.

    :param host: the name or address to bind to; its first address is taken.
    :param port: the port; 0 lets the system choose once, and the choice stays.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.is_listening = False
        self._socket: socket.socket | None = None

    def __repr__(self) -> str:
        state = "listening" if self.is_listening else "held" if self._socket else "closed"
        return f"<HeldPort {join_address(self.host, self.port)} {state}>"

    def listen(self) -> socket.socket:
        """Accept connects from now on.

        :returns: the listening socket, non-blocking; it stays this object's to close.
        :raises OSError: the address cannot be had.
        """
        if self._socket is None or self._socket.fileno() < 0:
            self._socket = self._bind()
        self._socket.listen(_BACKLOG)
        self.is_listening = True
        return self._socket

    def refuse(self) -> None:
        """Refuse connects from now on and keep the port; connections already accepted live on."""
        self.close()
        try:
            self._socket = self._bind()
        except OSError as error:
            logger.warning("port %d cannot be held while it refuses: %r", self.port, error)

    def close(self) -> None:
        """Give the port back. The number is remembered for the next :meth:`listen`."""
        self.is_listening = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _bind(self) -> socket.socket:
        family, kind, protocol, _, address = socket.getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setblocking(False)
            if _REUSE_ADDRESS:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
        self.port = bound.getsockname()[1]
        return bound


def join_address(host: str, port: int) -> str:
    """Write host and port as a URL does.

    >>> join_address("::1", 80)
    '[::1]:80'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
