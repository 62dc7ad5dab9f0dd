"""Accepts connections for the fake exchange: TCP and, where there is a context, TLS.

It makes a protocol for each connection and knows nothing of what that speaks. Everything runs on
the loop's thread.

Not asyncio's own server: that needs a turn of the loop to begin to listen, so a method that has
returned would not have happened yet, and it does not give up TLS handshakes.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import ssl
from collections.abc import Callable

from wsresilient.testing.listener import HeldPort

__all__ = ["Acceptor"]

logger = logging.getLogger("wsresilient.testing")


class Acceptor:
    """Listens on one port, or refuses.

    :param port: where.
    :param ssl_context: None: without TLS.
    :param make_protocol: makes the protocol of the next connection.
    """

    def __init__(
        self,
        port: HeldPort,
        ssl_context: ssl.SSLContext | None,
        make_protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        self._port = port
        self._ssl_context = ssl_context
        self._make_protocol = make_protocol
        self._listener: socket.socket | None = None
        self._handshaking: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Acceptor {self._port!r} handshaking={len(self._handshaking)}>"

    def accept(self) -> None:
        """Accept connections from now on.

        :raises OSError: the port cannot be had.
        """
        if self._listener is None:
            self._listener = self._port.listen()
            asyncio.get_running_loop().add_reader(self._listener, self._on_connect)

    def refuse(self) -> None:
        """Refuse connections and keep the port."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener = None
            self._port.refuse()

    def close(self) -> None:
        """Refuse connections and give the port back."""
        self.refuse()
        self._port.close()

    def abort_handshakes(self) -> None:
        """Give up the TLS handshakes that are not done."""
        for task in self._handshaking:
            task.cancel()

    def _on_connect(self) -> None:
        if self._listener is None:
            return
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            logger.warning("the exchange cannot accept a connection: %r", error)
            return
        sock.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._admit(sock))
        self._handshaking.add(task)
        task.add_done_callback(functools.partial(self._on_admitted, sock))

    def _on_admitted(self, sock: socket.socket, task: asyncio.Task[None]) -> None:
        self._handshaking.discard(task)
        if task.cancelled():
            sock.close()  # nobody else does it when the task had not begun

    async def _admit(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(self._make_protocol, sock, ssl=self._ssl_context)
        except OSError as error:
            logger.info("a connection failed in its TLS handshake: %r", error)
