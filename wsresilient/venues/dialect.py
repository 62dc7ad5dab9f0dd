"""How the REST of an exchange speaks: requests as values, answers into values. Pure."""

from __future__ import annotations

from typing import Protocol

__all__ = ["RestDialect"]


class RestDialect(Protocol):
    """What ``runtime/rest.py`` asks of an exchange."""
