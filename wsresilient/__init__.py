"""wsresilient keeps WebSocket connections alive for programs that are not asynchronous.

.. code-block:: python

    import wsresilient

    ws = wsresilient.connect("wss://example.com/stream", on_message=print)
    ws.run_forever()
"""

from __future__ import annotations

from .config import ConnectionConfig
from .core.backoff import ReconnectPolicy
from .core.credentials import Credentials
from .core.endpoints import EndpointPolicy
from .core.events import Gap, Message, StateChange
from .core.failure import Failure, FailureKind
from .core.following import TopByVolume
from .core.market import Kline, OrderBook, Symbol, Ticker24h, Trade
from .core.state import ConnectionState
from .core.thresholds import Thresholds
from .errors import (
    AuthenticationError,
    CertificateError,
    ConfigurationError,
    ConnectError,
    ConnectionFailedError,
    ConnectionLostError,
    DecodeError,
    HandshakeError,
    MessageTooBigError,
    NameResolutionError,
    NotConnectedError,
    OpenTimeoutError,
    PingTimeoutError,
    ProtocolError,
    ProxyError,
    SendTimeoutError,
    StaleConnectionError,
    SubscriptionError,
    SubscriptionLimitError,
    TLSError,
    VenueError,
    WSResilientError,
)
from .observe.alerts import Alert, AlertManager, AlertRule
from .observe.dashboard import Dashboard, start_dashboard
from .observe.monitor import (
    Monitor,
    diagnose_connection_issues,
    get_monitor,
    get_summary,
    print_connection_report,
)
from .observe.webhook import WebhookNotifier
from .runtime.budget import ConnectLimiter
from .runtime.connection import ResilientWebSocket, connect
from .runtime.dispatcher import Dispatcher
from .runtime.pool import ConnectionPool
from .runtime.pool_member import ConnectionMetrics
from .runtime.ratelimit import RateLimiter
from .runtime.rest import RestClient

__all__ = [
    "Alert",
    "AlertManager",
    "AlertRule",
    "AuthenticationError",
    "CertificateError",
    "ConfigurationError",
    "ConnectError",
    "ConnectLimiter",
    "ConnectionConfig",
    "ConnectionFailedError",
    "ConnectionLostError",
    "ConnectionMetrics",
    "ConnectionPool",
    "ConnectionState",
    "Credentials",
    "Dashboard",
    "DecodeError",
    "Dispatcher",
    "EndpointPolicy",
    "Failure",
    "FailureKind",
    "Gap",
    "HandshakeError",
    "Kline",
    "Message",
    "MessageTooBigError",
    "Monitor",
    "NameResolutionError",
    "NotConnectedError",
    "OpenTimeoutError",
    "OrderBook",
    "PingTimeoutError",
    "ProtocolError",
    "ProxyError",
    "RateLimiter",
    "ReconnectPolicy",
    "ResilientWebSocket",
    "RestClient",
    "SendTimeoutError",
    "StaleConnectionError",
    "StateChange",
    "SubscriptionError",
    "SubscriptionLimitError",
    "Symbol",
    "TLSError",
    "Thresholds",
    "Ticker24h",
    "TopByVolume",
    "Trade",
    "VenueError",
    "WSResilientError",
    "WebhookNotifier",
    "connect",
    "diagnose_connection_issues",
    "get_monitor",
    "get_summary",
    "print_connection_report",
    "start_dashboard",
]
