"""MEXC futures: one socket for every contract and, after a login, for what is private.

Sources: MEXC's futures documentation (2026-04) and a live probe (2026-09); what neither tells is
marked. Acknowledgements carry no id and no symbol, so that the first data of a topic confirms it
too; only our own ping keeps a connection, however much data flows. Its REST is in
``rest_mexc.py``.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Hashable, Sequence
from types import MappingProxyType
from typing import Any

from ..core.backoff import ReconnectPolicy
from ..core.credentials import Credentials
from ..core.encoding import decode_json, encode_json
from ..core.incoming import (
    Acknowledged,
    Answer,
    Data,
    Incoming,
    LoggedIn,
    LoginRefused,
    Pong,
    Refused,
    code_said,
    text_said,
)
from ..errors import ConfigurationError
from .base import (
    Heartbeat,
    Limits,
    Rate,
    SequenceNumbers,
    Venue,
    split_topic,
    with_default_path,
)
from .mexc_data import identity_of, sequence_of
from .mexc_topics import (
    CHANNELS,
    checked_topic,
    ended_together,
    is_private,
    params_of,
    same_stream,
    wire_topic,
)
from .rest_mexc import MEXCRest

__all__ = ["MEXC"]

_PATH = "/edge"
_URL = f"wss://contract.mexc.com{_PATH}"
_REST = "https://api.mexc.com"

_PUSH, _REPLY = "push.", "rs."
_NAMED_CONTRACT = re.compile(r"Contract \[([^\]\n]{1,80})\]")  # of the live probe
#: As older documentation has it, without a name: "Contract doesn't exist!".
_NO_CONTRACT = re.compile(r"contract (?:doesn't|does not|not) exist", re.IGNORECASE)
_NO_CONTRACT_CODE = 1001
#: Codes of MEXC's REST, should a refusal carry one: the clock; the key is not known, has expired,
#: is not for this address, or its signature is wrong; too many requests, or an error of theirs.
_CLOCK_CODE = 513
_WRONG_CREDENTIALS = frozenset({401, 402, 406, 602})
#: What MEXC's REST says with these codes; the socket may say it without one.
_FATAL_WORDS = ("unauthorized", "api_key expired", "not in the ip whitelist", "signature verif")
_PASSING_CODES = frozenset({500, 501, 510})
#: What a text says of an error that passes.
_PASSING_WORDS = ("too frequent", "busy", "try later", "try again later")
_GZIP = b"\x1f\x8b"
#: Bytes of an inflated message: the largest that is known (all tickers) has 350 KB.
_MOST_INFLATED = 1024 * 1024


class MEXC(Venue):
    """MEXC futures.

    Topics are "channel:symbol?parameter=value": "deal:BTC_USDT", "depth:BTC_USDT",
    "depth.full:BTC_USDT?limit=20", "kline:BTC_USDT?interval=Min60"; "tickers" and "contract" have
    no symbol. Private ones ("personal.order") come by themselves after the login. Topics that
    differ in ``compress``, ``limit`` or ``step`` alone cannot be on one connection, since their
    data does not tell them apart.

    :param url: one URL, or several in failover order, in place of MEXC's own. A URL without a
        path gets MEXC's.
    :param rest_url: base URL for REST in place of MEXC's own.
    :param heartbeat: in place of MEXC's own, a ping every 15 s.
    :param limits: in place of those that are known to work.
    """

    name = "mexc"
    channels = CHANNELS
    data_mark = '"channel":"push.'
    data_confirms = True
    # Data does not count: it closes whoever has not sent a ping for 60 s.
    heartbeat = Heartbeat(payload='{"method":"ping"}', interval=15.0)
    # MEXC publishes no caps. These are cautious: in the probe 150 requests at 20 a second passed.
    limits = Limits(
        topics_per_request=1,
        topics_per_connection=100,
        connections=10,
        messages=Rate(20, 1.0),
        idle=60.0,
    )
    # Its own ping finds a dead link; protocol pings would add nothing.
    settings = MappingProxyType({"ping_interval": 0.0, "stale_after": 60.0})

    def policy(self) -> ReconnectPolicy:
        """Be back soon: MEXC tells no limit of connects."""
        return ReconnectPolicy(max_delay=30.0)

    # Where.

    def urls(self, *, group: str | None = None, listen_key: str | None = None) -> tuple[str, ...]:
        """Give the URL."""
        if self._url is None:
            return (_URL,)
        return tuple(with_default_path(url, _PATH) for url in super().urls())

    @property
    def rest_url(self) -> str:
        """Base URL for REST."""
        return (self._rest_url or _REST).rstrip("/")

    @property
    def rest(self) -> MEXCRest:
        """How its REST speaks."""
        return MEXCRest()

    # Topics.

    def topic(self, channel: str, symbol: str | None = None, /, **parameters: Any) -> str:
        """Build a topic.

        >>> MEXC().topic("deal", "BTC_USDT")
        'deal:BTC_USDT'
        >>> MEXC().topic("depth", "BTC_USDT", compress=False)
        'depth:BTC_USDT?compress=false'
        >>> MEXC().topic("kline?interval=Min60", "BTC_USDT")
        'kline:BTC_USDT?interval=Min60'

        :raises ConfigurationError: there is no such channel, parameter or value, or the symbol
            is not one.
        """
        return checked_topic(super().topic(channel, symbol, **parameters))

    def checked(self, topic: Any) -> str:
        """Check a topic, or a pair (channel, symbol).

        :raises ConfigurationError: it is no topic of MEXC's.
        """
        return checked_topic(super().checked(topic))

    def covers(self, subscribed: str, received: Any) -> bool:
        """Tell whether channel and symbol are the same, and the parameters that a push names."""
        return same_stream(subscribed, received.topic)

    def ends_with(self, topic: str, other: str) -> bool:
        """Whether both are named by the same channel and symbol in the request that ends one."""
        return ended_together(topic, other)

    def wire_name(self, topic: str) -> str:
        """Name a topic by channel, symbol and interval, which is all that its pushes tell."""
        channel, symbol, parameters = split_topic(topic)
        return wire_topic(channel, symbol, parameters.get("interval"))

    def is_implicit(self, topic: str) -> bool:
        """Whether it is private: those come after the login without being asked for."""
        return is_private(topic)

    # Requests.

    def subscribe(self, topics: Sequence[str], request_id: int) -> str:
        """Make the request for one topic."""
        return _request("sub", topics)

    def unsubscribe(self, topics: Sequence[str], request_id: int) -> str:
        """Make the request that ends one topic."""
        return _request("unsub", topics)

    def tag(self, topic: str, *, subscribing: bool) -> str:
        """Name the method, which is all that an acknowledgement names."""
        channel = split_topic(topic)[0]
        return f"{'sub' if subscribing else 'unsub'}.{channel}"

    # Login.

    def login(self, credentials: Credentials, now: float) -> str:
        """Make the login request."""
        asked_at = str(int(now * 1000))
        signature = credentials.hex_signature(credentials.api_key + asked_at)
        param = {"apiKey": credentials.api_key, "reqTime": asked_at, "signature": signature}
        return encode_json({"method": "login", "param": param})

    # Answers.

    def decode(self, payload: str | bytes) -> Any:
        """Decode a message; a binary one may be gzip, which MEXC documents and does not send.

        :raises ValueError: it cannot be, or unpacks to more than 1 MiB.
        """
        if isinstance(payload, bytes) and payload.startswith(_GZIP):
            payload = _inflate(payload)
        return decode_json(payload)

    def read(self, message: Any) -> Incoming:
        """Tell what a message is.

        Without a code, a refused login cannot be told from another error: it is a Refused that
        names nothing.
        """
        channel = message.get("channel") if isinstance(message, dict) else None
        if not isinstance(channel, str):
            return Answer()
        if channel.startswith(_PUSH):
            return _read_push(channel.removeprefix(_PUSH), message)
        if channel == "pong":
            return Pong()
        if channel.startswith(_REPLY):
            return _read_reply(channel.removeprefix(_REPLY), message)
        return Answer()

    # Data.

    def identity(self, message: Any) -> Hashable | None:
        """Name a message by its trades, its candle, its version or its order."""
        return identity_of(message)

    def sequence(self, message: Any) -> SequenceNumbers | None:
        """Give the versions that a change of the order book covers."""
        return sequence_of(message)


def _request(verb: str, topics: Sequence[str]) -> str:
    if len(topics) != 1:
        raise ConfigurationError(
            f"{len(topics)} topics are in one request; MEXC takes one: limits needs "
            "topics_per_request=1"
        )
    channel, symbol, parameters = split_topic(topics[0])
    request: dict[str, Any] = {"method": f"{verb}.{channel}"}
    param = params_of(channel, symbol, parameters, subscribing=verb == "sub")
    if param is not None:
        request["param"] = param
    return encode_json(request)


def _read_push(channel: str, message: dict[str, Any]) -> Data:
    data = message.get("data")
    row = data if isinstance(data, dict) else {}
    symbol = message.get("symbol", row.get("symbol"))
    symbol = symbol if isinstance(symbol, str) else None
    interval = row.get("interval") if channel == "kline" else None
    interval = interval if isinstance(interval, str) else None
    return Data(wire_topic(channel, symbol, interval), channel, symbol, data)


def _read_reply(method: str, message: dict[str, Any]) -> Incoming:
    data = message.get("data")
    accepted = data == "success"
    if method == "login":
        return LoggedIn() if accepted else _login_refused(message)
    if method.startswith(("sub.", "unsub.")) and accepted:
        return Acknowledged(tag=method)
    if method != "error" and not method.startswith(("sub.", "unsub.")):
        return Answer()
    code, text = _code_and_text(message)
    if method == "error" and (_is_final(code, text) or code == _CLOCK_CODE):
        return _login_refused(message)
    named = _NAMED_CONTRACT.search(text)
    return Refused(
        code=code,
        text=text,
        temporary=_is_passing(code, text),
        symbol=named[1] if named else None,
        of_topic=code == _NO_CONTRACT_CODE or _NO_CONTRACT.search(text) is not None,
    )


def _login_refused(message: dict[str, Any]) -> LoginRefused:
    code, text = _code_and_text(message)
    is_final, is_clock = _is_final(code, text), code == _CLOCK_CODE
    return LoginRefused(
        code=code,
        text=text,
        final=is_final,
        # What is not known may pass: once more.
        retries=None if is_final or is_clock or _is_passing(code, text) else 1,
        clock=is_clock,
    )


def _is_final(code: int | None, text: str) -> bool:
    lowered = text.lower()
    return code in _WRONG_CREDENTIALS or any(word in lowered for word in _FATAL_WORDS)


def _is_passing(code: int | None, text: str) -> bool:
    lowered = text.lower()
    return code in _PASSING_CODES or any(word in lowered for word in _PASSING_WORDS)


def _code_and_text(message: dict[str, Any]) -> tuple[int | None, str]:
    """Find them wherever MEXC may put them; only the text as ``data`` has been seen."""
    data = message.get("data")
    holder = data if isinstance(data, dict) else message
    code = code_said(holder.get("code"))
    text = data if isinstance(data, str) else holder.get("message", holder.get("msg"))
    return code if isinstance(code, int) else None, text_said(text)


def _inflate(payload: bytes) -> bytes:
    # max_size and queue_bytes have counted the packed bytes, so that this needs its own bound.
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(payload, _MOST_INFLATED)
    except zlib.error as error:
        raise ValueError(f"the binary message is no gzip: {error}") from None
    if not inflater.eof:
        raise ValueError(
            f"the gzip message of {len(payload):,} bytes is cut short, or unpacks to more than "
            f"{_MOST_INFLATED:,} bytes, which is refused: MEXC has never been seen to send gzip"
        )
    return inflated
