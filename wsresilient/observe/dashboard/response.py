"""What is answered, and the headers that every answer has; pure.

The page may load from its own origin only, is framed by nobody, is kept in no cache and tells no
other site where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

from .request import RefusedRequestError

__all__ = ["HTML", "JSON", "TEXT", "Response", "refusal"]

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
HTML = "text/html; charset=utf-8"

_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

_ALWAYS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Response:
    """One answer.

    :ivar status: HTTP status.
    :ivar headers: besides those that every answer has.
    """

    status: int
    body: bytes
    content_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def head(self, *, at: float) -> bytes:
        """Write status line and headers, with the empty line that ends them.

        :param at: the wall clock, for the Date header.
        """
        fields = {
            "Date": formatdate(at, usegmt=True),
            "Content-Type": self.content_type,
            "Content-Length": str(len(self.body)),
            **_ALWAYS,
            **self.headers,
        }
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def refusal(error: RefusedRequestError) -> Response:
    """Answer a request that is refused, with a text for a person."""
    phrase = HTTPStatus(error.status).phrase
    body = f"{error.status} {phrase}\n{error.text}\n".encode()
    return Response(error.status, body, headers=error.headers)
