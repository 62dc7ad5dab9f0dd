"""The five states of a connection and the only table of what may follow what.

It knows nothing of threads; whoever holds a state asks :func:`transition` and stores the
answer, so that an illegal step raises and changes nothing.
"""

from __future__ import annotations

import enum
from types import MappingProxyType

from ..errors import WSResilientError

__all__ = ["TRANSITIONS", "ConnectionState", "IllegalTransitionError", "transition"]


class ConnectionState(str, enum.Enum):
    """Where a connection stands. A ``str``: compare it with "connected" if you like."""

    DISCONNECTED = "disconnected"  # not started, or stopped
    CONNECTING = "connecting"  # an attempt is under way
    CONNECTED = "connected"  # the handshake is done, messages flow
    RECONNECTING = "reconnecting"  # an attempt or a connection ended; waiting for the next
    FAILED = "failed"  # given up; start() begins again

    def __str__(self) -> str:
        return self.value


_S = ConnectionState

TRANSITIONS = MappingProxyType(
    {
        _S.DISCONNECTED: frozenset({_S.CONNECTING}),
        _S.CONNECTING: frozenset({_S.CONNECTED, _S.RECONNECTING, _S.FAILED, _S.DISCONNECTED}),
        _S.CONNECTED: frozenset({_S.RECONNECTING, _S.FAILED, _S.DISCONNECTED}),
        _S.RECONNECTING: frozenset({_S.CONNECTING, _S.FAILED, _S.DISCONNECTED}),
        _S.FAILED: frozenset({_S.CONNECTING, _S.DISCONNECTED}),
    }
)


class IllegalTransitionError(WSResilientError, RuntimeError):
    """A state was asked to follow one that it may not follow: a bug of the library."""


def transition(current: ConnectionState, new: ConnectionState) -> ConnectionState:
    """Check one step.

    :returns: ``new``.
    :raises IllegalTransitionError: the table does not allow it; nothing has changed.
    """
    if new not in TRANSITIONS[current]:
        allowed = ", ".join(sorted(TRANSITIONS[current]))
        raise IllegalTransitionError(
            f"a connection that is {current} cannot become {new}; allowed: {allowed}"
        )
    return new
