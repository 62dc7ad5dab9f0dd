"""``WebSocketApp`` for scripts written against websocket-client: change one import.

.. code-block:: python

    from wsresilient.compat import WebSocketApp        # was: from websocket import WebSocketApp

Constructor, callbacks ``(ws, ...)``, ``run_forever``, ``send`` and ``close`` are the same, and
callbacks run on the thread that called ``run_forever``. Underneath is this library's engine:
deadlines for the handshake and for sending, pings that notice a dead peer in time and leave
a slow handler alone, errors of callbacks that end nothing, and ``reconnect=`` that backs off.

As in websocket-client, ``run_forever`` returns when the connection ends, unless ``reconnect=N``
is given: then it reconnects, first after about N seconds and with backoff from there, until
``close()``. Errors are those of :mod:`wsresilient.errors`, not websocket-client's:

- :class:`~wsresilient.errors.NotConnectedError` where a script caught
  ``WebSocketConnectionClosedException``: ``send`` on a closed connection.
- :class:`~wsresilient.errors.ConfigurationError` (a ``ValueError``) for wrong ping values and every
  other wrong argument.
- ``on_error`` gets the others, such as ``ConnectError``, ``HandshakeError``, ``PingTimeoutError``
  and ``ConnectionLostError``; all are a ``WSResilientError``.
"""

from __future__ import annotations

from .app import ABNF, WebSocketApp, enableTrace

__all__ = ["ABNF", "WebSocketApp", "enableTrace"]
