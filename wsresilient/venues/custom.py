"""A venue from a user's functions, for an exchange that the library does not know.

It checks what the functions return and turns it into what the session understands. Of the
exchange it knows nothing; where the functions are not enough, a subclass of
:class:`~wsresilient.venues.Venue` says the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from ..config import unknown_name
from ..core.credentials import Credentials
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
from ..errors import SubscriptionError
from .base import Heartbeat, Limits, Venue, split_topic
from .custom_functions import (
    as_text,
    called_with_id,
    check_functions,
    check_login,
    check_optional,
    check_texts,
    checked_channels,
    checked_heartbeat,
    checked_settings,
    refuse,
    takes_id,
)

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
        check_functions(subscribe=subscribe, unsubscribe=unsubscribe, topic_of=topic_of)
        check_optional(ack_of=ack_of, data_of=data_of, decode=decode, make_topic=make_topic)
        check_login(login=login, login_of=login_of)
        check_texts(name, pong, id_field)
        super().__init__(
            url=url,
            rest_url=rest_url,
            heartbeat=checked_heartbeat(heartbeat),
            limits=Limits(topics_per_request=1) if limits is None else limits,
        )
        self.name = name
        self.channels = checked_channels(channels)
        self.settings = checked_settings({} if settings is None else settings)
        self.acknowledges = ack_of is not None
        self._takes_id = takes_id(subscribe)
        self._subscribe = called_with_id(subscribe)
        self._unsubscribe = called_with_id(unsubscribe)
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
            raise refuse("what make_topic() returned", made, "a str that is not empty")
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
        return as_text("subscribe()", self._subscribe(list(topics), request_id))

    def unsubscribe(self, topics: Sequence[str], request_id: int) -> str:
        """Make the request that ends these topics.

        :raises ConfigurationError: the function returned no message, or several.
        """
        return as_text("unsubscribe()", self._unsubscribe(list(topics), request_id))

    def tag(self, topic: str, *, subscribing: bool) -> str | None:
        """Tag all requests alike: an answer that names none of them is the oldest one's."""
        return _TAG if self.acknowledges else None

    # Login.

    def needs_login(self, *, group: str | None = None) -> bool:
        """Whether there is a login."""
        return self._login is not None

    def login(self, credentials: Credentials, now: float) -> str | None:
        """Make the login request, or None."""
        return None if self._login is None else as_text("login()", self._login(credentials, now))

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
        raise refuse("what login_of() returned", verdict, "True, a str, a LoginRefused, or None")

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
        raise refuse(
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
        raise refuse("what topic_of() returned", topic, "a str, a pair (channel, symbol), or None")

    def with_id(self, request: dict[str, Any], request_id: int) -> tuple[dict[str, Any], Hashable]:
        """Give a user's request an id in ``id_field``, unless it has one."""
        if self._id_field is None:
            return super().with_id(request, request_id)
        complete = {self._id_field: request_id, **request}
        return complete, self._id_in(complete)

    def answer_id(self, message: Any) -> Hashable:
        """Give the id in ``id_field``, or None."""
        return self._id_in(message)

    def _id_in(self, message: Any) -> Hashable:
        if self._id_field is None or not isinstance(message, dict):
            return None
        found = message.get(self._id_field)
        return found if isinstance(found, (int, str)) else None
