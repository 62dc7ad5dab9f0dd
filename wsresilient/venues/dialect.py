"""How the REST of an exchange speaks: requests as values, answers into values. Pure.

An exchange is one ``rest_<name>.py`` beside this module: it makes queries, which know how their
answer is read, and recognises errors; ``rest_reading.py`` is what they share. Sending, waiting and
trying again are ``runtime/rest.py``'s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from ..core.handshake import parse_retry_after
from ..core.market import Kline, OrderBook, Symbol, Ticker24h, Trade

__all__ = ["Refusal", "RestDialect", "RestQuery", "decode_answer", "refused"]

T = TypeVar("T")

#: HTTP statuses after which the same request may succeed.
TEMPORARY = frozenset({408, 418, 425, 429, 500, 502, 503, 504})
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RestQuery(Generic[T]):
    """A GET request and how its answer is read.

    :ivar path: behind the base URL, with a slash at the beginning.
    :ivar read: makes values of a decoded answer; what it raises means that it is no such answer.
    :ivar parameters: of the query string.
    :ivar following: makes the query of the next page from an answer, or None at the end; of a
        query whose values are tuples.
    """

    path: str
    read: Callable[[Any], T]
    parameters: Mapping[str, str] = field(default_factory=dict)
    following: Callable[[Any], RestQuery[T] | None] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An answer that is an error.

    :ivar code: the exchange's, or None.
    :ivar text: what it says, or "".
    :ivar hint: what one can do, or "".
    :ivar temporary: whether the same request may succeed later.
    :ivar retry_after: seconds before which it will not, or None.
    :ivar for_all: whether nothing at all may be asked of this host before that.
    :ivar denied: whether the credentials are refused.
    """

    code: int | str | None = None
    text: str = ""
    hint: str = ""
    temporary: bool = False
    retry_after: float | None = None
    for_all: bool = False
    denied: bool = False

    def describe(self, status: int, *, page: str) -> str:
        """Say it in words.

        :param status: the HTTP status.
        :param page: the beginning of the answer, for one that is no JSON.
        """
        text = f"HTTP {status}" if self.code is None else f"HTTP {status}, code {self.code}"
        said = self.text or page
        text += f": {said}" if said else ""
        text += f"; {self.hint}" if self.hint else ""
        if self.retry_after is not None:
            text += f" (ask again after {self.retry_after:g} s)"
        return text


class RestDialect(Protocol):
    """What ``runtime/rest.py`` asks of an exchange.

    All methods raise ConfigurationError for an argument that the exchange does not allow.
    """

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that belong to every request."""

    def symbols(self, *, kind: str | None) -> RestQuery[tuple[Symbol, ...]]:
        """Ask for all symbols; those that are not traded now may be among them.

        :param kind: one of ``core.market.KINDS``, or None: what the venue's market holds.
        """

    def tickers(self, *, kind: str | None) -> RestQuery[tuple[Ticker24h, ...]]:
        """Ask for the last 24 hours of all symbols; those of other kinds may be among them."""

    def klines(
        self,
        symbol: str,
        interval: str,
        *,
        start: float | None,
        end: float | None,
        limit: int | None,
        now: float,
    ) -> RestQuery[tuple[Kline, ...]]:
        """Ask for klines, see :func:`kline_span`.

        :param now: wall clock, seconds since the epoch.
        """

    def trades(
        self, symbol: str, *, limit: int | None, from_id: int | str | None, aggregated: bool
    ) -> RestQuery[tuple[Trade, ...]]:
        """Ask for the latest trades, or for those from an id on."""

    def order_book(self, symbol: str, *, limit: int | None) -> RestQuery[OrderBook]:
        """Ask for the order book, so many levels of each side."""

    def server_time(self) -> RestQuery[float]:
        """Ask for the exchange's clock, seconds since the epoch."""

    def refusal(
        self, status: int, headers: Mapping[str, str], answer: Any, *, now: float
    ) -> Refusal | None:
        """Tell whether an answer is an error.

        :param headers: names in lower case.
        :param answer: decoded, or None where it is no JSON.
        :param now: wall clock, seconds since the epoch.
        """


def refused(
    status: int,
    headers: Mapping[str, str] = _NO_HEADERS,
    *,
    now: float,
    code: object = None,
    text: object = "",
    temporary: Collection[int | str] = (),
    pauses: Mapping[int | str, float] = MappingProxyType({}),
    hints: Mapping[int | str, str] = MappingProxyType({}),
    denials: Collection[int | str] = (),
) -> Refusal:
    """Make a refusal by the rules that all exchanges share.

    :param temporary: codes of the exchange after which the same request may succeed.
    :param pauses: statuses and codes that say "too many requests", with the seconds for which
        the whole host is left alone where there is no Retry-After.
    :param hints: what one can do, by code or status.
    :param denials: codes that say that the credentials are wrong.
    """
    known = code if isinstance(code, (int, str)) else None
    keys = [key for key in (status, known) if key is not None]
    pause = max((pauses[key] for key in keys if key in pauses), default=None)
    told = parse_retry_after(headers.get("retry-after"), now=now)
    return Refusal(
        code=known,
        text=text if isinstance(text, str) else "",
        hint=next((hints[key] for key in keys if key in hints), ""),
        temporary=status in TEMPORARY or pause is not None or known in temporary,
        retry_after=pause if told is None else told,
        for_all=pause is not None,
        denied=status == 401 or known in denials,
    )


def decode_answer(body: str | bytes) -> Any:
    """Decode JSON; numbers with a fraction become Decimals, digit by digit.

    :raises ValueError: it is no JSON.
    """
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
