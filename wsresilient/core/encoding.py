"""What send() takes, as bytes for a frame; and JSON that comes, as objects."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..errors import ConfigurationError, named_type

#: JSON text or bytes to an object; raises ValueError for what is no JSON.
decode_json: Callable[[str | bytes], Any]
try:  # the extra "speed"
    import orjson
except ModuleNotFoundError:
    decode_json = json.loads
else:
    decode_json = orjson.loads

__all__ = ["decode_json", "encode_json", "encode_outgoing"]


def encode_json(value: Any) -> str:
    """Write JSON without spaces.

    :raises ValueError: NaN or infinity, which are no JSON (RFC 8259 section 6).
    :raises TypeError: it holds something that JSON does not know.
    """
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def encode_outgoing(data: Any) -> tuple[bytes, bool]:
    """Turn what a user sends into bytes.

    :param data: str is text, bytes and the like are binary, dict and list are JSON text.
    :returns: the payload, and whether it is text.
    :raises ConfigurationError: it is something else, or cannot be encoded.
    """
    if isinstance(data, str):
        return _utf8(data), True
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data), False
    if isinstance(data, (dict, list)):
        try:
            text = encode_json(data)
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"the {type(data).__name__} is no JSON: {error}") from None
        return _utf8(text), True
    raise ConfigurationError(
        f"cannot send {named_type(data)}; allowed: str (text), bytes (binary), dict or list (JSON)"
    )


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ConfigurationError(f"the text cannot be sent as UTF-8: {error.reason}") from None
