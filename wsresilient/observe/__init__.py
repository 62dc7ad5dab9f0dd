"""What can be seen of all connections: the monitor and its report.

It reads snapshots and changes nothing; a stream does not know that somebody looks.
"""

from __future__ import annotations

from .monitor import Monitor, get_monitor, get_summary, print_connection_report
from .report import format_report
from .summary import summarise

__all__ = [
    "Monitor",
    "format_report",
    "get_monitor",
    "get_summary",
    "print_connection_report",
    "summarise",
]
