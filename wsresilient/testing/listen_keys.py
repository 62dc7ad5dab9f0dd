"""The listen keys of the fake exchange: made over REST, good for a while, named in a stream's URL.

Pure but for the clock that it is given.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

__all__ = ["ListenKeys"]


class ListenKeys:
    """One key for each API key; not thread-safe.

    :param lifetime: seconds that a key lasts from when it was made or extended.
    :param clock: monotonic seconds.
    """

    def __init__(self, lifetime: float, clock: Callable[[], float]) -> None:
        self.lifetime = lifetime
        self._clock = clock
        self._keys: dict[str, tuple[str, float]] = {}  # API key -> (listen key, when it ends)

    def __repr__(self) -> str:
        return f"<ListenKeys {len(self._keys)} lifetime={self.lifetime:g}>"

    def create(self, api_key: str) -> str:
        """Make the key of this API key, or make the one that there is last longer."""
        return self.extend(api_key) or self._keep(api_key, secrets.token_hex(32))

    def extend(self, api_key: str) -> str | None:
        """Make the key last longer; None: there is none that is still valid."""
        key, ends_at = self._keys.get(api_key, ("", 0.0))
        return self._keep(api_key, key) if key and self._clock() < ends_at else None

    def delete(self, api_key: str) -> bool:
        """End the key; False: there is none."""
        return self._keys.pop(api_key, None) is not None

    def expire_all(self) -> None:
        """End every key."""
        self._keys.clear()

    def is_valid(self, key: str) -> bool:
        """Tell whether there is such a key and it has not ended."""
        now = self._clock()
        return any(known == key and now < ends_at for known, ends_at in self._keys.values())

    def _keep(self, api_key: str, key: str) -> str:
        self._keys[api_key] = (key, self._clock() + self.lifetime)
        return key
