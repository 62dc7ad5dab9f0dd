"""A page in the browser that shows how all connections of the process are.

.. code-block:: python

    from wsresilient import start_dashboard

    dashboard = start_dashboard()
    print(dashboard.url)
"""

from __future__ import annotations

from .dashboard import Dashboard, start_dashboard

__all__ = ["Dashboard", "start_dashboard"]
