"""An HTTP server that answers as a test tells it, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .servers import LOCALHOST, PATIENCE

__all__ = ["Asked", "HttpServer", "Reply", "http_server", "reply"]


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    at: float  # monotonic


@dataclass(frozen=True)
class Reply:
    """An answer; ``act`` writes to the socket what it likes instead."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    act: Callable[[BaseHTTPRequestHandler], object] | None = None


def reply(
    body: object = None,
    status: int = 200,
    *,
    act: Callable[[BaseHTTPRequestHandler], object] | None = None,
    **headers: str,
) -> Reply:
    """Make a reply; what is no bytes becomes JSON. Underscores in names of headers are dashes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, content, names, act)


class HttpServer:
    """What a test sees of the server."""

    def __init__(self, base: str) -> None:
        self.url = base
        self.asked: list[Asked] = []
        self.by_path: dict[str, Reply] = {}
        self.next: deque[Reply] = deque()
        self.usual = reply({"error": "nothing here"}, 404)
        self.over = threading.Event()

    def choose(self, path: str) -> Reply:
        """First what was put into ``next``, then by path, then the usual."""
        if self.next:
            return self.next.popleft()
        return self.by_path.get(path, self.usual)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    disable_nagle_algorithm = True
    told: HttpServer

    def answer(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(
            self.command, parts.path, dict(parse_qsl(parts.query)), headers, time.monotonic()
        )
        self.told.asked.append(asked)
        chosen = self.told.choose(parts.path)
        if chosen.act is not None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                chosen.act(self)
            return
        self.send_response(chosen.status)
        for name, value in {"Content-Length": str(len(chosen.body)), **chosen.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(chosen.body)

    do_GET = do_POST = do_PUT = answer  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away here; that is no news."""


@contextlib.contextmanager
def http_server(*, tls: ssl.SSLContext | None = None) -> Iterator[HttpServer]:
    """Run a server; its threads end with it, if its clients have."""
    handler = type("Handler", (_Handler,), {})
    server = _Server((LOCALHOST, 0), handler)
    server.daemon_threads = False
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme, host = ("http", LOCALHOST) if tls is None else ("https", "localhost")
    told = HttpServer(f"{scheme}://{host}:{server.server_port}")
    handler.told = told  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield told
    finally:
        told.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
