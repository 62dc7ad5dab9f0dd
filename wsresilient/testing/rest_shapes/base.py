"""What the fake exchange's REST asks of a venue's shape; one module beside this one per venue.

A shape is pure: it turns a request and a look at the market into an answer. It knows no socket and
no clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from wsresilient.core.credentials import Credentials
from wsresilient.testing.events import Depth, Kline, Mark, Ticker, Trade

__all__ = ["Desk", "ListenKeyDesk", "RestAnswer", "RestRequest", "RestShape", "as_json"]


@dataclass(frozen=True)
class RestRequest:
    """A request of a client.

    :ivar method: in capitals.
    :ivar path: without the query.
    :ivar query: of several values of one name the last.
    :ivar headers: with lower-case names.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def number(self, name: str, default: int, *, most: int | None = None) -> int:
        """Give a number of the query.

        :param default: where it is missing or no number.
        :param most: what a larger one is cut to.
        """
        try:
            value = int(self.query.get(name, default))
        except ValueError:
            value = default
        return value if most is None else min(value, most)

    def moment(self, name: str) -> int | None:
        """Give a number of the query, or None where it is missing or no number."""
        try:
            return int(self.query[name])
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True)
class RestAnswer:
    """An answer: JSON, unless a header says something else."""

    body: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class ListenKeyDesk(Protocol):
    """The listen keys of the exchange."""

    def create(self, api_key: str) -> str:
        """Make the key of this API key, or make the one that there is last longer."""

    def extend(self, api_key: str) -> str | None:
        """Make the key last longer; None: there is none that is still valid."""

    def delete(self, api_key: str) -> bool:
        """End the key; False: there is none."""


class Desk(Protocol):
    """What a shape may look at. Symbols are in capitals, times milliseconds since 1970."""

    @property
    def now(self) -> int:
        """The exchange's clock."""

    @property
    def symbols(self) -> Sequence[str]:
        """All symbols; the first has the largest turnover of 24 hours, the last the smallest."""

    @property
    def credentials(self) -> Credentials:
        """Whom the exchange knows."""

    @property
    def listen_keys(self) -> ListenKeyDesk:
        """For venues whose private streams need one."""

    def ticker(self, symbol: str) -> Ticker | None:
        """Give the last 24 hours; None: there is no such symbol."""

    def klines(
        self,
        symbol: str,
        interval: int,
        *,
        start: int | None = None,
        end: int | None = None,
        limit: int,
    ) -> list[Kline]:
        """Give candles, the oldest first, the one that is still open too.

        :param interval: seconds.
        :param start: the first may open then or later; with it, the oldest are given.
        :param end: the last may open then or before; without start, the latest are given.
        """

    def trades(
        self, symbol: str, *, first_id: int | None = None, end_id: int | None = None, limit: int
    ) -> list[Trade]:
        """Give trades, the oldest first; those that were never streamed too.

        :param first_id: with it, the oldest from this one on; without, the latest.
        :param end_id: only those before this one.
        """

    def book(self, symbol: str, levels: int) -> Depth | None:
        """Give the order book; None: there is no such symbol. Its ids are those of the stream."""

    def mark(self, symbol: str) -> Mark | None:
        """Give mark price and funding; None: there is no such symbol."""


class RestShape(Protocol):
    """How the REST of one venue looks."""

    def answer(self, request: RestRequest, desk: Desk) -> RestAnswer | None:
        """Answer a request; None: there is no such path, which is answered with 404."""


def as_json(value: Any, *, status: int = 200) -> RestAnswer:
    """Make an answer of a value."""
    return RestAnswer(json.dumps(value, separators=(",", ":")), status)
