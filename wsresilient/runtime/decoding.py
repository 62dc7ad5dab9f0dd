"""From payloads to messages, on the thread that serves the lane, or that waits for an answer.

What cannot be decoded is told and left out; it never ends the stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..core.events import Message
from ..core.frames import Payload
from ..core.redact import shorten
from ..errors import DecodeError, describe
from .handlers import HandlerSet
from .lanes import Batch
from .routing import Router

__all__ = ["Decoder", "Decoding"]

Decoder = Callable[[Payload], Any]


class Decoding:
    """Decodes what comes over one connection.

    :param name: of the connection.
    :param handlers: are told of what cannot be decoded.
    :param decoder: turns a payload into what on_data gets, or None.
    :param router: gives messages their topics, or None: there is no venue.
    """

    def __init__(
        self, name: str, handlers: HandlerSet, decoder: Decoder | None, router: Router | None
    ) -> None:
        self._name = name
        self._handlers = handlers
        self._decoder = decoder
        self._fallback: Decoder = json.loads if router is None else router.decode
        self.message = self._plain_message if router is None else router.message

    def __repr__(self) -> str:
        return f"<Decoding of {self._name}>"

    def messages(self, batch: Batch) -> list[Message]:
        """Decode a batch; what cannot be decoded is told and left out."""
        with self._handlers.calling("decoder"):  # so that stop() inside of it knows where it is
            return self._decode_all(batch)

    def _decode_all(self, batch: Batch) -> list[Message]:
        decoded: list[Message] = []
        message = self.message
        for payload in batch.messages:
            try:
                decoded.append(message(payload, batch))
            except BaseException as error:  # a user's function may raise anything
                self._handlers.fail(self._decode_error(payload, error))
        return decoded

    def _plain_message(self, payload: Payload, batch: Batch) -> Message:
        """Decode one payload; without a decoder it is the data itself.

        :raises Exception: whatever the decoder raises.
        """
        data = payload if self._decoder is None else self._decoder(payload)
        return Message(
            data=data,
            received_at=batch.received_at,
            connection=self._name,
            generation=batch.generation,
            raw=data,
        )

    def _decode_error(self, payload: Payload, error: BaseException) -> DecodeError:
        # The decoder's exception is not chained: it may hold the whole message.
        redact = self._handlers.redact
        # Redacted before it is cut: a secret that is cut in two is not recognised.
        excerpt = shorten(
            redact(payload[:4000] if isinstance(payload, str) else repr(payload[:1000]))
        )
        return DecodeError(
            f"a message was not decoded ({shorten(redact(describe(error)))}): {excerpt:.100}"
        )

    def answer(self, payload: Payload) -> Any:
        """Decode one payload for request(): with the decoder, else as JSON, else as it is."""
        decoder = self._decoder or self._fallback
        try:
            return decoder(payload)
        except Exception:  # any message is looked at, whatever it holds
            return payload
