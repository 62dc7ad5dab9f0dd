"""What is particular to each exchange: tables and pure functions, no thread, socket or clock."""

from __future__ import annotations

from ..core.credentials import Credentials
from .base import Heartbeat, Limits, ListenKey, Rate, SequenceNumbers, Venue
from .binance import Binance
from .bybit import Bybit
from .custom import Custom
from .mexc import MEXC
from .names import VENUE_NAMES, venue_by_name
from .okx import OKX

__all__ = [
    "MEXC",
    "OKX",
    "VENUE_NAMES",
    "Binance",
    "Bybit",
    "Credentials",
    "Custom",
    "Heartbeat",
    "Limits",
    "ListenKey",
    "Rate",
    "SequenceNumbers",
    "Venue",
    "venue_by_name",
]
