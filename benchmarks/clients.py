"""One client, measured once, in a process of its own; the result is a line of JSON.

All clients feed the same handler, which counts messages and adds up their lengths. The time runs
from the first message to the last, so opening and closing cost nothing. Each client is used in the
plainest way that its documentation shows, and a doubt is decided in favour of the peer.

With ``--calibrate`` the flood has no end: each message is compared with what the server sent, and
after a moment the process reports its rate and leaves.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import importlib
import json
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from payloads import CLOSE_NORMAL, build_cycle

if TYPE_CHECKING:
    import picows

Payload = str | bytes
Handler = Callable[[Payload], None]

CALIBRATION_SECONDS = 0.25
CALIBRATION_GROWTH = 1.25


@dataclass
class Meter:
    """What one measurement found; `total` is in the client's unit."""

    target: int = 0
    count: int = 0
    total: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    first_cpu: float = 0.0
    last_cpu: float = 0.0
    problem: str = ""
    cut: bool = False
    """Whether it took so long that it was ended before the last message."""
    note: str = ""
    """What the client said of itself; shown only when something is wrong."""

    def begin(self) -> None:
        """Note the time of the first message."""
        self.first_cpu = time.process_time()
        self.first_at = time.monotonic()

    def end(self) -> None:
        """Note the time of the last message."""
        self.last_at = time.monotonic()
        self.last_cpu = time.process_time()

    def as_json(self) -> str:
        """Write the result for the parent process."""
        return json.dumps(
            {
                "count": self.count,
                "total": self.total,
                "seconds": self.last_at - self.first_at,
                "cpu_seconds": self.last_cpu - self.first_cpu,
                "cut": self.cut,
                "problem": self.problem,
                "note": self.note,
            }
        )

    def report_and_leave(self) -> NoReturn:
        """Report at once, from any thread, without the courtesy of closing the connection."""
        sys.stdout.write(self.as_json() + "\n")
        sys.stdout.flush()
        os._exit(0)


@dataclass(frozen=True)
class Request:
    """What a client is asked to do."""

    url: str
    context: ssl.SSLContext | None
    handle: Handler
    meter: Meter
    limit: float
    calibrate: bool
    size: int
    alphabet: str


@dataclass(frozen=True)
class Client:
    """A way to receive messages, and what its figures mean."""

    name: str
    module: str
    run: Callable[[Request], None]
    unit: str = "characters"
    """What its handler adds up: "characters" of str, "bytes" of payload, or bytes on the "wire"."""


def counting_handler(meter: Meter, cut_after: float) -> tuple[Handler, Callable[[], None]]:
    """Make the handler that every client is measured with, and what reads its counters.

    Local variables of a closure and one comparison: as little as Python allows. A client that
    turns out to be much slower than in its calibration is ended after `cut_after` seconds; the
    messages until then count.
    """
    count = 0
    total = 0
    mark = 1

    def read_counters() -> None:
        meter.count, meter.total = count, total

    def cut() -> None:
        nonlocal mark
        if count < meter.target:
            meter.cut = True
            mark = 0

    def reached() -> None:
        nonlocal mark
        if count == 1:
            mark = meter.target
            timer = threading.Timer(cut_after, cut)
            timer.daemon = True
            timer.start()
            meter.begin()
        elif count == meter.target:
            meter.cut = False
            meter.end()
        elif meter.cut:
            meter.end()
            read_counters()
            meter.report_and_leave()

    def handle(payload: Payload) -> None:
        nonlocal count, total
        count += 1
        total += len(payload)
        if count >= mark:
            reached()

    return handle, read_counters


def calibrating_handler(meter: Meter, expected: Sequence[Payload]) -> Handler:
    """Make the handler that compares every message and ends the process after a moment."""
    count = 0
    mark = 1.0
    length = len(expected)

    def handle(payload: Payload) -> None:
        nonlocal count, mark
        if payload != expected[count % length]:
            meter.problem = f"message {count} is not what was sent: {payload[:80]!r}"
            meter.report_and_leave()
        count += 1
        if count < mark:
            return
        if count == 1:
            meter.begin()
        mark = max(mark + 1, mark * CALIBRATION_GROWTH)
        meter.end()
        if meter.last_at - meter.first_at >= CALIBRATION_SECONDS and count > 1:
            meter.count = count
            meter.report_and_leave()

    return handle


def run_ours(request: Request, dispatch: str) -> None:
    """wsresilient in its default configuration, but for where the handler runs."""
    from wsresilient import ResilientWebSocket

    closed = threading.Event()
    websocket = ResilientWebSocket(
        request.url,
        on_message=request.handle,
        on_close=lambda _code, _reason: closed.set(),
        ssl_context=request.context,
        dispatch=dispatch,
    )
    websocket.start()
    try:
        if not closed.wait(request.limit):
            request.meter.problem = f"not closed after {request.limit:.0f} s"
    finally:
        websocket.stop()
    failures = websocket.get_stats()["callback_errors"]
    request.meter.note = f"last_error {websocket.last_error!r}, callback_errors {failures}"


def run_ours_inline(request: Request) -> None:
    """Handlers on the reader thread."""
    run_ours(request, "inline")


def run_ours_thread(request: Request) -> None:
    """Handlers on the dispatcher's threads: the default."""
    run_ours(request, "thread")


def run_websocket_client(request: Request, *, skip_utf8_validation: bool = False) -> None:
    """websocket-client as nearly every synchronous script uses it."""
    import websocket

    handle, meter = request.handle, request.meter

    def on_message(_app: websocket.WebSocketApp, payload: Payload) -> None:
        handle(payload)

    def on_error(_app: websocket.WebSocketApp, error: Exception) -> None:
        # A close by the server is reported as an error too, with the code in it.
        if getattr(error, "status_code", None) != 1000:
            meter.problem = f"{type(error).__name__}: {error}"

    app = websocket.WebSocketApp(request.url, on_message=on_message, on_error=on_error)
    options = {} if request.context is None else {"context": request.context}
    app.run_forever(sslopt=options, skip_utf8_validation=skip_utf8_validation)


def run_websocket_client_skip(request: Request) -> None:
    """The same without validation: faster, and text arrives as bytes that nobody has checked."""
    run_websocket_client(request, skip_utf8_validation=True)


def run_websockets_sync(request: Request) -> None:
    """websockets' threaded client, iterated over."""
    from websockets.sync.client import connect

    handle = request.handle
    with connect(request.url, ssl=request.context, compression=None, max_size=None) as websocket:
        for message in websocket:
            handle(message)


def run_aiohttp(request: Request) -> None:
    """aiohttp on asyncio's own loop, iterated over."""
    import aiohttp

    handle, meter = request.handle, request.meter
    text = aiohttp.WSMsgType.TEXT

    async def receive() -> None:
        verify = True if request.context is None else request.context
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(request.url, max_msg_size=0, ssl=verify) as websocket,
        ):
            async for message in websocket:
                if message.type is text:
                    handle(message.data)
                else:
                    meter.problem = f"unexpected message: {message!r}"
                    return

    asyncio.run(receive())


def run_picows(request: Request, loop: asyncio.AbstractEventLoop | None = None) -> None:
    """picows' core client as programs use it: look at the frame's type, decode text as UTF-8.

    The comparison is by identity with a local constant, about 50 ns cheaper than the usual
    ``frame.msg_type == WSMsgType.TEXT``.
    """
    import picows

    handle = request.handle
    text, close = picows.WSMsgType.TEXT, picows.WSMsgType.CLOSE

    class Listener(picows.WSListener):
        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            kind = frame.msg_type
            if kind is text:
                handle(frame.get_payload_as_utf8_text())
            elif kind is close:
                transport.send_close(frame.get_close_code())
                transport.disconnect()

    _run_picows_listener(request, Listener, loop)


def run_picows_unchecked(request: Request) -> None:
    """The same without a look at the type: the ceiling of picows, for a stream known to be text.

    Python pays about 60 ns to ask a frame for its type. Here the close frame is noticed because
    the code 1000 (03 E8) at the end of a payload is not valid UTF-8; binary messages, fragments and
    most control frames would go unnoticed.
    """
    import picows

    handle, meter = request.handle, request.meter

    class Listener(picows.WSListener):
        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            try:
                payload = frame.get_payload_as_utf8_text()
            except UnicodeDecodeError as error:
                if frame.msg_type is not picows.WSMsgType.CLOSE:
                    meter.problem = f"UnicodeDecodeError: {error}"
                transport.send_close(picows.WSCloseCode.OK)
                transport.disconnect()
                return
            handle(payload)

    _run_picows_listener(request, Listener, None)


def _run_picows_listener(
    request: Request,
    listener: type[picows.WSListener],
    loop: asyncio.AbstractEventLoop | None,
) -> None:
    import picows

    async def receive() -> None:
        transport, _ = await picows.ws_connect(listener, request.url, ssl_context=request.context)
        await transport.wait_disconnected()

    loop = loop or asyncio.new_event_loop()
    try:
        loop.run_until_complete(receive())
    finally:
        loop.close()


def run_picows_uvloop(request: Request) -> None:
    """The same on uvloop."""
    run_picows(request, importlib.import_module("uvloop").new_event_loop())


def run_drain(request: Request) -> None:
    """No client at all: reads and throws away. It shows how much the server can send."""
    parts = urlsplit(request.url)
    assert parts.hostname is not None
    meter = request.meter
    with socket.create_connection((parts.hostname, parts.port or 0), timeout=30) as raw:
        connection = raw
        if request.context is not None:
            connection = request.context.wrap_socket(raw, server_hostname=parts.hostname)
        connection.sendall(
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: d3NyZXNpbGllbnRiZW5jaA==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        meter.begin()
        meter.total = len(head.split(b"\r\n\r\n", 1)[1])
        _drain(connection, request)
        meter.end()
        meter.count = meter.target
        connection.sendall(b"\x88\x80\x00\x00\x00\x00")


def _drain(connection: socket.socket, request: Request) -> None:
    """Read as many bytes as the server is known to send, without a look at them."""
    meter, cycle = request.meter, build_cycle(request.size, request.alphabet)
    expected = cycle.wire_bytes(meter.target) + len(CLOSE_NORMAL)
    buffer = bytearray(64 * 1024)
    while meter.total < expected:
        size = connection.recv_into(buffer)
        if not size:
            meter.problem = "the server ended too early"
            return
        meter.total += size
        if request.calibrate and time.monotonic() - meter.first_at >= CALIBRATION_SECONDS:
            meter.end()
            meter.count = int(meter.total / len(cycle.wire) * len(cycle))
            meter.report_and_leave()
    meter.total -= len(CLOSE_NORMAL)


CLIENTS = {
    client.name: client
    for client in (
        Client("ours-inline", "wsresilient", run_ours_inline),
        Client("ours-thread", "wsresilient", run_ours_thread),
        Client("picows", "picows", run_picows),
        Client("picows-unchecked", "picows", run_picows_unchecked),
        Client("picows+uvloop", "uvloop", run_picows_uvloop),
        Client("aiohttp", "aiohttp", run_aiohttp),
        Client("websockets-sync", "websockets", run_websockets_sync),
        Client("websocket-client", "websocket", run_websocket_client),
        Client("websocket-client-skip", "websocket", run_websocket_client_skip, unit="bytes"),
        Client("drain", "socket", run_drain, unit="wire"),
    )
}


def burn_cpu() -> None:
    """Be the other thread of the usual script: pure Python, never waiting."""
    x = 0
    while True:
        x += 1


def measure(client: Client, options: argparse.Namespace) -> Meter:
    """Run one client against the server, from its first message to its last."""
    meter = Meter(target=options.count)
    read_counters: Callable[[], None] | None
    if options.calibrate:
        cycle = build_cycle(options.size, options.payload)
        expected = cycle.encoded if client.unit == "bytes" else cycle.texts
        handle = calibrating_handler(meter, expected)
        read_counters = None
    else:
        handle, read_counters = counting_handler(meter, options.cut_after)
    context = ssl.create_default_context(cafile=options.ca_file) if options.ca_file else None
    if options.busy_thread:
        threading.Thread(target=burn_cpu, daemon=True).start()
    client.run(
        Request(
            url=options.url,
            context=context,
            handle=handle,
            meter=meter,
            limit=options.limit,
            calibrate=options.calibrate,
            size=options.size,
            alphabet=options.payload,
        )
    )
    if read_counters is None:
        meter.problem = meter.problem or "the endless flood ended"
    elif client.unit != "wire":
        read_counters()
    return meter


def main() -> None:
    """Measure the client that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, required=True, help="messages that the URL asks for")
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--payload", default="ascii")
    parser.add_argument("--ca-file", help="verify the server against this authority")
    parser.add_argument("--cpu", type=int, help="run on this core only")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds until it is given up")
    parser.add_argument("--cut-after", type=float, default=30.0, help="seconds of messages")
    parser.add_argument("--busy-thread", action="store_true")
    parser.add_argument("--calibrate", action="store_true")
    options = parser.parse_args()
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    # A client that hangs shows where, and ends.
    faulthandler.dump_traceback_later(options.limit + 5, exit=True)
    meter = measure(CLIENTS[options.client], options)
    # Not a normal exit: what a library does at exit is no part of the measurement.
    meter.report_and_leave()


if __name__ == "__main__":
    main()
