"""What users give to :class:`Custom`: checked at once, called as they want it, and sent as text."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..config import ConnectionConfig, check_callable, check_seconds
from ..core.encoding import encode_json
from ..errors import ConfigurationError, named_type
from .base import Heartbeat

__all__ = [
    "as_text",
    "called_with_id",
    "check_functions",
    "check_login",
    "check_optional",
    "check_texts",
    "checked_channels",
    "checked_heartbeat",
    "checked_settings",
    "refuse",
    "takes_id",
]


def refuse(name: str, value: object, allowed: str) -> ConfigurationError:
    """Make the error for an argument, or what a function returned."""
    return ConfigurationError(f"{name} is {value!r:.80}; allowed: {allowed}")


def check_functions(**functions: object) -> None:
    """Check functions that have to be there.

    :raises ConfigurationError: one cannot be called.
    """
    for name, function in functions.items():
        if not callable(function):
            raise refuse(name, function, "a function")


def check_optional(**functions: object) -> None:
    """Check functions that may be None.

    :raises ConfigurationError: one is neither None nor can be called.
    """
    for name, function in functions.items():
        check_callable(name, function)


def check_login(**functions: object) -> None:
    """Check functions that belong together.

    :raises ConfigurationError: there is one without the other.
    """
    check_optional(**functions)
    missing = [name for name, function in functions.items() if function is None]
    if len(missing) == 1:
        raise ConfigurationError(
            f"{missing[0]} is missing: login makes the request, login_of reads its answer"
        )


def check_texts(name: object, pong: object, id_field: object) -> None:
    """Check arguments that are texts.

    :raises ConfigurationError: one is not.
    """
    if not isinstance(name, str) or not name:
        raise refuse("name", name, "a str that is not empty")
    if pong is not None and not isinstance(pong, str) and not callable(pong):
        raise refuse("pong", pong, "a str, a function (message) -> bool, or None")
    if id_field is not None and not isinstance(id_field, str):
        raise refuse("id_field", id_field, "a str, or None")


def checked_heartbeat(heartbeat: object) -> Heartbeat | None:
    """Make a heartbeat of a pair (message, seconds).

    :raises ConfigurationError: it is no such pair.
    """
    if heartbeat is None or isinstance(heartbeat, Heartbeat):
        return heartbeat
    if not isinstance(heartbeat, tuple) or len(heartbeat) != 2:
        raise refuse("heartbeat", heartbeat, "a Heartbeat, a pair (message, seconds), or None")
    message, interval = heartbeat
    check_seconds("the interval of heartbeat", interval, exclusive=True)
    if not callable(message):
        return Heartbeat(payload=as_text("heartbeat", message), interval=interval)
    return Heartbeat(
        payload=lambda number: as_text("heartbeat", message(number)), interval=interval
    )


def checked_channels(channels: object) -> tuple[str, ...]:
    """Check the names of channels.

    :raises ConfigurationError: they are not several names.
    """
    if isinstance(channels, (tuple, list)) and all(
        isinstance(channel, str) and channel for channel in channels
    ):
        return tuple(channels)
    raise refuse("channels", channels, "several names, such as ['trades', 'book']")


def checked_settings(settings: object) -> Mapping[str, Any]:
    """Check names and values now, and not when the first connection is made.

    :raises ConfigurationError: a name is unknown or a value not allowed.
    """
    if not isinstance(settings, Mapping):
        raise refuse("settings", settings, "a mapping from names of settings to values")
    ConnectionConfig.from_dict(settings)
    return dict(settings)


def takes_id(function: Callable[..., Any]) -> bool:
    """Whether a function wants the request_id: by that name, or as a second argument."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # of something that is not written in Python
        return False
    # An argument with a default is the user's own, such as a bound loop variable.
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [one for one in parameters.values() if one.default is one.empty]
    return "request_id" in parameters or sum(one.kind in positional for one in needed) >= 2


def called_with_id(function: Callable[..., Any]) -> Callable[[list[str], int], Any]:
    """Call a function with the request_id if it takes one."""
    if not takes_id(function):
        return lambda topics, _: function(topics)
    parameter = inspect.signature(function).parameters.get("request_id")
    if parameter is not None and parameter.kind is not parameter.POSITIONAL_ONLY:
        return lambda topics, request_id: function(topics, request_id=request_id)
    return function


def as_text(what: str, message: Any) -> str:
    """Turn what a function made into the text to send.

    :param what: the function, for texts; they do not show the message, which may be a login.
    :raises ConfigurationError: it is no message, or several.
    """
    if isinstance(message, str):
        return message
    if isinstance(message, bytes):
        try:
            return message.decode("utf-8")
        except UnicodeDecodeError:
            raise ConfigurationError(
                f"{what} made bytes that are no UTF-8; allowed: bytes that hold text"
            ) from None
    if isinstance(message, dict):
        try:
            return encode_json(message)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"{what} made a dict that is no JSON: {error}") from None
    if isinstance(message, (list, tuple)):
        if len(message) == 1:
            return as_text(what, message[0])
        raise ConfigurationError(
            f"{what} made {len(message)} messages; a request is one. With "
            "limits=Limits(topics_per_request=1) it is asked for one topic at a time; a JSON array "
            "has to be returned as a str"
        )
    raise ConfigurationError(
        f"{what} made {named_type(message)}; allowed: a str, a dict (sent as JSON), or bytes "
        "that hold UTF-8 text"
    )
