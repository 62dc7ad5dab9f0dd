"""A venue from a user's functions, for an exchange that the library does not know.

It checks what the functions return and turns it into what the session understands. Of the
exchange it knows nothing; where the functions are not enough, a subclass of
:class:`~wsresilient.venues.Venue` says the rest.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from ..config import ConnectionConfig, check_callable, check_seconds, unknown_name
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
)
from ..errors import ConfigurationError, SubscriptionError
from .base import Heartbeat, Limits, Venue, split_topic

__all__ = ["Custom"]

#: What every request is tagged with: an acknowledgement without an id is the oldest one's.
_TAG = "request"
#: Longer numbers are no ids of ours.
_LONGEST_ID = 18
_READ = (Acknowledged, Answer, Data, LoggedIn, LoginRefused, Notice, Pong, Refused)


class _PongText:
    """Stands for the text of a pong, which is no JSON."""


_PONG_TEXT = _PongText()


class Custom(Venue):
    """An exchange, described by functions.

    A function may return, in place of a message to send, a str, a dict (sent as JSON), or bytes
    that hold UTF-8 text. What a function raises while a message is read is counted and told as
    an error of that message; the stream goes on.

    :param subscribe: ``(topics) -> message`` or ``(topics, request_id) -> message``: the request
        for a list of topics. request_id is a number that no other request has.
    :param unsubscribe: the same for the request that ends topics.
    :param topic_of: ``(message) -> topic``: of which topic a decoded message is: a str, or the
        pair (channel, symbol), or None where it is no data.
    :param ack_of: ``(message) -> answer``: what a message acknowledges: a request_id; a topic or
        several; True, the oldest request; a SubscriptionError (returned, with its topic if there
        is one), which refuses; None or False, nothing; or any value of
        ``wsresilient.core.incoming``. Without it, what was sent counts as confirmed.
    :param heartbeat: a :class:`Heartbeat`, or the pair (message, seconds): sent every so often.
        The message may be a function of its number.
    :param pong: the text that answers a heartbeat, or ``(message) -> bool``; None: pongs count as
        messages that nobody asked for.
    :param login: ``(credentials, now) -> message``: the login, made anew at every attempt; now is
        the wall clock in seconds. With it, a connection needs ``auth``.
    :param login_of: ``(message) -> answer``: True, logged in; a str that says why not; None or
        False, not about the login; or a LoginRefused, which says more.
    :param data_of: ``(message) -> payload``: what ``Message.data`` holds; None: the whole message.
    :param decode: ``(payload) -> message``; None: JSON.
    :param make_topic: ``(channel, symbol, **parameters) -> topic`` for a notation of its own;
        None: "channel:symbol?name=value".
    :param channels: the channels that there are; empty: any.
    :param id_field: the field of requests and answers that holds an id, for ``request()``.
    :param settings: settings of a connection that suit it, as a mapping.
    :param name: its name, in texts.
    :param url: one URL, or several in failover order.
    :param rest_url: base URL for REST.
    :param limits: what the exchange allows; None: one topic in a request, which every exchange
        takes, and no other limit.
    :raises ConfigurationError: an argument is not what it has to be.
    """

    def __init__(
        self,
        subscribe: Callable[..., Any],
        unsubscribe: Callable[..., Any],
        topic_of: Callable[[Any], Any],
        *,
        ack_of: Callable[[Any], Any] | None = None,
        heartbeat: Heartbeat | tuple[Any, float] | None = None,
        pong: str | Callable[[Any], Any] | None = None,
        login: Callable[[Credentials, float], Any] | None = None,
        login_of: Callable[[Any], Any] | None = None,
        data_of: Callable[[Any], Any] | None = None,
        decode: Callable[[str | bytes], Any] | None = None,
        make_topic: Callable[..., Any] | None = None,
        channels: Sequence[str] = (),
        id_field: str | None = None,
        settings: Mapping[str, Any] | None = None,
        name: str = "custom",
        url: str | Sequence[str] | None = None,
        rest_url: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        _check_functions(subscribe=subscribe, unsubscribe=unsubscribe, topic_of=topic_of)
        _check_optional(ack_of=ack_of, data_of=data_of, decode=decode, make_topic=make_topic)
        _check_login(login=login, login_of=login_of)
        _check_texts(name, pong)
        super().__init__(
            url=url,
            rest_url=rest_url,
            heartbeat=_checked_heartbeat(heartbeat),
            limits=Limits(topics_per_request=1) if limits is None else limits,
        )
        self.name = name
        self.channels = _checked_channels(channels)
        self.settings = _checked_settings({} if settings is None else settings)
        self.acknowledges = ack_of is not None
        self._takes_id = _takes_id(subscribe)
        self._subscribe, self._unsubscribe = _with_id(subscribe), _with_id(unsubscribe)
        self._topic_of, self._ack_of, self._data_of = topic_of, ack_of, data_of
        self._login, self._login_of = login, login_of
        self._pong, self._decode = pong, decode
        self._make_topic = make_topic
        self._id_field = id_field

    def __repr__(self) -> str:
        return f"Custom({self.name!r})"

    # Topics.

    def topic(self, channel: str, symbol: str | None = None, /, **parameters: Any) -> str:
        """Build a topic, with ``make_topic`` where there is one.

        :raises ConfigurationError: there is no such channel.
        """
        plain, inner, given = split_topic(channel)
        self._check_channel(plain)
        if self._make_topic is None:
            return super().topic(channel, symbol, **parameters)
        symbol = inner if symbol is None else symbol
        made = self._make_topic(plain, symbol, **{**given, **parameters})
        if not isinstance(made, str) or not made:
            raise _refuse("what make_topic() returned", made, "a str that is not empty")
        return made

    def checked(self, topic: Any) -> str:
        """Check a topic, or a pair (channel, symbol).

        :raises ConfigurationError: it is no topic, or there is no such channel.
        """
        text = super().checked(topic)
        if self._make_topic is None:
            self._check_channel(split_topic(text)[0])
        return text

    def _check_channel(self, channel: str) -> None:
        for known in self.channels:
            # One that ends in a sign ("kline_") goes on with a parameter.
            if channel == known or (not known[-1].isalnum() and channel.startswith(known)):
                return
        if self.channels:
            raise unknown_name(f"channel of {self.name}", channel, self.channels)

    # Requests.

    def subscribe(self, topics: Sequence[str], request_id: int) -> str:
        """Make the request for these topics.

        :raises ConfigurationError: the function returned no message, or several.
        """
        return _as_text("subscribe()", self._subscribe(list(topics), request_id))

    def unsubscribe(self, topics: Sequence[str], request_id: int) -> str:
        """Make the request that ends these topics.

        :raises ConfigurationError: the function returned no message, or several.
        """
        return _as_text("unsubscribe()", self._unsubscribe(list(topics), request_id))

    def tag(self, topic: str, *, subscribing: bool) -> str | None:
        """Tag all requests alike: an answer that names none of them is the oldest one's."""
        return _TAG if self.acknowledges else None

    # Login.

    def needs_login(self, *, group: str | None = None) -> bool:
        """Whether there is a login."""
        return self._login is not None

    def login(self, credentials: Credentials, now: float) -> str | None:
        """Make the login request, or None."""
        return None if self._login is None else _as_text("login()", self._login(credentials, now))

    # Answers.

    def decode(self, payload: str | bytes) -> Any:
        """Decode a message.

        :raises ValueError: it cannot be.
        :raises Exception: whatever the user's function raises.
        """
        if isinstance(self._pong, str):
            text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
            if text == self._pong:
                return _PONG_TEXT
        return super().decode(payload) if self._decode is None else self._decode(payload)

    def read(self, message: Any) -> Incoming:
        """Tell what a message is.

        :raises ConfigurationError: a function returned something that it must not.
        :raises Exception: whatever the user's functions raise.
        """
        if message is _PONG_TEXT or (callable(self._pong) and self._pong(message)):
            return Pong()
        control = self._read_login(message) or self._read_ack(message)
        if control is not None:
            return control
        topic = self._topic_of(message)
        if topic is None:
            return Answer(self.answer_id(message))
        data = message if self._data_of is None else self._data_of(message)
        return self._data(topic, data)

    def _read_login(self, message: Any) -> Incoming | None:
        verdict = None if self._login_of is None else self._login_of(message)
        if verdict is None or verdict is False:
            return None
        if isinstance(verdict, _READ):
            return verdict
        if verdict is True:
            return LoggedIn()
        if isinstance(verdict, str):
            return LoginRefused(text=verdict)
        raise _refuse("what login_of() returned", verdict, "True, a str, a LoginRefused, or None")

    def _read_ack(self, message: Any) -> Incoming | None:
        answer = None if self._ack_of is None else self._ack_of(message)
        if answer is None or answer is False:
            return None
        if isinstance(answer, _READ):
            return answer
        if answer is True:
            return Acknowledged(tag=_TAG)
        if isinstance(answer, SubscriptionError):
            topics = () if answer.topic is None else (answer.topic,)
            return Refused(topics=topics, code=answer.code, text=str(answer), tag=_TAG)
        if isinstance(answer, int):
            return Acknowledged(answer)
        if isinstance(answer, str):
            is_id = self._takes_id and answer.isdecimal() and len(answer) <= _LONGEST_ID
            return Acknowledged(int(answer)) if is_id else Acknowledged(topics=(answer,))
        if isinstance(answer, (list, tuple)) and all(isinstance(one, str) for one in answer):
            return Acknowledged(topics=tuple(answer)) if answer else None
        raise _refuse(
            "what ack_of() returned",
            answer,
            "a request_id, a topic or several, True, a SubscriptionError, or None",
        )

    def _data(self, topic: Any, data: Any) -> Data:
        if isinstance(topic, str) and topic:
            own = self._make_topic is not None or ":" not in topic
            channel, symbol = (topic, None) if own else split_topic(topic)[:2]
            return Data(topic, channel, symbol, data)
        if isinstance(topic, (list, tuple)) and len(topic) == 2:
            channel, symbol = topic
            if isinstance(channel, str) and (symbol is None or isinstance(symbol, str)):
                build = super().topic if self._make_topic is None else self._make_topic
                return Data(build(channel, symbol), channel, symbol, data)
        raise _refuse("what topic_of() returned", topic, "a str, a pair (channel, symbol), or None")

    def with_id(self, request: dict[str, Any], request_id: int) -> tuple[dict[str, Any], Hashable]:
        """Give a user's request an id in ``id_field``, unless it has one."""
        if self._id_field is None:
            return super().with_id(request, request_id)
        complete = {self._id_field: request_id, **request}
        return complete, self.answer_id(complete)

    def answer_id(self, message: Any) -> Hashable:
        """Give the id in ``id_field``, or None."""
        if self._id_field is None or not isinstance(message, dict):
            return None
        found = message.get(self._id_field)
        return found if isinstance(found, (int, str)) else None


def _refuse(name: str, value: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(f"{name} is {value!r:.80}; allowed: {allowed}")


def _check_functions(**functions: object) -> None:
    for name, function in functions.items():
        if not callable(function):
            raise _refuse(name, function, "a function")


def _check_optional(**functions: object) -> None:
    for name, function in functions.items():
        check_callable(name, function)


def _check_login(**functions: object) -> None:
    _check_optional(**functions)
    missing = [name for name, function in functions.items() if function is None]
    if len(missing) == 1:
        raise ConfigurationError(
            f"{missing[0]} is missing: login makes the request, login_of reads its answer"
        )


def _check_texts(name: object, pong: object) -> None:
    if not isinstance(name, str) or not name:
        raise _refuse("name", name, "a str that is not empty")
    if pong is not None and not isinstance(pong, str) and not callable(pong):
        raise _refuse("pong", pong, "a str, a function (message) -> bool, or None")


def _checked_heartbeat(heartbeat: object) -> Heartbeat | None:
    if heartbeat is None or isinstance(heartbeat, Heartbeat):
        return heartbeat
    if not isinstance(heartbeat, tuple) or len(heartbeat) != 2:
        raise _refuse("heartbeat", heartbeat, "a Heartbeat, a pair (message, seconds), or None")
    message, interval = heartbeat
    check_seconds("the interval of heartbeat", interval, exclusive=True)
    if not callable(message):
        return Heartbeat(payload=_as_text("heartbeat", message), interval=interval)
    return Heartbeat(
        payload=lambda number: _as_text("heartbeat", message(number)), interval=interval
    )


def _checked_channels(channels: object) -> tuple[str, ...]:
    if isinstance(channels, (tuple, list)) and all(
        isinstance(channel, str) and channel for channel in channels
    ):
        return tuple(channels)
    raise _refuse("channels", channels, "several names, such as ['trades', 'book']")


def _checked_settings(settings: object) -> Mapping[str, Any]:
    """Check names and values now, and not when the first connection is made."""
    if not isinstance(settings, Mapping):
        raise _refuse("settings", settings, "a mapping from names of settings to values")
    ConnectionConfig.from_dict(settings)
    return dict(settings)


def _takes_id(function: Callable[..., Any]) -> bool:
    """Whether a function wants the request_id: by that name, or as a second argument."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # of something that is not written in Python
        return False
    # An argument with a default is the user's own, such as a bound loop variable.
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [one for one in parameters.values() if one.default is one.empty]
    return "request_id" in parameters or sum(one.kind in positional for one in needed) >= 2


def _with_id(function: Callable[..., Any]) -> Callable[[list[str], int], Any]:
    """Call a function with the request_id if it takes one."""
    if not _takes_id(function):
        return lambda topics, _: function(topics)
    parameter = inspect.signature(function).parameters.get("request_id")
    if parameter is not None and parameter.kind is not parameter.POSITIONAL_ONLY:
        return lambda topics, request_id: function(topics, request_id=request_id)
    return function


def _as_text(what: str, message: Any) -> str:
    """Turn what a function made into the text to send."""
    if isinstance(message, str):
        return message
    if isinstance(message, bytes):
        try:
            return message.decode("utf-8")
        except UnicodeDecodeError:
            raise _refuse(what, message, "bytes that hold UTF-8 text") from None
    if isinstance(message, dict):
        try:
            return encode_json(message)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"{what} made a dict that is no JSON: {error}") from None
    if isinstance(message, (list, tuple)):
        if len(message) == 1:
            return _as_text(what, message[0])
        raise ConfigurationError(
            f"{what} made {len(message)} messages; a request is one. With "
            "limits=Limits(topics_per_request=1) it is asked for one topic at a time; a JSON array "
            "has to be returned as a str"
        )
    raise _refuse(f"what {what} made", message, "a str, a dict, or bytes that hold UTF-8 text")
