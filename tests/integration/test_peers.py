"""Real servers of other makers: websockets, aiohttp, and ws on Node."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import WSMsgType, web

from .clients import running
from .servers import LOCALHOST, PATIENCE, good_server, wait_until

TEXTS: list[str | bytes] = [
    "",
    b"",
    "text \N{SNOWMAN}\U0001f600",
    b"\x00\xff" * 100,
    "x" * 65_536,
    b"y" * 200_000,
    json.dumps({"price": "1.5"}) * 1000,
]


class Server(NamedTuple):
    """A server that echoes, and closes with 4000 and "as you wish" when it is told "close".

    :ivar wait_for_pings: waits until it has heard so many.
    """

    url: str
    wait_for_pings: Callable[[int], None] | None = None


# websockets.


@pytest.fixture
def websockets_server() -> Iterator[Server]:
    with good_server() as server:
        yield Server(server.url)


# aiohttp.


class _AiohttpServer:
    """aiohttp's server on a loop in a thread of its own."""

    def __init__(self) -> None:
        self.pings = 0
        self._started: Future[str] = Future()
        self._loop: asyncio.AbstractEventLoop
        self._over: asyncio.Event
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self._thread.start()
        self.url = self._started.result(PATIENCE)

    async def _main(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        application = web.Application()
        application.router.add_get("/", self._handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, LOCALHOST, 0)
        await site.start()
        self._started.set_result(f"ws://{LOCALHOST}:{runner.addresses[0][1]}/")
        await self._over.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(autoping=False)
        await response.prepare(request)
        async for message in response:
            if message.type == WSMsgType.PING:
                self.pings += 1
                await response.pong(message.data)
            elif message.data == "close":
                await response.close(code=4000, message=b"as you wish")
            elif message.type == WSMsgType.TEXT:
                await response.send_str(message.data)
            else:
                await response.send_bytes(message.data)
        return response

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)


@pytest.fixture
def aiohttp_server() -> Iterator[Server]:
    server = _AiohttpServer()

    def wait_for_pings(count: int) -> None:
        wait_until(lambda: server.pings >= count, PATIENCE, f"{count} pings")

    yield Server(server.url, wait_for_pings)
    server.close()


# ws on Node.

NODE_SERVER = """
const { WebSocketServer } = require("ws");
const server = new WebSocketServer({
  host: "127.0.0.1", port: 0, maxPayload: 1 << 26, perMessageDeflate: { threshold: 0 },
});
server.on("listening", () => console.log(server.address().port));
server.on("connection", (peer) => {
  peer.on("message", (data, isBinary) => {
    if (!isBinary && data.toString() === "close") peer.close(4000, "as you wish");
    else peer.send(data, { binary: isBinary });
  });
  peer.on("ping", () => console.log("ping"));
});
"""


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install ws from npm's registry, once for all tests."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefer-offline", "ws@8"]
    try:
        run = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry does not answer, so there is no ws")
    if run.returncode != 0:
        pytest.skip(f"npm cannot install ws: {run.stderr.strip()[-200:]}")
    return folder


@pytest.fixture
def node_server(node_modules: Path) -> Iterator[Server]:
    process = subprocess.Popen(
        ["node", "-e", NODE_SERVER],
        cwd=node_modules,
        env=os.environ | {"NODE_PATH": str(node_modules / "node_modules")},
        stdout=subprocess.PIPE,
        text=True,
    )
    stdout = process.stdout
    assert stdout is not None

    def wait_for_pings(count: int) -> None:
        for _ in range(count):
            assert stdout.readline() == "ping\n"

    try:
        yield Server(f"ws://{LOCALHOST}:{int(stdout.readline())}", wait_for_pings)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(params=["websockets", "aiohttp", "node"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(f"{request.param}_server")
    return found


# What all of them have in common.


@pytest.mark.parametrize("compression", [None, "deflate"], ids=str)
def test_messages_go_both_ways(server: Server, compression: str | None) -> None:
    with running(server.url, compression=compression) as (ws, seen):
        for text in TEXTS:
            ws.send(text)
        assert seen.wait_for_messages(len(TEXTS)) == TEXTS
        assert seen.errors == []


def test_compression_is_used(server: Server) -> None:
    text = json.dumps({"symbol": "BTCUSDT", "price": "12345.67"}) * 1000
    with running(server.url, compression="deflate") as (ws, seen):
        for _ in range(10):
            ws.send(text)
        assert seen.wait_for_messages(10) == [text] * 10
        assert ws.get_stats()["bytes_received"] < len(text)


def test_pings_are_answered(server: Server) -> None:
    with running(server.url, ping_interval=0.1, ping_timeout=0.09) as (ws, seen):
        if server.wait_for_pings is not None:
            server.wait_for_pings(3)
        wait_until(lambda: ws.get_stats()["ping_rtt"] is not None)
        assert 0.0 < ws.get_stats()["ping_rtt"] < 5.0
        assert seen.errors == []
        assert ws.generation == 1


@pytest.mark.parametrize("server", ["aiohttp", "node"], indirect=True)
def test_close_of_the_server_is_told_and_the_stream_comes_back(server: Server) -> None:
    with running(server.url) as (ws, seen):
        ws.send("close")
        assert seen.wait_for_closes(1) == [(4000, "as you wish")]
        seen.wait_for_opens(2)
        ws.send("again")
        assert seen.wait_for_messages(1) == ["again"]


def test_close_of_websockets() -> None:
    with good_server() as server, running(server.url) as (ws, seen):
        server.wait_for(1).close(4000, "as you wish")
        assert seen.wait_for_closes(1) == [(4000, "as you wish")]
        seen.wait_for_opens(2)
        assert ws.send("again") == "sent"
        assert seen.wait_for_messages(1) == ["again"]


def test_our_close_is_a_clean_one(server: Server) -> None:
    with running(server.url, close_timeout=PATIENCE) as (ws, seen):
        assert ws.stop(PATIENCE)
        assert seen.closes == [(1000, "")]
        assert seen.errors == []


def test_two_hundred_requests_and_answers(server: Server) -> None:
    settings: dict[str, Any] = {"on_message": None, "compression": "deflate"}
    with running(server.url, **settings) as (ws, _):
        for number in range(200):
            ws.send({"id": number})
            assert json.loads(ws.recv(PATIENCE)) == {"id": number}
