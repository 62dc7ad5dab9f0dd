"""From raw measurements to medians, ratios and the targets: pure functions and text.

A ratio is taken of two medians, because single rounds on a shared machine lie. Its spread is that
of the rounds: within one round two clients ran one after the other, in the same weather.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OURS = ("ours-inline", "ours-thread")
CEILING = "drain"
WAITING_BELOW = 0.85


@dataclass(frozen=True)
class Scenario:
    """One kind of stream; clients are compared within a scenario only."""

    size: int
    transport: str
    payload: str
    busy_thread: bool

    def __str__(self) -> str:
        busy = ", beside a busy Python thread" if self.busy_thread else ""
        return f"{self.size} B, {self.transport}, {self.payload} text{busy}"


@dataclass(frozen=True)
class Sample:
    """One measurement of one client."""

    round: int
    count: int
    seconds: float
    cpu_seconds: float
    cut: bool
    """Whether it was ended before the last message, because it took too long."""

    @property
    def cpu_share(self) -> float:
        """CPU time of the process in its wall time: far below 1, it waited for the server."""
        return self.cpu_seconds / self.seconds

    @property
    def rate(self) -> float:
        """Messages a second, from the first message to the last."""
        return (self.count - 1) / self.seconds


@dataclass(frozen=True)
class Ratio:
    """How many times as fast one client is as another."""

    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lowest:.2f}..{self.highest:.2f})"


@dataclass(frozen=True)
class Target:
    """A ratio that the library promises."""

    client: str
    peer: str
    factor: float


Samples = dict[str, list[Sample]]


def targets_of(scenario: Scenario) -> list[Target]:
    """List what must be reached in a scenario."""
    if scenario.busy_thread:
        return [Target(ours, "websocket-client", 10.0) for ours in OURS]
    targets = [Target(ours, "websockets-sync", 1.0) for ours in OURS]
    if scenario.transport != "plain" or scenario.payload != "ascii":
        return targets
    if scenario.size == 120:
        targets += [
            Target("ours-inline", "picows", 1.0),
            Target("ours-thread", "picows", 0.7),
            Target("ours-inline", "picows-unchecked", 1.0),
            Target("ours-thread", "picows-unchecked", 0.7),
            Target("ours-thread", "websockets-sync", 8.0),
            Target("ours-thread", "websocket-client", 15.0),
        ]
    if scenario.size == 1000:
        targets += [
            Target("ours-inline", "picows", 0.8),
            Target("ours-inline", "picows-unchecked", 0.8),
        ]
    return targets


def ratio(samples: Samples, client: str, peer: str) -> Ratio | None:
    """Compare two clients; None when one of them has no measurement."""
    numerator, denominator = samples.get(client), samples.get(peer)
    if not numerator or not denominator:
        return None
    by_round = {sample.round: sample.rate for sample in denominator}
    paired = [
        sample.rate / by_round[sample.round] for sample in numerator if sample.round in by_round
    ]
    if not paired:
        return None
    return Ratio(median_rate(numerator) / median_rate(denominator), min(paired), max(paired))


def median_rate(samples: Iterable[Sample]) -> float:
    """Messages a second in the middle round."""
    return statistics.median(sample.rate for sample in samples)


def table(scenario: Scenario, samples: Samples) -> str:
    """Lay out one scenario: a row for each client, ours against it in the last columns."""
    ours = [name for name in OURS if samples.get(name)]
    header = ["client", "messages/s", "min", "max", "MB/s", "CPU us/msg", "CPU"]
    header += [f"{name} is" for name in ours]
    rows = [header]
    for client, measured in samples.items():
        if measured:
            rows.append(_row(client, measured, scenario, samples, ours))
    lines = [f"== {scenario} ==", *_align(rows)]
    lines += _notes(scenario, samples)
    return "\n".join(lines)


def check_lines(scenario: Scenario, samples: Samples) -> list[str]:
    """Say for each target of a scenario whether it was met."""
    lines = []
    for target in targets_of(scenario):
        found = ratio(samples, target.client, target.peer)
        if found is None:
            continue
        verdict = "met   " if found.median >= target.factor else "missed"
        line = f"{verdict} {target.client} >= {target.factor:g} x {target.peer}: {found}"
        if not scenario.busy_thread:
            line += _second_opinion(samples[target.client], samples[target.peer])
        lines.append(f"{line} at {scenario}")
    return lines


def _second_opinion(ours: Sequence[Sample], peer: Sequence[Sample]) -> str:
    """Compare CPU time for a message too: another process on the core hardly changes that."""
    waited = min(_cpu_share(ours), _cpu_share(peer)) < WAITING_BELOW
    remark = " (disturbed: one of them waited)" if waited else ""
    return f", by CPU time {_cpu_per_message(peer) / _cpu_per_message(ours):.2f}{remark},"


def _row(
    client: str, measured: Sequence[Sample], scenario: Scenario, samples: Samples, ours: list[str]
) -> list[str]:
    rates = [sample.rate for sample in measured]
    rate = statistics.median(rates)
    row = [
        client,
        f"{rate:,.0f}",
        f"{min(rates):,.0f}",
        f"{max(rates):,.0f}",
        f"{rate * scenario.size / 1e6:,.0f}",
        # The busy thread's CPU time cannot be told from the client's.
        "" if scenario.busy_thread else f"{_cpu_per_message(measured) * 1e6:.2f}",
        "" if scenario.busy_thread else f"{_cpu_share(measured):.0%}",
    ]
    for name in ours:
        found = ratio(samples, name, client)
        row.append("" if found is None or name == client or client == CEILING else f"{found}")
    return row


def _align(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _cpu_share(samples: Iterable[Sample]) -> float:
    return statistics.median(sample.cpu_share for sample in samples)


def _cpu_per_message(samples: Iterable[Sample]) -> float:
    return statistics.median(sample.cpu_seconds / sample.count for sample in samples)


def _notes(scenario: Scenario, samples: Samples) -> list[str]:
    """Say which figures are not what they seem."""
    notes = []
    measured = {name: found for name, found in samples.items() if found and name != CEILING}
    waited = [name for name, found in measured.items() if _cpu_share(found) < WAITING_BELOW]
    if waited and not scenario.busy_thread:
        notes.append(f"note: waited for the server or for a core: {', '.join(waited)}")
    cut = [name for name, found in measured.items() if any(sample.cut for sample in found)]
    if cut:
        notes.append(f"note: far slower than when calibrated, ended early: {', '.join(cut)}")
    return notes
