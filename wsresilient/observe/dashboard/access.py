"""Who may look: the Host header and the token, as decisions over a request; pure.

A page of another site that has its name resolve to this machine (DNS rebinding) still says its
own name in Host, so only known names are answered. A browser that came once with ``?token=`` gets
a cookie instead, which is made from the token and does not contain it.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass, field

from .request import RefusedRequestError, Request
from .response import TEXT, Response

__all__ = ["Access", "host_of", "is_address"]

#: What this machine calls itself; no other site has these names.
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_UNAUTHORISED = (
    "This dashboard needs its token: open it as /?token=..., or send the header "
    "Authorization: Bearer ..."
)


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one dashboard.

    :ivar hosts: names and addresses that Host may say, in lower case, besides loopback's.
    :ivar any_address: whether it may be any IP address: bound to all of them, one cannot know
        which. No address can be rebound, only a name.
    :ivar token: None: everybody may look.
    :ivar cookie: the cookie's name; cookies of one machine's ports are not kept apart.
    """

    hosts: frozenset[str] = frozenset()
    any_address: bool = False
    token: str | None = field(default=None, repr=False)
    cookie: str = "wsresilient"

    def admit(self, request: Request) -> Response | None:
        """Let a request in.

        :returns: None to go on, or the answer that turns ``/?token=`` into a cookie.
        :raises RefusedRequestError: 403 for the Host header, 401 for the token.
        """
        self._check_host(request.headers["host"])
        if self.token is None:
            return None
        if not self._knows_token(request, self.token):
            raise RefusedRequestError(
                401, _UNAUTHORISED, headers={"WWW-Authenticate": 'Bearer realm="wsresilient"'}
            )
        # A person typed it: it must not stay in the address bar and the browser's history.
        is_typed = request.path == "/" and "token" in request.query
        return self._turn_into_cookie(self.token) if is_typed else None

    def _check_host(self, header: str) -> None:
        name = host_of(header)
        is_known = name in LOOPBACK_NAMES or name in self.hosts
        if not is_known and not (self.any_address and is_address(name)):
            raise RefusedRequestError(
                403, "The Host header says a name that this dashboard is not known by."
            )

    def _knows_token(self, request: Request, token: str) -> bool:
        return _is_same(_given_token(request), token) or _is_same(
            self._given_cookie(request), _cookie_value(token)
        )

    def _turn_into_cookie(self, token: str) -> Response:
        # Lax, not Strict: a browser that follows a link from elsewhere must send it after the
        # redirect. Nothing here changes state, so nothing can be forged with it.
        cookie = f"{self.cookie}={_cookie_value(token)}; Path=/; HttpOnly; SameSite=Lax"
        return Response(303, b"", TEXT, {"Location": "./", "Set-Cookie": cookie})

    def _given_cookie(self, request: Request) -> str:
        # Not http.cookies: it gives up on all when another program's cookie is not to its taste.
        for pair in request.headers.get("cookie", "").split(";"):
            name, _, value = pair.partition("=")
            if name.strip() == self.cookie:
                return value.strip()
        return ""


def _cookie_value(token: str) -> str:
    key = token.encode()
    return hmac.new(key, b"wsresilient dashboard cookie", hashlib.sha256).hexdigest()


def _given_token(request: Request) -> str:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return request.query.get("token", "")


def _is_same(given: str, expected: str) -> bool:
    """Compare in a time that does not tell how much of it is right."""
    return hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass")
    )


def host_of(header: str) -> str:
    """Take the name out of a Host header: without port and brackets, in lower case.

    >>> host_of("LocalHost:8765"), host_of("[::1]:80"), host_of("nonsense:port")
    ('localhost', '::1', '')
    """
    name, port = header, ""
    if header.startswith("["):
        name, bracket, port = header[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            return ""
        port = port[1:]
    elif ":" in header:
        name, _, port = header.partition(":")
    return name.lower().removesuffix(".") if not port or port.isdecimal() else ""


def is_address(name: str) -> bool:
    """Tell whether it is an IP address and no name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
