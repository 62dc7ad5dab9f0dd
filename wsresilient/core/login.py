"""What a refused or revoked login means for the connection, in words that tell what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..errors import AuthenticationError, VenueError
from .failure import Failure, FailureKind
from .incoming import LoginRefused
from .redact import Redactor, shorten

__all__ = ["login_failure", "revoked_failure", "strings_of"]

#: Shorter strings of a login are names of fields and methods, not signatures.
SHORTEST = 16
#: Under these keys stands what is asked for, in the venue's own words.
NO_SECRETS = frozenset({"method", "op"})


def login_failure(refusal: LoginRefused, venue: str, redact: Redactor, *, now: float) -> Failure:
    """Make the failure of a refused login.

    :param venue: how the venue is called in texts.
    :param redact: hides what the login sent.
    :param now: wall clock, to tell how far our clock is off.
    """
    code = "" if refusal.code is None else f" (code {refusal.code})"
    said = shorten(redact(refusal.text)) or "it gives no reason"
    text = f"{venue} refused the login{code}: {said}"
    if refusal.clock:
        text += f"; the clock of this machine is off{_skew(refusal, now)}: set it (NTP)"
    elif refusal.final or refusal.retries is not None:
        perhaps = "" if refusal.final else "if it stays so, "
        text += (
            f"; {perhaps}check key, secret, passphrase, the key's permissions and its list of "
            "addresses"
        )
    error = AuthenticationError(text)
    return Failure(
        FailureKind.AUTHENTICATION,
        f"AuthenticationError: {text}",
        retryable=not refusal.final,
        error=error,
        retry_after=refusal.retry_after,
        budget=None if refusal.retries is None else refusal.retries + 1,
    )


def revoked_failure(refusal: LoginRefused, venue: str) -> Failure:
    """Make the failure of a login that holds no more: a new one shows whether it is for good.

    :param refusal: its text without secrets.
    """
    code = "" if refusal.code is None else f" (code {refusal.code})"
    text = f"{venue} has ended the login{code}: {refusal.text or 'it gives no reason'}"
    error = VenueError(text, code=refusal.code)
    return Failure(FailureKind.CLOSED, f"VenueError: {text}", error=error)


def _skew(refusal: LoginRefused, now: float) -> str:
    if refusal.server_time is None:
        return ""
    off = now - refusal.server_time
    return f" by {abs(off):.1f} s ({'ahead' if off > 0 else 'behind'})"


def strings_of(login: str | bytes) -> tuple[str, ...]:
    """Give the long strings of a login message: keys and signatures, which nothing may show."""
    try:
        return tuple(_strings(json.loads(login)))
    except ValueError:
        return (login,) if isinstance(login, str) else ()


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str) and len(value) >= SHORTEST:
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in NO_SECRETS:
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
