"""What is particular to each exchange: tables and pure functions, no thread, socket or clock."""

from __future__ import annotations

from ..core.credentials import Credentials
from .base import Heartbeat, Limits, ListenKey, Rate, SequenceNumbers, Venue
from .binance import Binance
from .okx import OKX

__all__ = [
    "OKX",
    "Binance",
    "Credentials",
    "Heartbeat",
    "Limits",
    "ListenKey",
    "Rate",
    "SequenceNumbers",
    "Venue",
]
