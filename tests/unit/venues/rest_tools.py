"""What the tests of the REST dialects share."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, TypeVar

from wsresilient.venues.dialect import Refusal, RestDialect, RestQuery, decode_answer

__all__ = ["NOW", "D", "as_text", "read", "refusal_of"]

T = TypeVar("T")

D = Decimal
#: Wall clock of the tests: 2023-11-14T22:13:20Z.
NOW = 1_700_000_000.0


def read(query: RestQuery[T], body: str) -> T:
    """Read an answer as it stands on the wire."""
    return query.read(decode_answer(body))


def refusal_of(
    dialect: RestDialect, body: str, *, status: int = 200, headers: dict[str, str] | None = None
) -> Refusal | None:
    """Judge an answer; a body that is no JSON is None to a dialect."""
    answer: Any = None
    try:
        answer = decode_answer(body)
    except ValueError:
        answer = None
    return dialect.refusal(status, headers or {}, answer, now=NOW)


def as_text(value: object) -> str:
    return json.dumps(value)
