"""Who one is at an exchange. Nothing here shows a secret: no repr, no text, no pickle by chance."""

from __future__ import annotations

import base64
import hashlib
import hmac

from ..errors import ConfigurationError, named_type

__all__ = ["Credentials"]


class Credentials:
    """An API key with its secret, and what some exchanges ask for beside them.

    :param api_key: the public part.
    :param secret: signs requests; it never leaves the process.
    :param passphrase: OKX's third part; None where the exchange has none.
    :raises ConfigurationError: one of them is empty or no str; the text does not show it.
    """

    __slots__ = ("_api_key", "_passphrase", "_secret")

    def __init__(self, api_key: str, secret: str, passphrase: str | None = None) -> None:
        for name, value in (("api_key", api_key), ("secret", secret), ("passphrase", passphrase)):
            if value is None and name == "passphrase":
                continue
            if not isinstance(value, str) or not value.strip():
                what = "empty" if isinstance(value, str) else named_type(value)
                raise ConfigurationError(f"{name} is {what}; allowed: a str that is not empty")
        self._api_key, self._secret, self._passphrase = api_key, secret, passphrase

    @property
    def api_key(self) -> str:
        """The public part."""
        return self._api_key

    @property
    def passphrase(self) -> str | None:
        """OKX's third part, or None."""
        return self._passphrase

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that must never be shown."""
        found = (self._api_key, self._secret, self._passphrase)
        return tuple(value for value in found if value)

    def hex_signature(self, text: str) -> str:
        """Sign a text: HMAC-SHA256 with the secret, in hexadecimal."""
        return self._digest(text).hex()

    def base64_signature(self, text: str) -> str:
        """Sign a text: HMAC-SHA256 with the secret, in base64."""
        return base64.b64encode(self._digest(text)).decode("ascii")

    def _digest(self, text: str) -> bytes:
        return hmac.new(self._secret.encode(), text.encode(), hashlib.sha256).digest()

    def __repr__(self) -> str:
        return "Credentials(***)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Credentials):
            return NotImplemented
        return self.secrets == other.secrets

    def __hash__(self) -> int:
        return hash(self.secrets)

    def __reduce__(self) -> str:
        raise TypeError(
            "Credentials are not pickled: give them to the other process by other means"
        )
