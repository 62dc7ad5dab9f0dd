"""REST of the exchanges: symbols, volumes, klines, trades, order books.

How an exchange speaks is its dialect's (``venues/rest_*.py``), how bytes move is
``http_client.py``'s. Here is what lies between: one deadline for a call, trying again, and leaving
a host alone that asked for it.
"""

from __future__ import annotations

import reprlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ..config import check_integer, check_seconds
from ..core.backoff import ReconnectPolicy
from ..core.market import Kline, OrderBook, Symbol, Ticker24h, Trade
from ..core.redact import redact_text, shorten
from ..errors import ConfigurationError, NotConnectedError, VenueError, describe
from ..venues.base import Venue
from ..venues.dialect import Refusal, RestDialect, RestQuery, decode_answer
from .clock import monotonic, wall_clock
from .host_pauses import default_host_pauses
from .http_client import HttpAnswer, HttpClient, NoAnswerError, parse_base_url

__all__ = ["RestClient"]

T = TypeVar("T")

#: Three more attempts, whose delays come from tenacity's strategies.
RETRIES = ReconnectPolicy(initial_delay=0.25, max_delay=4.0, jitter=0.5, max_attempts=3)
#: No list of an exchange is that long; one that never ends is a fault.
MOST_PAGES = 50
LONGEST_NAP = 1.0

#: What reading an answer raises that is not of the form that the documentation tells.
_UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


@dataclass(frozen=True, slots=True)
class _Failed:
    """An attempt without a good answer.

    :ivar error: what the caller gets when there is no other attempt.
    :ivar temporary: whether another one may succeed.
    """

    error: VenueError
    temporary: bool


class RestClient:
    """Asks an exchange over REST. Only public data and only GET: every request may be repeated.

    A call is tried again, a few times and with growing pauses, while there is time. A Retry-After
    is waited for when there is time for it, and after HTTP 429 or 418 (Bybit: 403) no client of
    this process asks the same host before the pause is over. May be used from several threads.

    :param venue: such as ``wsresilient.venues.Binance()``.
    :param base_url: in place of the venue's own.
    :param timeout: seconds for one call: all of its requests, attempts and pauses together.
    :raises ConfigurationError: an argument is not allowed, or the venue has no REST.

    .. code-block:: python

        with RestClient(Binance("futures")) as rest:
            symbols = rest.top_by_volume(100, quote="USDT")
    """

    def __init__(self, venue: Venue, *, base_url: str | None = None, timeout: float = 10.0) -> None:
        if not isinstance(venue, Venue):
            raise ConfigurationError(
                f"venue is {venue!r:.60}; allowed: a venue, such as wsresilient.venues.Binance()"
            )
        if venue.rest is None:
            raise ConfigurationError(f"{venue!r} has no REST; allowed: a venue with rest set")
        check_seconds("timeout", timeout, exclusive=True)
        url = venue.rest_url if base_url is None else base_url
        if url is None:
            raise ConfigurationError(f"{venue!r} has no REST URL; give base_url=")
        self._name = venue.name
        self._dialect: RestDialect = venue.rest
        self._base = parse_base_url("base_url", url)
        self._timeout = timeout
        self._http = HttpClient()
        self._pauses = default_host_pauses()
        self._closed = threading.Event()  # ends every pause

    def __repr__(self) -> str:
        return f"<RestClient of {self._name} at {self._base.url}>"

    # What one can ask.

    def symbols(
        self, *, kind: str | None = None, include_inactive: bool = False
    ) -> tuple[Symbol, ...]:
        """Give the symbols that are traded.

        :param kind: "spot", "perpetual", "future" or "option"; None: all that the venue's market
            holds (OKX: "spot").
        :param include_inactive: those that are not traded now, too.
        :raises VenueError: the exchange answered with an error, or not at all.
        :raises ConfigurationError: the venue's market has no such kind.
        """
        found = self._ask_all(self._dialect.symbols(kind=kind), self._deadline())
        return tuple(symbol for symbol in found if symbol.active or include_inactive)

    def tickers(self, *, kind: str | None = None) -> tuple[Ticker24h, ...]:
        """Give volume and price of the last 24 hours, of all symbols.

        :param kind: as for :meth:`symbols`; the others of the same market may be among them.
        :raises VenueError: the exchange answered with an error, or not at all.
        """
        return self._ask_all(self._dialect.tickers(kind=kind), self._deadline())

    def top_by_volume(
        self, n: int, *, quote: str | None = None, kind: str | None = None
    ) -> list[str]:
        """Give the names of the symbols with the highest volume of the last 24 hours.

        Volumes are in the quote currency, so those of different ones cannot be compared: give
        ``quote`` where the market has several.

        :param n: how many; fewer come where there are no more.
        :param quote: only symbols with this quote currency ("USDT").
        :param kind: as for :meth:`symbols`.
        :returns: names, the highest volume first. All of them are traded now.
        :raises VenueError: the exchange answered with an error, or not at all.
        :raises ConfigurationError: an argument is not allowed.
        """
        check_integer("n", n, minimum=1)
        deadline = self._deadline()
        symbols = self._ask_all(self._dialect.symbols(kind=kind), deadline)
        wanted = {s.name for s in symbols if s.active and quote in (None, s.quote)}
        tickers = self._ask_all(self._dialect.tickers(kind=kind), deadline)
        found = [ticker for ticker in tickers if ticker.symbol in wanted]
        found.sort(key=lambda ticker: (-ticker.quote_volume, ticker.symbol))
        return [ticker.symbol for ticker in found[:n]]

    def klines(
        self,
        symbol: str,
        interval: str,
        limit: int | None = None,
        *,
        start: float | None = None,
        end: float | None = None,
    ) -> tuple[Kline, ...]:
        """Give klines, the oldest first.

        With ``start`` they are the first ones from there on, else the last ones before ``end``.

        :param symbol: in the venue's spelling.
        :param interval: such as "1m", "4h", "1d"; or in the venue's notation ("Min60").
        :param limit: how many at most; None: as many as the venue gives by itself (100 to 2000).
        :param start: seconds since the epoch: the first opens then or later.
        :param end: seconds since the epoch: the last opens before; None: now.
        :raises VenueError: the exchange answered with an error, or not at all.
        :raises ConfigurationError: an argument is not allowed.
        """
        query = self._dialect.klines(
            symbol, interval, start=start, end=end, limit=limit, now=wall_clock()
        )
        found = self._ask_all(query, self._deadline())
        return tuple(sorted(found, key=lambda kline: kline.opened_at))

    def trades(
        self,
        symbol: str,
        limit: int | None = None,
        *,
        from_id: int | str | None = None,
        aggregated: bool = False,
    ) -> tuple[Trade, ...]:
        """Give the latest trades, the oldest of them first.

        :param symbol: in the venue's spelling.
        :param limit: how many at most; None: as many as the venue gives by itself.
        :param from_id: those from this id on instead. Not on Bybit and MEXC; on Binance futures
            only with ``aggregated``.
        :param aggregated: Binance: the trades of its aggTrade streams.
        :raises VenueError: the exchange answered with an error, or not at all.
        :raises ConfigurationError: an argument is not allowed.
        """
        query = self._dialect.trades(symbol, limit=limit, from_id=from_id, aggregated=aggregated)
        return self._ask_all(query, self._deadline())

    def order_book(self, symbol: str, limit: int | None = None) -> OrderBook:
        """Give the order book of this moment.

        :param symbol: in the venue's spelling.
        :param limit: levels of each side; None: as many as the venue gives by itself.
        :raises VenueError: the exchange answered with an error, or not at all.
        :raises ConfigurationError: an argument is not allowed.
        """
        return self._ask(self._dialect.order_book(symbol, limit=limit), self._deadline())

    def server_time(self) -> float:
        """Give the exchange's clock, in seconds since the epoch.

        :raises VenueError: the exchange answered with an error, or not at all.
        """
        return self._ask(self._dialect.server_time(), self._deadline())

    def close(self) -> None:
        """Give up calls that are under way and close the connections; any number of times."""
        self._closed.set()
        self._http.close()

    def __enter__(self) -> RestClient:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    # How it is asked.

    def _deadline(self) -> float:
        return monotonic() + self._timeout

    def _ask(self, query: RestQuery[T], deadline: float) -> T:
        return self._read(query, query.read, self._answer(query, deadline))

    def _ask_all(self, query: RestQuery[tuple[T, ...]], deadline: float) -> tuple[T, ...]:
        """Ask for all pages of a list."""
        found: list[T] = []
        page = query
        for _ in range(MOST_PAGES):
            answer = self._answer(page, deadline)
            found += self._read(page, page.read, answer)
            following = page.following
            next_page = None if following is None else self._read(page, following, answer)
            if next_page is None:
                return tuple(found)
            page = next_page
        raise self._error(query, f"the list does not end after {MOST_PAGES} pages")

    def _read(self, query: RestQuery[Any], reader: Callable[[Any], T], answer: Any) -> T:
        try:
            return reader(answer)
        except _UNREADABLE as error:
            problem = describe(error)
        raise self._error(
            query, f"the answer is not understood ({problem}): {shorten(reprlib.repr(answer), 200)}"
        )

    def _answer(self, query: RestQuery[Any], deadline: float) -> Any:
        """Get a decoded answer that is no error, in several attempts if need be."""
        failures = 0
        while True:
            self._wait_for_host(query, deadline)
            outcome = self._attempt(query, deadline)
            if not isinstance(outcome, _Failed):
                return outcome
            failures += 1
            error = outcome.error
            delay = RETRIES.decide(failures, retry_after=error.retry_after, error=error).delay
            if not outcome.temporary or delay is None or monotonic() + delay >= deadline:
                raise error
            self._sleep(delay)

    def _attempt(self, query: RestQuery[Any], deadline: float) -> Any:
        try:
            answer = self._http.request(
                "GET",
                self._base.url + query.path,
                parameters=query.parameters,
                headers=self._dialect.headers,
                deadline=deadline,
                # Half of it leaves time for another attempt, on another connection.
                silence=self._timeout / 2,
            )
        except NoAnswerError as error:
            text = f"no answer from {self._base.host} (of {self._timeout:g} s in all): {error}"
            return _Failed(self._error(query, text), error.temporary)
        return self._judge(query, answer)

    def _judge(self, query: RestQuery[Any], answer: HttpAnswer) -> Any:
        """Decode an answer, or say what is wrong with it."""
        if 300 <= answer.status < 400:
            return self._redirected(query, answer)
        decoded, problem = None, ""
        try:
            decoded = decode_answer(answer.body)
        except ValueError as error:
            problem = describe(error)
        refusal = self._dialect.refusal(answer.status, answer.headers, decoded, now=wall_clock())
        if refusal is not None:
            return self._refused(query, answer, refusal)
        if problem:
            text = f"HTTP {answer.status}, the answer is no JSON ({problem}): {_excerpt(answer)}"
            return _Failed(self._error(query, text, status=answer.status), temporary=False)
        return decoded

    def _redirected(self, query: RestQuery[Any], answer: HttpAnswer) -> _Failed:
        where = shorten(redact_text(answer.headers.get("location", "nowhere")), 200)
        text = f"HTTP {answer.status}: a redirect to {where}, which is not followed; if it is "
        text += "right, use it as base_url"
        return _Failed(self._error(query, text, status=answer.status), temporary=False)

    def _refused(self, query: RestQuery[Any], answer: HttpAnswer, refusal: Refusal) -> _Failed:
        text = refusal.describe(answer.status, page=_excerpt(answer))
        text = shorten(redact_text(text), 400)
        if refusal.for_all and refusal.retry_after is not None:
            self._pauses.begin(self._base.host, seconds=refusal.retry_after, why=text)
        error = self._error(
            query,
            text,
            code=refusal.code,
            status=answer.status,
            retry_after=refusal.retry_after,
        )
        return _Failed(error, refusal.temporary)

    def _error(self, query: RestQuery[Any], text: str, **details: Any) -> VenueError:
        return VenueError(f"{self._name}: GET {query.path}: {text}", **details)

    # Pauses.

    def _wait_for_host(self, query: RestQuery[Any], deadline: float) -> None:
        """Wait while the host is left alone.

        :raises VenueError: that lasts longer than there is time; nothing was sent.
        """
        while (pause := self._pauses.running(self._base.host)) is not None:
            if pause.ends_at >= deadline:
                rest = max(0.0, pause.ends_at - monotonic())
                raise self._error(
                    query,
                    f"not asked, since {self._base.host} is left alone for another {rest:.1f} s; "
                    f"it had answered: {pause.why}",
                    retry_after=rest,
                )
            self._sleep(pause.ends_at - monotonic())

    def _sleep(self, seconds: float) -> None:
        """Wait, in pieces so that Ctrl-C is heard.

        :raises NotConnectedError: the client was closed meanwhile.
        """
        end = monotonic() + seconds
        while (rest := end - monotonic()) > 0.0:
            if self._closed.wait(min(rest, LONGEST_NAP)):
                raise NotConnectedError("the client was closed while it waited; make a new one")


def _excerpt(answer: HttpAnswer) -> str:
    return shorten(redact_text(answer.body[:1000].decode("utf-8", "replace")), 200)
