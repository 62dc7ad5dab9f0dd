"""The ``wsresilient`` command: the library from a shell, for a first look and for scripts."""

from __future__ import annotations

from .command import main

__all__ = ["main"]
