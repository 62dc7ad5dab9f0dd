"""What can be seen of all connections: the monitor, its report, and alerts.

It reads snapshots and changes nothing; a stream does not know that somebody looks.
"""

from __future__ import annotations

from .alerts import Alert, AlertManager, AlertRule, log_alert
from .monitor import Monitor, get_monitor, get_summary, print_connection_report
from .report import format_report
from .summary import summarise
from .webhook import WebhookNotifier

__all__ = [
    "Alert",
    "AlertManager",
    "AlertRule",
    "Monitor",
    "WebhookNotifier",
    "format_report",
    "get_monitor",
    "get_summary",
    "log_alert",
    "print_connection_report",
    "summarise",
]
