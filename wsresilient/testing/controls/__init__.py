"""What a test can see of the fake exchange and do to it, by theme; together they are its members.

``records.py`` is what has happened, ``feed.py`` what clients are sent, ``connections.py`` how they
come and go, ``answers.py`` what their requests and logins get, ``rest.py`` the same over HTTP.
"""

from __future__ import annotations

from wsresilient.testing.controls.answers import AnswerControls
from wsresilient.testing.controls.connections import ConnectionControls
from wsresilient.testing.controls.feed import FeedControls
from wsresilient.testing.controls.records import Records
from wsresilient.testing.controls.rest import RestControls

__all__ = ["AnswerControls", "ConnectionControls", "FeedControls", "Records", "RestControls"]
