"""What the benchmarks share: the server's process, the certificate, the cores, the children.

Every client is measured in a fresh process: what one library leaves behind (garbage collector
state, loaded modules, threads) must not slow the next one.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DISTRIBUTIONS = (
    "wsresilient",
    "websocket-client",
    "websockets",
    "aiohttp",
    "picows",
    "aiofastnet",
    "uvloop",
)


class BenchmarkError(Exception):
    """A child process did not do what it was started for."""


@dataclass(frozen=True)
class Cores:
    """The core of the server and the core of the clients; None leaves it to the scheduler."""

    server: int | None = None
    client: int | None = None

    def __str__(self) -> str:
        if self.server is None:
            return "not pinned: server and client run where the scheduler puts them"
        return f"server on core {self.server}, client on core {self.client}"


@dataclass(frozen=True)
class Server:
    """Where the flooding server listens and how to trust it."""

    ports: dict[str, int]
    ca_file: str | None

    def url(self, transport: str, query: str) -> str:
        """Build the URL for `transport` ("plain" or "tls")."""
        scheme = "wss" if transport == "tls" else "ws"
        return f"{scheme}://127.0.0.1:{self.ports[transport]}/?{query}"


def choose_cores(pin: bool) -> Cores:
    """Two different cores where the system has them and lets us choose."""
    if not pin or not hasattr(os, "sched_setaffinity"):
        return Cores()
    available = sorted(os.sched_getaffinity(0))
    return Cores(available[0], available[1]) if len(available) > 1 else Cores()


def is_importable(module: str) -> bool:
    """Whether a client's library is there, without importing it here."""
    return importlib.util.find_spec(module) is not None


def describe_environment() -> dict[str, Any]:
    """Everything that a reader of the figures needs to judge them."""
    versions = {}
    for name in DISTRIBUTIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else [],
        "versions": versions,
    }


@contextlib.contextmanager
def certificates() -> Iterator[tuple[str, str]]:
    """Make a certificate authority and a server certificate: (server's PEM, authority's PEM)."""
    import trustme

    with tempfile.TemporaryDirectory(prefix="wsresilient-bench-") as folder:
        server_file, ca_file = Path(folder, "server.pem"), Path(folder, "ca.pem")
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        certificate.private_key_and_cert_chain_pem.write_to_path(str(server_file))
        authority.cert_pem.write_to_path(str(ca_file))
        yield str(server_file), str(ca_file)


@contextlib.contextmanager
def flood_server(cores: Cores, *, tls: bool) -> Iterator[Server]:
    """Run the server in its own process for the length of the block."""
    with contextlib.ExitStack() as stack:
        command = [sys.executable, str(HERE / "flood_server.py")]
        if cores.server is not None:
            command += ["--cpu", str(cores.server)]
        ca_file = None
        if tls:
            server_file, ca_file = stack.enter_context(certificates())
            command += ["--certificate", server_file]
        process = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        stack.callback(process.terminate)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise BenchmarkError("the flood server did not start")
        yield Server(json.loads(line), ca_file)


def run_child(script: str, arguments: Sequence[str], limit: float) -> dict[str, Any]:
    """Run one of our scripts in a fresh process and return the JSON of its last line."""
    command = [sys.executable, str(HERE / script), *arguments]
    try:
        finished = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=limit,
            env=_environment_without_proxies(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"no result within {limit:.0f} s") from error
    lines = finished.stdout.strip().splitlines()
    if finished.returncode != 0 or not lines:
        last_words = "\n".join(finished.stderr.strip().splitlines()[-25:])
        raise BenchmarkError(f"exit code {finished.returncode}:\n{last_words}")
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def _environment_without_proxies() -> dict[str, str]:
    """Some clients obey proxy variables and some do not: on loopback nobody shall."""
    return {
        name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
    }
