"""What the links of a life tell and ask, on their threads: they come up, look around, complain.

It knows which of them is the running one, so that a successor comes up in silence.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from ..core.failure import Failure
from .books import Books
from .delivery import Delivery
from .handlers import HandlerSet
from .link import Link
from .links import Links
from .outgoing import Outgoing
from .retrying import Retrying
from .status import Status

__all__ = ["Reception"]


class Reception:
    """Receives the links of one life.

    :param links: which of them is the running one.
    :param books: what is counted and told.
    :param retrying: is told of connections that stay up.
    :param status: of the connection.
    :param handlers: whether there is an on_open.
    :param delivery: where on_open has its place.
    :param outgoing: what waits to be sent goes out behind on_open.
    :param on_open: is called in the lane after each connect.
    :param rotate: whether the running link gets a successor.
    """

    def __init__(
        self,
        *,
        links: Links,
        books: Books,
        retrying: Retrying,
        status: Status,
        handlers: HandlerSet,
        delivery: Delivery,
        outgoing: Outgoing,
        on_open: Callable[[], None],
        rotate: Callable[[Failure], bool],
    ) -> None:
        self._links = links
        self._books = books
        self._retrying = retrying
        self._status = status
        self._handlers = handlers
        self._delivery = delivery
        self._outgoing = outgoing
        self._on_open = on_open
        self._rotate = rotate
        # on_open is being called: on this thread, for this link.
        self._greeting: tuple[int, Link] | None = None

    def __repr__(self) -> str:
        return f"<Reception of {self._status.name}>"

    # See wsresilient.runtime.link.LinkHost.

    def opening(self, link: Link) -> None:
        """A link is about to connect."""
        running = self._links.running
        if link is not running:
            self._books.succeeding(link, running)
            return
        self._books.opening(link)
        if link.plan is not None:
            with self._status.changed:
                self._links.hurry = False  # this is the attempt that was wanted
            self._delivery.let_reader_go(False)

    def ready(self, link: Link) -> None:
        """A link is up: say so."""
        if link is self._links.running:
            self._books.opened(link)
        else:
            self._books.opened_beside(link)
        self._delivery.emit_call(lambda: self._greet(link))

    def _greet(self, link: Link) -> None:
        """Call on_open, in the lane; what waits to be sent goes out behind it."""
        self._greeting = threading.get_ident(), link
        try:
            self._on_open()
        finally:
            self._greeting = None
        link.has_greeted = True
        self.flush_soon()
        link.wake()  # topics may be asked for now

    def ticked(self, link: Link, now: float) -> float:
        """The reader of a link looks around."""
        is_running = link is self._links.running
        pause = self._retrying.note_uptime(link, now) if is_running else math.inf
        self._delivery.run_inline_events()
        if is_running:
            self._delivery.move_inbox()
        return pause

    def may_request(self, link: Link) -> bool:
        """Whether a link may ask for topics."""
        return link.has_greeted or not self._handlers.has("open")

    def report(self, link: Link, error: Exception) -> None:
        """Tell an error; that of a successor once it is the running link."""
        with self._status.changed:
            running = self._links.running
            if running is None or link.generation > running.generation:
                link.errors.append(error)
                return
        self._books.note_complaint(error)

    def let_rotate(self, link: Link, reason: Failure) -> bool:
        """Whether somebody replaces a link; from any thread, it does not wait."""
        running = self._links.running
        if link is running:
            return self._rotate(reason)
        # One that has a successor is closed by it; a successor has to end.
        return running is not None and link.generation < running.generation

    def interrupted(self, link: Link) -> None:
        """A link is to end: let its reader go, and not that of the one which goes on."""
        if link is self._links.running:
            self._delivery.let_reader_go(True)

    # Sending, from any thread.

    def link_for_sending(self) -> Link | None:
        """Give the link over which the calling thread sends: on_open is about a certain one."""
        greeting = self._greeting
        if greeting is not None and greeting[0] == threading.get_ident():
            return greeting[1]
        return self._links.running

    def flush_soon(self) -> None:
        """Send what waits, on a thread that may wait; nothing while on_open is not over."""
        link = self._links.running
        if link is not None and link.is_open and link.has_greeted and self._outgoing.waiting:
            self._delivery.note(lambda: self._outgoing.flush(link))
