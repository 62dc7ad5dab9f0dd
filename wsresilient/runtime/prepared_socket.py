"""The socket that websocket-client is given: it looks like one, but reads and waits our way.

During the handshake it reads the server's answer under the open deadline and within a size,
judges it (``core/handshake.py``) and hands websocket-client a clean copy; bytes that came
with it are kept for the first read. Afterwards websocket-client reads from it only control
frames, which have been put into its buffer whole. It knows nothing of threads.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from ..core.deflate import DeflateParameters, negotiate
from ..core.handshake import (
    HEAD_END,
    MAX_BODY,
    MAX_HEAD,
    ResponseHead,
    check_upgrade,
    parse_head,
    refusal,
    request_key,
)
from ..core.redact import Redactor, shorten
from ..errors import ConnectError, HandshakeError, OpenTimeoutError, describe
from .clock import monotonic, wall_clock
from .opener import InterruptedOpenError
from .wire import READ, Stream, Waker, WouldBlock, wait

__all__ = ["PreparedSocket"]

#: Seconds that the rest of a refusal's body is waited for: it only makes the text better.
BODY_PATIENCE = 1.0


class PreparedSocket:
    """A socket-like object for ``WebSocketApp(socket=...)``.

    :param stream: the connected stream; whoever made it closes it.
    :param deadline: monotonic time by which the handshake must be over.
    :param waker: gives the handshake up when woken.
    :param redact: hides the secrets of this attempt in what the server says.
    :param subprotocols: those that are offered.
    :param compression: whether permessage-deflate is offered.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        deadline: float,
        waker: Waker,
        redact: Redactor,
        subprotocols: Sequence[str] = (),
        compression: bool = False,
    ) -> None:
        self._stream = stream
        self._deadline = deadline
        self._waker = waker
        self._redact = redact
        self._subprotocols = tuple(subprotocols)
        self._compression = compression
        self._request = b""
        self._buffer = b""
        self._position = 0
        self._leftover = b""
        self._closed = False  # websocket-client looks at it
        self.head: ResponseHead | None = None
        self.subprotocol: str | None = None
        #: What went wrong in the handshake: websocket-client wraps some of it in its own.
        self.error: Exception | None = None
        self.deflate: DeflateParameters | None = None

    def load(self, frame: bytes) -> None:
        """Put one control frame into the buffer, for websocket-client to read."""
        self._buffer, self._position = frame, 0

    def take_leftover(self) -> bytes:
        """Return, once, the bytes that came in one piece with the handshake."""
        leftover, self._leftover = self._leftover, b""
        return leftover

    # What websocket-client calls.

    def recv(self, size: int) -> bytes:
        """Return bytes of the handshake's answer or of a control frame."""
        if self.head is None:
            try:
                self._read_answer()
            except Exception as error:
                self.error = error
                raise
        piece = self._buffer[self._position : self._position + size]
        self._position += len(piece)
        if not piece:
            raise HandshakeError("websocket-client asked for more than the frame that it was given")
        return piece

    def send(self, data: bytes) -> int:
        """Send a piece of the handshake's request."""
        self._request += data
        try:
            self._stream.send(data, deadline=self._deadline, waker=self._waker)
        except TimeoutError:
            self.error = self._late("the server did not read the handshake")
            raise self.error from None
        return len(data)

    def fileno(self) -> int:
        """The descriptor."""
        return self._stream.raw.fileno()

    def gettimeout(self) -> float:
        """A timeout that is not 0: for websocket-client this socket blocks."""
        return max(0.001, self._deadline - monotonic())

    def settimeout(self, timeout: float | None) -> None:
        """Nothing: all deadlines are ours."""

    def shutdown(self, how: int = socket.SHUT_RDWR) -> None:
        """Nothing: whoever opened the stream ends it."""

    def close(self) -> None:
        """Only note it: whoever opened the stream closes it."""
        self._closed = True

    # The handshake's answer.

    def _read_answer(self, received: bytes = b"") -> None:
        while HEAD_END not in received:
            if len(received) > MAX_HEAD:
                raise HandshakeError(
                    f"the server's answer has more than {MAX_HEAD} bytes of headers"
                )
            # The end may lie across two pieces, so the whole is searched; it is small.
            received += self._receive("the server did not answer the handshake")
        stop = received.index(HEAD_END) + len(HEAD_END)
        if stop > MAX_HEAD:
            raise HandshakeError(f"the server's answer has more than {MAX_HEAD} bytes of headers")
        head = parse_head(received[:stop], redact=self._redact)
        if 100 <= head.status < 101 or 101 < head.status < 200:
            # Interim answers such as 103 Early Hints come before the real one.
            self._read_answer(received[stop:])
            return
        if head.status != 101:
            body = self._read_body(head, received[stop:])
            raise refusal(head, body, redact=self._redact, now=wall_clock())
        key = request_key(self._request)
        self.subprotocol = check_upgrade(
            head, key=key, redact=self._redact, subprotocols=self._subprotocols
        )
        self.deflate = self._negotiated(head)
        self._leftover = received[stop:]
        self.head = head
        self.load(_clean_answer(head))

    def _negotiated(self, head: ResponseHead) -> DeflateParameters | None:
        extensions = head.headers.get("sec-websocket-extensions")
        if extensions and not self._compression:
            raise HandshakeError(
                "the server uses extensions that were not offered: "
                f"{shorten(self._redact(extensions), 80)!r}",
                status=head.status,
            )
        # Redacted before it is judged: what is wrong with it is told in its own words.
        return negotiate(None if extensions is None else self._redact(extensions))

    def _receive(self, what: str) -> bytes:
        """Wait for bytes under the open deadline."""
        while True:
            if not wait(self._stream.raw, READ, self._waker, self._deadline):
                raise self._late(what)
            try:
                data = self._stream.receive(MAX_BODY)
            except WouldBlock:
                continue
            except OSError as error:
                raise ConnectError(f"{what}: {describe(error)}") from error
            if not data:
                raise ConnectError(f"{what}: it closed the connection")
            return data

    def _read_body(self, head: ResponseHead, body: bytes) -> bytes:
        """Read the beginning of a refusal's body; a server that withholds it only loses its say."""
        length = head.headers.get("content-length", "")
        wanted = min(int(length), MAX_BODY) if length.isdecimal() and len(length) < 10 else MAX_BODY
        self._deadline = min(self._deadline, monotonic() + BODY_PATIENCE)
        while len(body) < wanted:
            try:
                body += self._receive("the body")
            except (ConnectError, InterruptedOpenError):
                break
        return body[:wanted]

    def _late(self, what: str) -> Exception:
        if monotonic() >= self._deadline:
            return OpenTimeoutError(f"{what} within open_timeout")
        return InterruptedOpenError(f"given up: {what}")


def _clean_answer(head: ResponseHead) -> bytes:
    """Write what websocket-client needs to see of an answer that has been checked.

    Set-Cookie above all is left out: it would go into a jar that the whole process shares.
    """
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {head.headers['sec-websocket-accept']}\r\n\r\n"
    ).encode("ascii")
