"""Fixtures that several files of these tests share."""

from __future__ import annotations

import pytest

from wsresilient.core import takeover


@pytest.fixture
def short_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a rotated connection go soon after its successor is up."""
    monkeypatch.setattr(takeover, "SHORTEST", 0.05)


@pytest.fixture
def lasting_overlap(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let both connections be there until the test undoes it."""
    monkeypatch.setattr(takeover, "LONGEST", 1000.0)
    monkeypatch.setattr(takeover, "SHORTEST", 1000.0)
    return monkeypatch
