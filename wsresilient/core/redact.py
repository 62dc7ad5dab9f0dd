"""Keeps secrets out of whatever is shown: texts of servers, errors, logs, reprs.

Two nets: what looks like a secret anywhere (user info, query values, Authorization and
Cookie), and the very strings that this attempt sent, even when a server echoes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

__all__ = ["SENSITIVE_HEADER", "Redactor", "redact_text", "shorten"]

HIDDEN = "***"

#: Header names whose values are never shown.
SENSITIVE_HEADER = re.compile(
    r"auth|cookie|token|secret|key|signature|sign\b|passphrase|password|session", re.IGNORECASE
)
#: A Sec-WebSocket-* header is part of the protocol and holds no secret of the user.
PROTOCOL_HEADER = re.compile(r"sec-websocket-", re.IGNORECASE)

# Shorter strings are no secrets, and replacing them would make a text unreadable.
SHORTEST_SECRET = 4

_PATTERNS = (
    (re.compile(r"(?<=//)[^/\s@\"'<>]+@"), f"{HIDDEN}@"),
    (re.compile(r"([?&][^=&\s\"'<>#]{1,100}=)[^&\s\"'<>#]+"), rf"\1{HIDDEN}"),
    (
        re.compile(r"\b((?:proxy-)?authorization|(?:set-)?cookie)\b([\"']?\s*[:=]\s*)[^\r\n]+", re.I),
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
    """Hides the given strings, and what looks like a secret.

    :param secrets: the strings; those shorter than four characters are left alone.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for secret in secrets:
            if len(secret) >= SHORTEST_SECRET:
                forms.update((secret, quote(secret, safe=""), quote_plus(secret)))
        # The longest first, so that one secret inside another leaves no rest behind.
        self._secrets = tuple(sorted(forms, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return redact_text(text)

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._secrets)} strings>"

    def with_headers(self, headers: Mapping[str, str]) -> Redactor:
        """Return one that also hides the values of these headers that look sensitive."""
        secrets = list(self._secrets)
        for name, value in headers.items():
            if SENSITIVE_HEADER.search(name) and not PROTOCOL_HEADER.match(name):
                secrets.append(value)
                secrets += re.split(r"[\s;,=]+", value)
        return Redactor(secrets)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return a copy of a header mapping that can be shown."""
        return {
            name: HIDDEN if _is_sensitive(name) else self(value) for name, value in headers.items()
        }


def _is_sensitive(name: str) -> bool:
    if PROTOCOL_HEADER.match(name):
        return False
    return name.lower() not in ("www-authenticate",) and bool(SENSITIVE_HEADER.search(name))
