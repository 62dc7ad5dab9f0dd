"""Keeps secrets out of whatever is shown: texts of servers, errors, logs, reprs.

Two nets: what looks like a secret anywhere (user info, query values, Authorization and
Cookie), and the very strings that this attempt sent, even when a server echoes them. A text may be
cut before it is redacted, by whomever: the beginning of a secret at its end is hidden, too. So what
a server says stands last in a text, until it is redacted.
"""

from __future__ import annotations

import base64
import binascii
import functools
import html
import json
import re
import string
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["SENSITIVE_HEADER", "Redactor", "redact_text", "shorten"]

HIDDEN = "***"

#: Header names whose values are never shown.
SENSITIVE_HEADER = re.compile(
    r"auth|cookie|token|secret|key|signature|sign\b|passphrase|password|session", re.IGNORECASE
)
#: A Sec-WebSocket-* header is part of the protocol and holds no secret of the user.
PROTOCOL_HEADER = re.compile(r"sec-websocket-", re.IGNORECASE)

#: Words of an Authorization header that are no secrets.
SCHEMES = frozenset({"basic", "bearer", "digest", "negotiate", "token", "apikey"})

#: Characters that nothing encodes (RFC 3986 section 2.3), but for the dot: this is for patterns.
PLAIN = frozenset(string.ascii_letters + string.digits + "-_~")

# Shorter strings are no secrets, and replacing them would make a text unreadable.
SHORTEST_SECRET = 4

#: So many characters of a secret are its beginning; fewer tell little, and may be a plain word.
BEGINNING = 8
#: One character takes no more than these, however it is written (four bytes, each as "%XX").
LONGEST_FORM = 12

_PATTERNS = (
    (re.compile(r"(?<=//)[^/\s@\"'<>]+@"), f"{HIDDEN}@"),
    (re.compile(r"([?&][^=&?\s\"'<>#]{1,100}=)[^&\s\"'<>#]+"), rf"\1{HIDDEN}"),
    (
        re.compile(
            r"\b((?:proxy-)?authorization|(?:set-)?cookie)\b([\"']?\s*[:=]\s*)[^\r\n]+", re.I
        ),
        rf"\1\2{HIDDEN}",
    ),
    (re.compile(r"\b(bearer|basic)(\s+)[A-Za-z0-9+/=._~-]{6,}", re.I), rf"\1\2{HIDDEN}"),
)


def redact_text(text: str) -> str:
    """Hide what looks like a secret in any text."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def shorten(text: str, limit: int = 200) -> str:
    """Cut a text to ``limit`` characters on one line, with control characters made visible."""
    flat = " ".join(text.split())
    flat = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in flat)
    return flat if len(flat) <= limit else flat[: limit - 3] + "..."


class Redactor:
    """Hides the given strings, however they are encoded, and what looks like a secret.

    :param secrets: the strings; those shorter than four characters are left alone.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long_enough = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        # The longest first, so that one secret inside another leaves no rest behind.
        self._secrets = tuple(sorted(long_enough, key=len, reverse=True))
        self._pattern: re.Pattern[str] | None = None  # these two are made when they are needed
        self._beginnings: tuple[_Beginning, ...] = ()

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        if self._pattern is None:
            self._beginnings = tuple(
                _Beginning(secret) for secret in self._secrets if len(secret) > BEGINNING
            )
            self._pattern = re.compile("|".join(map(_any_form, self._secrets)) or r"(?!)")
        text = self._pattern.sub(HIDDEN, text)
        if cuts := [at for one in self._beginnings if (at := one.at_the_end_of(text)) is not None]:
            text = text[: min(cuts)] + HIDDEN
        return redact_text(text)

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._secrets)} strings>"

    def add(self, secrets: Iterable[str]) -> None:
        """Hide these strings as well, wherever this very object is used."""
        merged = {*self._secrets, *(secret for secret in secrets if len(secret) >= SHORTEST_SECRET)}
        self._secrets = tuple(sorted(merged, key=len, reverse=True))
        self._pattern = None

    def with_secrets(self, secrets: Iterable[str]) -> Redactor:
        """Return one that also hides these strings."""
        return Redactor([*self._secrets, *secrets])

    def joined(self, other: Redactor) -> Redactor:
        """Return one that hides what either of them hides, now and later."""
        return _Joined(self, other)

    def with_headers(self, headers: Mapping[str, str | None]) -> Redactor:
        """Return one that also hides the values of these headers that look sensitive."""
        secrets = list(self._secrets)
        for name, value in headers.items():
            if value and SENSITIVE_HEADER.search(name) and not PROTOCOL_HEADER.match(name):
                secrets += _credentials(value)
        return Redactor(secrets)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return a copy of a header mapping that can be shown."""
        return {
            name: HIDDEN if _is_sensitive(name) else self(value) for name, value in headers.items()
        }


class _Beginning:
    """Finds the beginning of a secret whose rest a cut has taken."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        # It consumes nothing, so that none is missed inside another.
        self._first = re.compile(f"(?={_any_form(secret[:BEGINNING])})")

    def at_the_end_of(self, text: str) -> int | None:
        """Give where it begins, or None."""
        earliest = max(0, len(text) - LONGEST_FORM * len(self._secret))
        starts = (found.start() for found in self._first.finditer(text, earliest))
        return next((start for start in starts if self._is_cut_off(text, start)), None)

    def _is_cut_off(self, text: str, start: int) -> bool:
        at = start
        for number, char in enumerate(self._secret):
            found = _form_of(char).match(text, at)
            if found is None:
                # What is left may be a half of a form ("%2" of "%2F"), or a quotation mark.
                rest = text[at:]
                return (
                    number >= BEGINNING and len(rest) < LONGEST_FORM and not re.search(r"\s", rest)
                )
            at = found.end()
        return False


class _Joined(Redactor):
    """Hides what two others hide."""

    def __init__(self, first: Redactor, second: Redactor) -> None:
        super().__init__()
        self._both = first, second

    def __call__(self, text: str) -> str:
        """Return the text without the secrets of either."""
        first, second = self._both
        return second(first(text))


def _is_sensitive(name: str) -> bool:
    if PROTOCOL_HEADER.match(name):
        return False
    return name.lower() not in ("www-authenticate",) and bool(SENSITIVE_HEADER.search(name))


def _any_form(secret: str) -> str:
    """Make a pattern for a string as it is and as URLs, JSON and HTML write it, even mixed."""
    return "".join(char if char in PLAIN else f"(?:{'|'.join(_forms(char))})" for char in secret)


@functools.lru_cache(maxsize=500)
def _form_of(char: str) -> re.Pattern[str]:
    return re.compile(_any_form(char))


def _forms(char: str) -> Iterator[str]:
    code = ord(char)
    yield re.escape(char)
    yield re.escape(html.escape(char))
    yield re.escape("\\" + char)
    yield rf"(?i:{re.escape(json.dumps(char)[1:-1])})"
    yield rf"(?i:\\u{code:04x}|\\U{code:08x}|\\x{code:02x}|&#x0*{code:x};|&#0*{code};)"
    yield "".join(f"(?i:%(?:25)*{byte:02x})" for byte in char.encode("utf-8", "surrogatepass"))
    if char == " ":
        yield r"\+"


def _credentials(value: str) -> Iterator[str]:
    """Find what is secret in a header's value: all of it, and its parts but for plain words."""
    yield value
    for piece in re.split(r"[\s;,]+", value):
        if piece.lower() in SCHEMES:
            continue
        # "name=value" of a cookie or parameter; a "=" at the end is the padding of base64.
        _, equals, parameter = piece.partition("=")
        secret = parameter.strip("\"'") if equals and parameter.strip("=") else piece
        yield secret
        yield secret.rstrip("=")
        if value[:6].lower() == "basic ":
            yield from _basic_pair(piece)


def _basic_pair(encoded: str) -> Iterator[str]:
    """Find user and password in the base64 of a Basic header."""
    try:
        pair = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return
    yield pair
    yield from pair.split(":", 1)
