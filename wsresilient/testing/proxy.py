"""A TCP proxy whose faults are switched from a test: what networks do to a WebSocket, on demand.

It sits between a client and a server, forwards bytes, and knows nothing of WebSocket, HTTP or TLS,
so it works for all of them. This module is the door for other threads; the sockets live in
``relay.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

from wsresilient.errors import ConfigurationError
from wsresilient.testing.link import Entry, Fault
from wsresilient.testing.listener import HeldPort, join_address
from wsresilient.testing.pacing import Pace
from wsresilient.testing.relay import Relay

__all__ = ["FaultProxy"]


class FaultProxy:
    """Forward connections to one target, and make them suffer.

    Every fault works at once on the connections that there are, and on later ones. When a method
    has returned, the fault has happened. All members may be used from any thread. One thread serves
    all connections.

    .. code-block:: python

        with FaultProxy("127.0.0.1", server_port) as proxy:
            client = connect(f"ws://{proxy.host}:{proxy.port}/")
            proxy.freeze()      # the server hangs
            proxy.thaw()
            proxy.reset_all()   # the link breaks

    :param target_host: the name or address of the server.
    :param target_port: its port.
    :param host: where to listen.
    :param port: where to listen; 0 lets the system choose, and the choice stays.
    :param latency: seconds that each byte is held back, in each direction.
    :param bandwidth: bytes per second for each direction of each connection; None: no limit.
    :param slice_size: bytes per write at most; None: as many as there are.
    :param slice_interval: seconds between two writes.
    :raises ConfigurationError: a setting is negative, or 0 where that would be the end.
    """

    def __init__(
        self,
        target_host: str,
        target_port: int,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        latency: float = 0.0,
        bandwidth: float | None = None,
        slice_size: int | None = None,
        slice_interval: float = 0.0,
    ) -> None:
        pace = Pace(latency, bandwidth, slice_size, slice_interval)
        self._relay = Relay((target_host, target_port), HeldPort(host, port), pace)
        self._call = self._relay.loop.call

    def __repr__(self) -> str:
        relay = self._relay
        faults = [
            *(["refusing"] if relay.is_refusing else []),
            *(["frozen"] if relay.is_frozen else []),
            *(["black_hole"] if relay.is_swallowing else []),
            *([relay.entry.value] if relay.entry is not Entry.FORWARD else []),
        ]
        for field in fields(Pace):
            value = getattr(relay.pace, field.name)
            if value != field.default:
                faults.append(f"{field.name}={value:g}")
        state = "running" if relay.loop.is_running else "stopped"
        return (
            f"<FaultProxy {join_address(self.host, self.port)} -> {join_address(*relay.target)}"
            f" {state}, {len(relay.links)} connections, faults: {', '.join(faults) or 'none'}>"
        )

    # Life.

    def start(self) -> FaultProxy:
        """Listen and forward. May be called again after :meth:`stop`, the port is the same.

        :returns: itself.
        :raises ConfigurationError: it runs already.
        :raises OSError: the target's name has no address, or the port cannot be had.
        """
        self._relay.start()
        return self

    def stop(self) -> None:
        """Close every connection and the port, and end the thread, within 5 s; idempotent."""
        self._relay.stop()

    def __enter__(self) -> FaultProxy:
        return self if self._relay.loop.is_running else self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # Where it is and what has passed.

    @property
    def host(self) -> str:
        """Where it listens."""
        return self._relay.port.host

    @property
    def port(self) -> int:
        """Where it listens: chosen at the first start and never changed; 0 before that."""
        return self._relay.port.port

    def through(self, url: str) -> str:
        """Rewrite a URL of the target so that it leads through the proxy.

        >>> FaultProxy("127.0.0.1", 80, port=8080).through("ws://127.0.0.1:80/stream?a=b")
        'ws://127.0.0.1:8080/stream?a=b'
        """
        return urlunsplit(urlsplit(url)._replace(netloc=join_address(self.host, self.port)))

    @property
    def connection_count(self) -> int:
        """How many connections are open now."""
        relay = self._relay
        return self._call(lambda: sum(link.close_at is None for link in relay.links))

    @property
    def connections_accepted(self) -> int:
        """How many connections have ever been accepted."""
        return self._call(lambda: len(self._relay.connect_times))

    @property
    def connect_times(self) -> list[float]:
        """When each of them was, in seconds of time.monotonic()."""
        return self._call(lambda: list(self._relay.connect_times))

    @property
    def bytes_up(self) -> int:
        """How many bytes were passed from clients to the target."""
        return self._call(lambda: self._relay.bytes_up)

    @property
    def bytes_down(self) -> int:
        """How many bytes were passed from the target to clients."""
        return self._call(lambda: self._relay.bytes_down)

    # Faults that end connections.

    def reset_all(self) -> int:
        """Reset every connection (RST to both sides); return how many there were."""
        return self._call(lambda: self._relay.for_each(self._relay.reset))

    def close_all(self) -> int:
        """Send the end of file (FIN) to both sides of every connection; return how many."""
        return self._call(lambda: self._relay.for_each(self._relay.cut))

    def reset_after(self, n_bytes: int | None, *, times: int | None = 1) -> None:
        """Reset a connection when exactly so many more bytes have been passed to its client.

        :param n_bytes: counted for each connection, from now or from its begin (the answer to the
            handshake included); None takes an armed fault back. There is at most one armed fault.
        :param times: how many connections it strikes; None: each one, until it is taken back.
        """
        self._arm(n_bytes, Fault(self._relay.reset, n_bytes or 0, times))

    def cut_after(self, n_bytes: int | None, *, times: int | None = 1) -> None:
        """Send the end of file, in the middle of a frame, say. As :meth:`reset_after`."""
        self._arm(n_bytes, Fault(self._relay.cut, n_bytes or 0, times))

    def corrupt_after(self, n_bytes: int | None, *, times: int | None = 1) -> None:
        """Flip all bits of the byte that follows after so many. As :meth:`reset_after`."""
        fault = Fault(self._relay.corrupt, n_bytes or 0, times, needs_byte=True)
        self._arm(n_bytes, fault)

    def _arm(self, n_bytes: int | None, fault: Fault) -> None:
        if fault.after < 0:
            raise ConfigurationError(f"n_bytes must be 0 or more or None, not {n_bytes!r}")
        if fault.times is not None and fault.times < 1:
            raise ConfigurationError(f"times must be 1 or more or None, not {fault.times!r}")
        self._call(lambda: self._relay.arm(None if n_bytes is None else fault))

    # Faults that last.

    def freeze(self) -> None:
        """Keep everything open, and read, write and accept nothing: a process that is stopped.

        New connects succeed, since the system accepts for it, and get no answer.
        """
        self._call(lambda: self._relay.freeze(True))

    def thaw(self) -> None:
        """End :meth:`freeze`; nothing was lost."""
        self._call(lambda: self._relay.freeze(False))

    def refuse(self) -> None:
        """Refuse new connections; those that there are stay. The port stays reserved."""
        self._call(lambda: self._relay.refuse(True))

    def accept(self) -> None:
        """End :meth:`refuse`."""
        self._call(lambda: self._relay.refuse(False))

    def accept_then_close(self, on: bool = True) -> None:
        """Accept new connections and send them the end of file at once, or forward them again."""
        self._set_entry(Entry.CLOSE if on else Entry.FORWARD)

    def stall_handshake(self, on: bool = True) -> None:
        """Accept new connections and never answer them, or forward later ones again."""
        self._set_entry(Entry.STALL if on else Entry.FORWARD)

    def black_hole(self, on: bool = True) -> None:
        """Take whatever comes from both sides and pass on nothing: sends succeed, nothing arrives.

        When it is switched off, connections that lost bytes are reset: nobody could go on with
        them. For an outage that heals without a loss use :meth:`freeze`.
        """
        self._call(lambda: self._relay.swallow(on))

    def heal(self) -> None:
        """End every fault that lasts: mode, pace, armed fault. What was closed stays closed."""

        def heal() -> None:
            self._relay.entry = Entry.FORWARD
            self._relay.arm(None)
            self._relay.set_pace(Pace())
            self._relay.swallow(False)
            self._relay.freeze(False)
            self._relay.refuse(False)

        self._call(heal)

    def _set_entry(self, entry: Entry) -> None:
        def set_entry() -> None:
            self._relay.entry = entry

        self._call(set_entry)

    # The pace.

    @property
    def latency(self) -> float:
        """Seconds that each byte is held back, in each direction. May be set."""
        return self._relay.pace.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._set_pace(lambda pace: replace(pace, latency=seconds))

    @property
    def bandwidth(self) -> float | None:
        """Bytes per second for each direction of each connection; None: no limit. May be set."""
        return self._relay.pace.bandwidth

    @bandwidth.setter
    def bandwidth(self, bytes_per_second: float | None) -> None:
        self._set_pace(lambda pace: replace(pace, bandwidth=bytes_per_second))

    @property
    def slice_size(self) -> int | None:
        """Bytes per write at most; None: as many as there are. May be set."""
        return self._relay.pace.slice_size

    @slice_size.setter
    def slice_size(self, n_bytes: int | None) -> None:
        self._set_pace(lambda pace: replace(pace, slice_size=n_bytes))

    @property
    def slice_interval(self) -> float:
        """Seconds between two writes. May be set."""
        return self._relay.pace.slice_interval

    @slice_interval.setter
    def slice_interval(self, seconds: float) -> None:
        self._set_pace(lambda pace: replace(pace, slice_interval=seconds))

    def _set_pace(self, change: Callable[[Pace], Pace]) -> None:
        self._call(lambda: self._relay.set_pace(change(self._relay.pace)))
