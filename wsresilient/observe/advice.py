"""What to do: for each cause of a trouble the sentence that helps. Tables, and the choice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ..core.closing import CODE_NAMES
from ..core.history import Outage

__all__ = ["MOVE_WORK", "advise_cause", "advise_outages", "describe_causes"]

MOVE_WORK = (
    "Move the work off the handler: let it put the message into a queue.Queue and return, and "
    "do the work on a thread of your own."
)

LIMITS = (
    "The server enforces a limit: open fewer connections at a time, send fewer requests "
    "(send_rate), subscribe fewer topics on each connection, and let the delays grow "
    "(ReconnectPolicy(initial_delay=..., max_delay=...))."
)

_LIMIT_TEXT = re.compile(
    r"too many|rate.?limit|limit.{0,20}(exceed|reach)|exceed|quota|throttl|\b(418|429)\b|ip ban",
    re.IGNORECASE,
)
_CLOCK_TEXT = re.compile(r"timestamp|recv.?window|expired|clock", re.IGNORECASE)

_BY_CODE = {
    1000: "The server closes in good order: look in its documentation for an idle limit, a "
    "heartbeat that it expects, or a subscription that must follow the connect.",
    1001: "The server goes away or restarts: nothing to change here; a second url helps when it "
    "stays away.",
    1003: "The server does not accept what was sent: check the messages that are sent.",
    1007: "The server does not accept what was sent: check the messages that are sent.",
    1008: LIMITS,
    1009: "A message that was sent is too large for the server: send smaller ones.",
    1011: "The server has an internal error: give it time, and tell its operator if it goes on.",
    1012: "The server goes away or restarts: nothing to change here; a second url helps when it "
    "stays away.",
    1013: "The server is overloaded: let the delays grow (ReconnectPolicy(initial_delay=..., "
    "max_delay=...)), or use another url.",
    1014: "A gateway before the server does not reach it: give it time, or use another url.",
}

_BY_KIND = {
    "network": "Check that the host and port are right, that the server runs, and what lies "
    "between: firewall, VPN, NAT, Wi-Fi. A second url helps when one server is down.",
    "name": "The host name has no address: check its spelling, the DNS server of this machine, "
    "and whether the machine is on the network at all.",
    "timeout": "The server does not answer in time: check firewall and proxy, which may drop "
    "packets silently; raise open_timeout if the way is slow.",
    "ping": "The link dies silently, as NAT, firewalls and VPNs let idle ones: use a shorter "
    "ping_interval (below their idle limit), or raise ping_timeout if the way is slow.",
    "stalled": "Connections stay up and bring no data: check that the subscription is valid and "
    "sent after every reconnect (on_open), and raise stale_after if such silence is normal.",
    "tls": "TLS fails: check the clock of this machine, its certificates (give your own by "
    "ssl_context), and that the host name is the one in the certificate.",
    "proxy": "The proxy does not let the connection through: check its address and credentials "
    '(proxy=, or http_proxy and https_proxy of the environment); proxy="direct" goes without.',
    "handshake": "The server answers, but not with a WebSocket: check the path of the url, its "
    "parameters and the headers.",
    "authentication": "The credentials are refused: check the key, its permissions and address "
    "list, and that key and url belong to the same environment (live or test); a callable for "
    "url, headers or auth can give fresh ones.",
    "protocol": "The server, or a box on the way, breaks the protocol: try without compression "
    "and without a proxy; report it to the operator of the server.",
    "too_big": "Messages are larger than max_size: raise it, or subscribe smaller topics.",
    "closed": "The server closes: look up the code and the reason in its documentation.",
    "configuration": "A url, headers or auth function of yours raises: its error is in the log.",
    "rotation": "After planned rotations the next connection does not come at once: the server may "
    "limit connects; the errors in the log say why.",
    "requested": "Your program calls reconnect(): once is enough, the library retries by itself.",
}

_UNKNOWN = "Look at the errors in the log of the program that owns this connection."


def advise_cause(
    kind: str | None, text: str, close_code: int | None = None, *, is_handler_slow: bool = False
) -> str:
    """Say what helps against one cause.

    :param kind: the value of a :class:`~wsresilient.core.failure.FailureKind`, "reported", or
        None: it is not known.
    :param text: what the server or the system said.
    :param is_handler_slow: whether a handler takes too long at the same time.
    """
    if kind == "ping" and is_handler_slow:
        return f"A slow handler keeps the pong from being read. {MOVE_WORK}"
    if kind == "authentication" and _CLOCK_TEXT.search(text):
        return (
            "The server finds the request too old or too new: set the clock of this machine (NTP)."
        )
    if kind in ("closed", "handshake", "reported", None) and _LIMIT_TEXT.search(text):
        return LIMITS
    if kind == "closed" and close_code in _BY_CODE:
        return _BY_CODE[close_code]
    return _BY_KIND.get(kind or "", _UNKNOWN)


def advise_outages(outages: Sequence[Outage], *, is_handler_slow: bool) -> str:
    """Say what helps against the cause that most of some outages began with."""
    causes = Counter((outage.kind, outage.close_code) for outage in outages)
    if not causes:
        return _UNKNOWN
    (kind, close_code), _ = causes.most_common(1)[0]
    texts = " ".join(
        outage.text for outage in outages if (outage.kind, outage.close_code) == (kind, close_code)
    )
    return advise_cause(kind, texts, close_code, is_handler_slow=is_handler_slow)


def describe_causes(outages: Sequence[Outage]) -> str:
    """Count the causes of outages: "5 x closed with 1008 (policy violation), 2 x network"."""
    causes = Counter(_cause(outage) for outage in outages)
    return ", ".join(f"{count} x {cause}" for cause, count in causes.most_common(4))


def _cause(outage: Outage) -> str:
    if outage.kind != "closed" or outage.close_code is None:
        return outage.kind
    name = CODE_NAMES.get(outage.close_code)
    return f"closed with {outage.close_code}" + (f" ({name})" if name else "")
