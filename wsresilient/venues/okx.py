"""OKX v5: its public, private and business URLs.

After https://www.okx.com/docs-v5/en/ as of 2026. Channels and the numbers in pushes each have a
module beside this one.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..config import check_choice, unknown_name
from ..core.backoff import ReconnectPolicy
from ..core.credentials import Credentials
from ..core.encoding import encode_json
from ..core.incoming import (
    Acknowledged,
    Answer,
    Data,
    Incoming,
    LoggedIn,
    LoginRefused,
    Notice,
    Pong,
    Refused,
    code_said,
    text_said,
)
from ..errors import ConfigurationError
from . import okx_channels, okx_events
from .base import (
    Heartbeat,
    Limits,
    Rate,
    SequenceNumbers,
    Venue,
    split_topic,
    with_default_path,
)
from .rest_okx import OKXRest

__all__ = ["OKX"]

ENVIRONMENTS = ("live", "demo", "testnet")

#: In failover order; the second one of "live" is OKX's on AWS.
_SERVERS = {
    "live": ("wss://ws.okx.com:8443", "wss://wsaws.okx.com:8443"),
    "demo": ("wss://wspap.okx.com:8443",),
}
_REST_URL = "https://www.okx.com"

#: The group of connections that need a login on /public and /business.
_PRIVATE = "private"

_LIMITS = Limits(
    topics_per_request=100,
    request_size=64 * 1024,
    # Requests are counted, not topics; hence many topics in each.
    requests=Rate(480, 3600.0),
    connects=Rate(3, 1.0),
    idle=30.0,
)

# The text ping keeps the connection and finds a dead link, so there are no protocol pings. No age
# limit is documented, and the end is announced (notice 64008): no planned reconnects.
_SHARED_SETTINGS = {"ping_interval": 0.0, "max_age": None}
_SETTINGS = {
    # An order book in which nothing changes is sent about every 60 s.
    "public": MappingProxyType({**_SHARED_SETTINGS, "stale_after": 90.0}),
    # Candles of a quiet instrument pause for longer.
    "business": MappingProxyType({**_SHARED_SETTINGS, "stale_after": 120.0}),
    # An account may do nothing for days.
    "private": MappingProxyType({**_SHARED_SETTINGS, "stale_after": None}),
}

#: Wrong key, signature or passphrase; no such key; an address that the key is not for.
_WRONG_CREDENTIALS = frozenset({"60005", "60007", "60024", "60032", "50110"})
_WRONG_CLOCK = frozenset({"60004", "60006"})
#: The login failed, and the reason is not told.
_UNSPECIFIC = frozenset({"60009", "60022"})
_LOGIN_CODES = _WRONG_CREDENTIALS | _WRONG_CLOCK | _UNSPECIFIC
#: Too many requests, too many logins, an error of theirs; those that begin with 5 are REST's.
_TEMPORARY = frozenset(
    {
        *("60014", "60023", "63999", "64007"),
        *("50001", "50004", "50011", "50013", "50026", "50040", "50061"),
    }
)

#: How an error names the topic that it is about.
_NAMED = re.compile(r"\bchannel:\s*(?P<channel>[\w-]+)(?P<others>(?:\s*,\s*\w+:\s*[\w-]+)*)")


class OKX(Venue):
    """OKX v5.

    A topic is "channel:instrument", with parameters behind it where there are some:
    "tickers:BTC-USDT", "orders?instType=ANY". On /public and /business the few channels that need
    a login are the group "private", on a connection of their own.

    :param channel_type: "public" (market data), "private" (orders, account, positions) or
        "business" (candles, all trades, algo orders).
    :param environment: "live" or "demo"; "testnet" is another name for demo.
    :param url: as for :class:`Venue`. A URL without a path, such as OKX's regional
        "wss://wseea.okx.com:8443", gets OKX's own.
    :raises ConfigurationError: there is no such channel type or environment.
    """

    name = "okx"
    data_mark = '"data":['
    # The answer to a request of the user's (an order) carries data too.
    control_marks = ('"op":"',)
    # 4007: the key was changed or deleted.
    fatal_close_codes = frozenset({4007})
    heartbeat: Heartbeat | None = Heartbeat(
        payload="ping", interval=20.0, timeout=10.0, when="silent"
    )
    limits = _LIMITS

    def __init__(
        self,
        channel_type: str = "public",
        environment: str = "live",
        *,
        url: str | Sequence[str] | None = None,
        rest_url: str | None = None,
        heartbeat: Heartbeat | None = None,
        limits: Limits | None = None,
    ) -> None:
        check_choice("channel_type", channel_type, okx_channels.CHANNEL_TYPES)
        check_choice("environment", environment, ENVIRONMENTS)
        self.channel_type = channel_type
        self.environment = "demo" if environment == "testnet" else environment
        self.channels = okx_channels.channels_of(channel_type)
        self.settings = _SETTINGS[channel_type]
        super().__init__(url=url, rest_url=rest_url, heartbeat=heartbeat, limits=limits)

    def __repr__(self) -> str:
        return f"OKX({self.channel_type!r}, {self.environment!r})"

    def policy(self) -> ReconnectPolicy:
        """Make the policy that suits OKX: 3 connects a second are allowed."""
        return ReconnectPolicy(initial_delay=1.0, max_delay=30.0)

    def settings_for(self, *, group: str | None = None) -> Mapping[str, Any]:
        """Give the settings that suit a connection; a private one is never stale."""
        return _SETTINGS["private"] if group == _PRIVATE else self.settings

    # Where.

    def urls(self, *, group: str | None = None, listen_key: str | None = None) -> tuple[str, ...]:
        """Give the URLs, in failover order."""
        bases = _SERVERS[self.environment] if self._url is None else super().urls()
        return tuple(with_default_path(base, f"/ws/v5/{self.channel_type}") for base in bases)

    @property
    def rest_url(self) -> str:
        """Base URL for REST without a slash at the end; demo has the same as live."""
        return (self._rest_url or _REST_URL).rstrip("/")

    @property
    def rest(self) -> OKXRest:
        """How its REST speaks."""
        return OKXRest(demo=self.environment == "demo")

    # Topics.

    def topic(self, channel: str, symbol: str | None = None, /, **parameters: Any) -> str:
        """Build a topic.

        >>> OKX().topic("tickers", "BTC-USDT")
        'tickers:BTC-USDT'
        >>> OKX("private").topic("orders", None, instType="ANY")
        'orders?instType=ANY'

        :param channel: "tickers", "books5", "candle1m".
        :param symbol: the instrument ("BTC-USDT-SWAP"), or of a "sprd-" channel the spread.
        :param parameters: instType, instFamily, ccy, ... as OKX names them; bar for candles.
        :raises ConfigurationError: there is no such channel here, its instrument is missing or
            none, or a parameter is unknown.
        """
        if not isinstance(channel, str):
            raise unknown_name("channel", str(channel), self.channels)
        channel, own_symbol, given = split_topic(channel)
        symbol = own_symbol if symbol is None else symbol
        return okx_channels.build(self.channel_type, channel, symbol, {**given, **parameters})

    def checked(self, topic: Any) -> str:
        """Check a topic and write it in the one way that all others are written."""
        return self.topic(super().checked(topic))

    def group_of(self, topic: str) -> str | None:
        """Tell whether a topic needs a login where others need none."""
        if self.channel_type == "private":
            return None
        return _PRIVATE if okx_channels.needs_login(topic) else None

    def is_private(self, topic: str) -> bool:
        """Whether a topic needs a login, as all of /private do."""
        return self.channel_type == "private" or okx_channels.needs_login(topic)

    def covers(self, subscribed: str, received: Any) -> bool:
        """Tell whether a push belongs to a subscription that names less than the push does."""
        channel, symbol, parameters = split_topic(subscribed)
        pushed_channel, pushed_symbol, pushed = split_topic(received.topic)
        if channel != pushed_channel or (symbol is not None and symbol != pushed_symbol):
            return False
        return all(
            value == "ANY" or pushed.get(name, value) == value for name, value in parameters.items()
        )

    # Requests.

    def subscribe(self, topics: Sequence[str], request_id: int) -> str:
        """Make the request for these topics."""
        return _request("subscribe", topics, request_id)

    def unsubscribe(self, topics: Sequence[str], request_id: int) -> str:
        """Make the request that ends these topics."""
        return _request("unsubscribe", topics, request_id)

    # Login.

    def needs_login(self, *, group: str | None = None) -> bool:
        """Whether it is the private URL, or the group of channels that need a login."""
        return self.channel_type == "private" or group == _PRIVATE

    def check_credentials(self, credentials: Credentials) -> None:
        """Check that there is a passphrase.

        :raises ConfigurationError: there is none.
        """
        if credentials.passphrase is None:
            raise ConfigurationError(
                "passphrase is None; OKX asks for the one that was chosen with the API key: "
                "write Credentials(api_key, secret, passphrase)"
            )

    def login(self, credentials: Credentials, now: float) -> str:
        """Make the login request; it is good for 30 seconds.

        :raises ConfigurationError: there is no passphrase.
        """
        self.check_credentials(credentials)
        timestamp = str(int(now))
        argument = {
            "apiKey": credentials.api_key,
            "passphrase": credentials.passphrase,
            "timestamp": timestamp,
            "sign": credentials.base64_signature(f"{timestamp}GET/users/self/verify"),
        }
        return encode_json({"op": "login", "args": [argument]})

    # Answers and data.

    def decode(self, payload: str | bytes) -> Any:
        """Decode a message; "pong" is no JSON and stays what it is."""
        return "pong" if payload == "pong" or payload == b"pong" else super().decode(payload)

    def read(self, message: Any) -> Incoming:
        """Tell what a message is."""
        if message == "pong":
            return Pong()
        if not isinstance(message, dict):
            return Answer()
        argument = message.get("arg")
        event = message.get("event")
        if event is None and isinstance(argument, dict) and "data" in message:
            return _read_push(argument, message["data"])
        return _read_event(event, message) if isinstance(event, str) else Answer(_id_of(message))

    def with_id(self, request: dict[str, Any], request_id: int) -> tuple[dict[str, Any], Hashable]:
        """Give a user's request an id, unless it has one."""
        own = _id_of(request)
        return (
            (request, own) if own is not None else ({**request, "id": str(request_id)}, request_id)
        )

    def answer_id(self, message: Any) -> Hashable:
        """Give the id that an answer carries, as a number where it is one, or None."""
        return _id_of(message) if isinstance(message, dict) else None

    def identity(self, message: Any) -> Hashable | None:
        """Name a push by its trades, its book or its candle; None: it has no name."""
        return okx_events.identity(message.channel, message.data)

    def sequence(self, message: Any) -> SequenceNumbers | None:
        """Give the numbers of trades and of books that come as differences."""
        return okx_events.sequence(message.channel, message.symbol, message.data)


def _request(operation: str, topics: Sequence[str], request_id: int) -> str:
    arguments = [okx_channels.argument_of(topic) for topic in topics]
    return encode_json({"id": str(request_id), "op": operation, "args": arguments})


def _id_of(message: dict[str, Any]) -> int | str | None:
    given = message.get("id")
    if isinstance(given, str):
        is_ours = given.isascii() and given.isdecimal() and len(given) < 20
        return int(given) if is_ours else given or None
    return given if isinstance(given, int) else None


def _read_push(argument: dict[str, Any], rows: Any) -> Incoming:
    topic = okx_channels.topic_of(argument)
    if topic is None:
        return Answer()
    channel, symbol, _ = split_topic(topic)
    if symbol is None and isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], dict):
        named = rows[0].get("instId")
        symbol = named if isinstance(named, str) and named else None
    return Data(topic, channel, symbol, rows)


def _read_event(event: str, message: dict[str, Any]) -> Incoming:
    said, text = code_said(message.get("code")), text_said(message.get("msg"))
    code = "" if said is None else str(said)  # a number is one too, and 0 is "accepted"
    if event in ("subscribe", "unsubscribe"):
        argument = message.get("arg")
        topic = okx_channels.topic_of(argument) if isinstance(argument, dict) else None
        return Acknowledged(_id_of(message), () if topic is None else (topic,))
    if event == "login":
        return LoggedIn() if code == "0" else _login_refused(code, text)
    if event == "error":
        return _read_error(code, text, _id_of(message))
    if event == "notice":
        return Notice(f"code {code or 'unknown'}: {text}", reconnect=code == "64008")
    if event == "channel-conn-count":
        count, channel = code_said(message.get("connCount")), code_said(message.get("channel"))
        return Notice(f"{count} connections of this account have the channel {channel!r}")
    if event == "channel-conn-count-error":
        return _too_many_connections(message)
    return Answer(_id_of(message))


def _read_error(code: str, text: str, request_id: Hashable) -> Incoming:
    if code in _LOGIN_CODES or (code == "63999" and "login" in text.lower()):
        return _login_refused(code, text)
    named = _NAMED.search(text)
    topics = () if named is None else (_named_topic(named),)
    return Refused(
        request_id,
        topics,
        code or None,
        text,
        # A request that is wrong fails as a whole; a topic that does not exist fails alone.
        whole_request=not topics,
        temporary=code in _TEMPORARY,
    )


def _named_topic(named: re.Match[str]) -> str:
    argument = {"channel": named["channel"]}
    for pair in named["others"].split(",")[1:]:
        name, _, value = pair.partition(":")
        argument[name.strip()] = value.strip()
    return okx_channels.topic_of(argument) or named["channel"]


def _login_refused(code: str, text: str) -> LoginRefused:
    is_final, is_clock = code in _WRONG_CREDENTIALS, code in _WRONG_CLOCK
    return LoginRefused(
        code or None,
        text,
        final=is_final,
        # 60009 and what is not in the table: once more, since the reason may pass.
        retries=None if is_final or is_clock or code in _TEMPORARY else 1,
        clock=is_clock,
    )


def _too_many_connections(message: dict[str, Any]) -> Refused:
    """The channel was acknowledged before; the account has it on too many connections."""
    channel, count = message.get("channel"), code_said(message.get("connCount"))
    named = code_said(channel)
    return Refused(
        text=f"the account has the channel {named!r} on too many connections ({count})",
        channel=channel if isinstance(channel, str) else None,
    )
