"""When connections may be opened: the batches of a warm-up, and the window of a limit. Pure."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["start_delay", "window_wait"]


def start_delay(
    index: int,
    *,
    batch_size: int,
    batch_interval: float,
    spread: float = 0.5,
    phase: float = 0.0,
) -> float:
    """Say when the k-th of many connections may be opened.

    Each batch is spread evenly over a part of its interval, in the same way each time: no
    stretch of ``batch_interval`` seconds, wherever it begins, sees more than ``batch_size``.

    :param index: of the connection, from 0.
    :param batch_size: connections in a batch.
    :param batch_interval: seconds from the beginning of one batch to that of the next.
    :param spread: the part of the interval that a batch takes: 0 (all at once) to 1.
    :param phase: 0 to 1, a random number for processes that start at the same moment: all
        begin later by this part of the interval.
    :returns: seconds from the beginning of the warm-up.
    """
    batch, place = divmod(index, batch_size)
    return (batch + phase + spread * place / batch_size) * batch_interval


def window_wait(times: Sequence[float], now: float, *, count: int, seconds: float) -> float:
    """Say how long to wait so that no window sees too many.

    :param times: when there was one, in ascending order.
    :param count: how many may be within any ``seconds``.
    :returns: seconds; 0.0: now.
    """
    if len(times) < count:
        return 0.0
    return max(0.0, times[-count] + seconds - now)
