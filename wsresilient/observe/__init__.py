"""What can be seen of all connections: the monitor, its diagnosis, its report, and alerts.

It reads snapshots and changes nothing; a stream does not know that somebody looks.
"""

from __future__ import annotations

from .alerts import Alert, AlertManager, AlertRule, log_alert
from .dashboard import Dashboard, start_dashboard
from .diagnosis import diagnose
from .monitor import (
    Monitor,
    diagnose_connection_issues,
    get_monitor,
    get_summary,
    print_connection_report,
)
from .report import format_report
from .summary import summarise
from .webhook import WebhookNotifier

__all__ = [
    "Alert",
    "AlertManager",
    "AlertRule",
    "Dashboard",
    "Monitor",
    "WebhookNotifier",
    "diagnose",
    "diagnose_connection_issues",
    "format_report",
    "get_monitor",
    "get_summary",
    "log_alert",
    "print_connection_report",
    "start_dashboard",
    "summarise",
]
