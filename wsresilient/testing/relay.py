"""The inside of the fault proxy: every connection and every fault, on the loop's thread.

One thread and one selector, so that a herd of clients makes no herd of threads and a fault needs
no lock: other threads hand their wishes in by :meth:`Loop.call`. It forwards bytes and knows
nothing of WebSocket, HTTP or TLS.
"""

from __future__ import annotations

import errno
import functools
import logging
import os
import socket
import time
from collections.abc import Callable

from wsresilient.testing.link import Address, End, Entry, Fault, Link
from wsresilient.testing.listener import HeldPort, join_address
from wsresilient.testing.loop import READ, WRITE, Loop
from wsresilient.testing.pacing import Pace

__all__ = ["Relay"]

logger = logging.getLogger("wsresilient.testing")

_RECV_SIZE = 65536
_BUFFER_LIMIT = 256 * 1024  # for each direction of a link; beyond it the sender is held back
_DRAIN_TIMEOUT = 2.0  # how long a link whose end of file was sent waits for the peer's
_IN_PROGRESS = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0)}


class Relay:
    """All sockets of the proxy. But for start and stop, on the loop's thread only.

    :param target: host and port that the connections are forwarded to.
    :param port: where to listen.
    :param pace: how fast bytes pass at first.
    """

    def __init__(self, target: tuple[str, int], port: HeldPort, pace: Pace) -> None:
        self.target = target
        self.port = port
        self.pace = pace
        self.loop = Loop("wsr-test-proxy", self)
        self.entry = Entry.FORWARD
        self.is_refusing = False
        self.is_frozen = False
        self.is_swallowing = False
        self.links: set[Link] = set()
        self.connect_times: list[float] = []
        self.bytes_up = 0
        self.bytes_down = 0
        self._fault: Fault | None = None
        self._addresses: list[Address] = []
        self._due: dict[Link, float] = {}
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Listen and start the loop.

        :raises OSError: the target's name has no address, or the port cannot be had.
        """
        self._addresses = [
            (family, kind, protocol, address)
            for family, kind, protocol, _, address in socket.getaddrinfo(
                *self.target, type=socket.SOCK_STREAM
            )
        ]
        self._listener = self.port.listen()
        self.loop.start()
        self.loop.call(self.update_listener)

    def stop(self) -> None:
        """Close everything."""
        self.loop.stop()

    def on_turn(self, now: float) -> float | None:
        """Advance the links that have something due."""
        for link in [link for link, due in self._due.items() if due <= now]:
            self._advance(link)
        return min(self._due.values(), default=None)

    def on_end(self) -> None:
        """Close all sockets."""
        for link in list(self.links):
            self._drop(link)
        self._listener = None
        self.port.close()

    # Faults.

    def update_listener(self) -> None:
        """Make the listener what is_refusing and is_frozen ask for.

        While frozen it listens but accepts nothing: the backlog does, as with a stopped process.
        """
        if not self.loop.is_running:
            return
        if self.is_refusing and self._listener is not None:
            self.loop.watch(self._listener, 0, self._on_connect)
            self._listener = None
            self.port.refuse()
        elif not self.is_refusing:
            self._listener = self.port.listen()
            self.loop.watch(self._listener, 0 if self.is_frozen else READ, self._on_connect)

    def refuse(self, refusing: bool) -> None:
        """Refuse new connections, or accept them again."""
        self.is_refusing = refusing
        self.update_listener()

    def freeze(self, frozen: bool) -> None:
        """Stop reading, writing and accepting, or go on."""
        self.is_frozen = frozen
        self.update_listener()
        self._advance_all()

    def swallow(self, swallowing: bool) -> None:
        """Throw away whatever comes, or end that; then links with a hole in them are reset."""
        self.is_swallowing = swallowing
        if not swallowing:
            for link in [link for link in self.links if link.has_lost_bytes]:
                self.reset(link)
        self._advance_all()

    def set_pace(self, pace: Pace) -> None:
        """Change the pace, at once also for bytes that already wait."""
        self.pace = pace
        for link in self.links:
            for end in link.ends:
                end.outgoing.release()
        self._advance_all()

    def arm(self, fault: Fault | None) -> None:
        """Set the fault that strikes after so many bytes; None: disarm."""
        self._fault = fault
        for link in list(self.links):
            link.fault_after = None if fault is None else fault.after
            self._advance(link)

    def reset(self, link: Link) -> bool:
        """Reset both sides."""
        for end in link.ends:
            end.reset_on_close()
        return self._drop(link)

    def cut(self, link: Link) -> bool:
        """Send the end of file to both sides, and close when they have closed too.

        Closing at once would not do: with unread bytes in its buffer a close sends a reset.
        """
        if link.is_connecting:
            return self.reset(link)
        for end in link.ends:
            end.outgoing.clear()
            end.finish_writing()
        link.close_at = time.monotonic() + _DRAIN_TIMEOUT
        self._watch(link)
        return False

    def corrupt(self, link: Link) -> bool:
        """Flip the next byte towards the client."""
        link.client.outgoing.flip_next()
        return True

    def for_each(self, action: Callable[[Link], bool]) -> int:
        """Do something to each link that is not being closed; return how many there were."""
        links = [link for link in self.links if link.close_at is None]
        for link in links:
            action(link)
        return len(links)

    def _advance_all(self) -> None:
        for link in list(self.links):
            self._advance(link)

    # New connections.

    def _on_connect(self, _events: int) -> None:
        if self._listener is None:
            return
        try:
            client, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            logger.warning("the proxy cannot accept a connection: %r", error)
            return
        self.connect_times.append(time.monotonic())
        link = Link(client, list(self._addresses))
        self.links.add(link)
        if self.entry is Entry.CLOSE:
            self.cut(link)
        elif self.entry is Entry.STALL or self.is_swallowing:
            link.is_sink = True
            self._watch(link)
        else:
            link.fault_after = None if self._fault is None else self._fault.after
            self._connect(link)

    def _connect(self, link: Link) -> None:
        """Try the target's next address; with none left the client is reset."""
        pipe = None if link.server is None else link.server.outgoing
        while link.addresses:
            family, kind, protocol, address = link.addresses.pop(0)
            end = End(socket.socket(family, kind, protocol), pipe)
            error = end.socket.connect_ex(address)
            if error in _IN_PROGRESS:
                link.server = end
                link.is_connecting = True
                self._watch(link)
                return
            end.socket.close()
            logger.info("%s cannot be reached: %s", join_address(*self.target), os.strerror(error))
        link.server = None
        self.reset(link)

    def _finish_connect(self, link: Link, server: End) -> None:
        error = server.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        link.is_connecting = False
        if error:
            logger.info("%s cannot be reached: %s", join_address(*self.target), os.strerror(error))
            self._set_events(link, server, 0)
            server.socket.close()
            self._connect(link)

    # Bytes.

    def _on_ready(self, link: Link, end: End, events: int) -> None:
        if link not in self.links or not end.events:
            return
        if end is link.server and link.is_connecting:
            self._finish_connect(link, end)
        elif events & READ:
            self._read(link, end)
        self._advance(link)

    def _read(self, link: Link, end: End) -> None:
        try:
            data = end.socket.recv(_RECV_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            logger.debug("a side of the proxied connection failed: %r", error)
            self.reset(link)
            return
        if not data:
            end.read_closed = True
        if link.is_discarding:
            return
        if self.is_swallowing:
            link.has_lost_bytes = True
            return
        sink = link.other(end)
        if data and sink is not None:
            sink.outgoing.push(data, time.monotonic())

    def _advance(self, link: Link) -> None:
        """Do whatever is due for a link, and watch for what may come next."""
        if link not in self.links:
            return
        now = time.monotonic()
        if link.is_discarding:
            expired = link.close_at is not None and link.close_at <= now
            if expired or all(end.read_closed for end in link.ends):
                self._drop(link)
                return
        elif self.is_swallowing and all(end.read_closed for end in link.ends):
            self._drop(link)
            return
        elif link.server is not None and not (
            link.is_connecting or self.is_frozen or self.is_swallowing
        ):
            if not (self._write(link, link.client, now) and self._write(link, link.server, now)):
                return
            if not self._pass_end_of_file(link, link.server):
                return
        self._watch(link)

    def _write(self, link: Link, end: End, now: float) -> bool:
        """Write what is due to one end; False: the link does not forward any more."""
        end.is_blocked = False
        while (data := end.outgoing.portion(self.pace, now)) is not None:
            if end is link.client and link.fault_after is not None:
                if link.fault_after == 0:
                    if not self._strike(link):
                        return False
                    continue
                data = data[: link.fault_after]
            try:
                count = end.socket.send(data)
            except BlockingIOError:
                end.is_blocked = True
                break
            except OSError as error:
                logger.debug("a side of the proxied connection failed: %r", error)
                return self.reset(link)
            end.outgoing.sent(count, self.pace, now)
            if not self._count(link, end, count):
                return False
        return True

    def _count(self, link: Link, end: End, count: int) -> bool:
        """Count what was written; False: that was the last byte before the fault struck."""
        if end is not link.client:
            self.bytes_up += count
            return True
        self.bytes_down += count
        if link.fault_after is None or self._fault is None:
            return True
        link.fault_after -= count
        if link.fault_after or self._fault.needs_byte:
            return True
        return self._strike(link)

    def _strike(self, link: Link) -> bool:
        """Let the armed fault happen to a link; False: the link does not forward any more."""
        fault, link.fault_after = self._fault, None
        if fault is None:
            return True
        if fault.times is not None:
            fault.times -= 1
            if fault.times == 0:
                self._fault = None
                for each in self.links:
                    each.fault_after = None
        return fault.action(link)

    def _pass_end_of_file(self, link: Link, server: End) -> bool:
        """Pass on the end of file behind the last byte; False: the link is finished."""
        for source, sink in ((link.client, server), (server, link.client)):
            if source.read_closed and not sink.outgoing.buffered:
                sink.finish_writing()
        if link.client.write_closed and server.write_closed:
            return self._drop(link)
        return True

    def _drop(self, link: Link) -> bool:
        for end in link.ends:
            self._set_events(link, end, 0)
            end.socket.close()
        self.links.discard(link)
        self._due.pop(link, None)
        return False

    # What to wait for.

    def _watch(self, link: Link) -> None:
        for end in link.ends:
            self._set_events(link, end, self._wanted_events(link, end))
        due = self._next_due(link)
        if due is None:
            self._due.pop(link, None)
        else:
            self._due[link] = due

    def _wanted_events(self, link: Link, end: End) -> int:
        if link.close_at is None and self.is_frozen:
            return 0
        if link.is_discarding:
            return 0 if end.read_closed else READ
        if end is link.server and link.is_connecting:
            return WRITE
        sink = link.other(end)
        is_full = sink is None or sink.outgoing.buffered >= _BUFFER_LIMIT
        readable = not end.read_closed and (self.is_swallowing or not is_full)
        writable = end.is_blocked and not self.is_swallowing
        return (READ if readable else 0) | (WRITE if writable else 0)

    def _next_due(self, link: Link) -> float | None:
        if link.is_discarding:
            return link.close_at
        if self.is_frozen or self.is_swallowing or link.is_connecting:
            return None
        times = [end.outgoing.due(self.pace) for end in link.ends if not end.is_blocked]
        return min((due for due in times if due is not None), default=None)

    def _set_events(self, link: Link, end: End, events: int) -> None:
        if events != end.events:
            self.loop.watch(end.socket, events, functools.partial(self._on_ready, link, end))
            end.events = events
