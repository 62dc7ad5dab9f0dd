"""Receiving throughput of wsresilient and its peers, side by side and interleaved in one run.

Figures from different runs on a shared machine cannot be compared, so every client is measured in
every round, one right after the other, and only ratios are judged. Every message is counted: a
client that loses, repeats or changes one makes the run fail. A timing never does.

    python benchmarks/throughput.py
    python benchmarks/throughput.py --sizes 120 --plain --busy-thread
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clients import CALIBRATION_SECONDS, CLIENTS
from harness import (
    BenchmarkError,
    Cores,
    Server,
    choose_cores,
    describe_environment,
    flood_server,
    is_importable,
    run_child,
)
from payloads import ALPHABETS, build_cycle
from report import Sample, Samples, Scenario, check_lines, table

DEFAULT_SIZES = (120, 1000, 16 * 1024)
ENDLESS = 10**12
FEWEST_MESSAGES = 20
CUT_FACTOR = 5.0
"""A measurement that takes so many times as long as planned is ended where it is."""
START_SECONDS = 0.6
"""Roughly what starting a client's process costs; only for the estimate that is printed."""


@dataclass
class Run:
    """The state of one benchmark: what was asked for and what was found."""

    options: argparse.Namespace
    server: Server
    cores: Cores
    results: dict[Scenario, Samples] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(DEFAULT_SIZES), metavar="B")
    parser.add_argument(
        "--clients",
        nargs="+",
        choices=CLIENTS,
        default=list(CLIENTS),
        metavar="NAME",
        help=f"of {', '.join(CLIENTS)}; default: all that can be imported",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="length of one measurement, roughly"
    )
    parser.add_argument("--plain", action="store_true", help="without TLS (default: both)")
    parser.add_argument("--tls", action="store_true", help="with TLS (default: both)")
    parser.add_argument("--payload", choices=ALPHABETS, default="ascii")
    parser.add_argument(
        "--busy-thread",
        action="store_true",
        help="another Python thread burns CPU in each client's process",
    )
    parser.add_argument(
        "--cpu-affinity",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="server and clients on a core each; default: where there are two, but not with "
        "--busy-thread, as two threads on one core hardly fight for the interpreter",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all raw results")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be positive")
    if options.cpu_affinity is None:
        options.cpu_affinity = not options.busy_thread
    return options


def main() -> int:
    """Measure, print, and fail only if a message was lost or a client broke."""
    options = parse_arguments()
    clients = [name for name in options.clients if is_importable(CLIENTS[name].module)]
    scenarios = _scenarios(options)
    cores = choose_cores(options.cpu_affinity)
    environment = describe_environment()
    _print_heading(options, clients, scenarios, cores, environment)
    needs_tls = any(scenario.transport == "tls" for scenario in scenarios)
    with flood_server(cores, tls=needs_tls) as server:
        run = Run(options, server, cores)
        for scenario in scenarios:
            measure_scenario(run, scenario, clients)
            print(f"\n{table(scenario, run.results[scenario])}", flush=True)
    checks = [
        line for scenario, found in run.results.items() for line in check_lines(scenario, found)
    ]
    print("\n" + "\n".join(checks or ["no target could be checked with these clients"]))
    if options.json:
        options.json.write_text(json.dumps(_as_json(run, environment, checks), indent=2) + "\n")
    for failure in run.failures:
        print(f"\nFAILED {failure}", file=sys.stderr)
    return 1 if run.failures else 0


def measure_scenario(run: Run, scenario: Scenario, clients: list[str]) -> None:
    """Calibrate every client, then measure them in turn, round by round."""
    samples: Samples = {name: [] for name in clients}
    run.results[scenario] = samples
    counts: dict[str, int] = {}
    for name in clients:
        rate = _attempt(run, scenario, name, "calibration", _calibrate)
        if rate is not None:
            counts[name] = max(FEWEST_MESSAGES, int(rate * run.options.seconds))
    for number in range(run.options.rounds):
        _progress(f"{scenario}: round {number + 1} of {run.options.rounds}")
        # Each round starts with another client: nobody is always the first after a pause.
        shift = number % max(1, len(clients))
        for name in clients[shift:] + clients[:shift]:
            if name in counts:
                result = _attempt(run, scenario, name, f"round {number + 1}", _measure, counts)
                if result is None:
                    del counts[name]
                else:
                    samples[name].append(
                        Sample(
                            number,
                            result["count"],
                            result["seconds"],
                            result["cpu_seconds"],
                            result["cut"],
                        )
                    )
    _progress("")


def _attempt(
    run: Run, scenario: Scenario, name: str, phase: str, step: Any, *arguments: Any
) -> Any:
    """Do one step; a client that fails is reported, left out of the scenario and remembered."""
    try:
        return step(run, scenario, name, *arguments)
    except BenchmarkError as error:
        failure = f"{name} at {scenario}, {phase}: {error}"
        run.failures.append(failure)
        _progress("")
        print(f"\nFAILED {failure}", file=sys.stderr, flush=True)
        return None


def _calibrate(run: Run, scenario: Scenario, name: str) -> float:
    """Find a client's rate in a short run that compares every message with what was sent."""
    result = _run_client(run, scenario, name, ENDLESS, CALIBRATION_SECONDS, ["--calibrate"])
    if result["problem"]:
        raise BenchmarkError(_explain(result))
    rate: float = result["count"] / max(result["seconds"], 1e-6)
    return rate


def _measure(run: Run, scenario: Scenario, name: str, counts: dict[str, int]) -> dict[str, Any]:
    """Measure once and make sure that nothing was lost, repeated or changed in length."""
    asked = counts[name]
    result = _run_client(run, scenario, name, asked, run.options.seconds, [])
    cycle = build_cycle(scenario.size, scenario.payload)
    sums = {
        "characters": cycle.characters,
        "bytes": cycle.payload_bytes,
        "wire": cycle.wire_bytes,
    }
    unit = CLIENTS[name].unit
    count = result["count"] if result["cut"] else asked
    expected = sums[unit](count)
    if result["count"] != count or result["total"] != expected:
        raise BenchmarkError(
            f"MESSAGES LOST OR CHANGED: {result['count']:,} of {count:,} messages, "
            f"{result['total']:,} of {expected:,} {unit}; {_explain(result)}"
        )
    if result["problem"]:
        raise BenchmarkError(_explain(result))
    return result


def _run_client(
    run: Run, scenario: Scenario, name: str, count: int, seconds: float, extra: list[str]
) -> dict[str, Any]:
    query = f"count={count}&size={scenario.size}&payload={scenario.payload}"
    # Generous: a machine may be ten times slower for a while, and that is no fault of the client.
    limit = 30 + 20 * seconds
    arguments = [
        name,
        *("--url", run.server.url(scenario.transport, query)),
        *("--count", str(count)),
        *("--size", str(scenario.size)),
        *("--payload", scenario.payload),
        *("--limit", str(limit)),
        *("--cut-after", str(CUT_FACTOR * seconds)),
        *extra,
    ]
    if scenario.transport == "tls":
        assert run.server.ca_file is not None
        arguments += ["--ca-file", run.server.ca_file]
    if run.cores.client is not None:
        arguments += ["--cpu", str(run.cores.client)]
    if scenario.busy_thread and name != "drain":
        arguments.append("--busy-thread")
    return run_child("clients.py", arguments, limit + 15)


def _explain(result: dict[str, Any]) -> str:
    return "; ".join(text for text in (result["problem"], result["note"]) if text) or "no reason"


def _scenarios(options: argparse.Namespace) -> list[Scenario]:
    both = options.plain == options.tls
    transports = [
        name for name, chosen in (("plain", options.plain), ("tls", options.tls)) if chosen or both
    ]
    return [
        Scenario(size, transport, options.payload, options.busy_thread)
        for transport in transports
        for size in options.sizes
    ]


def _print_heading(
    options: argparse.Namespace,
    clients: list[str],
    scenarios: list[Scenario],
    cores: Cores,
    environment: dict[str, Any],
) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    print(
        f"Python {environment['python']} on {environment['platform']}, load {environment['load']}"
    )
    print(f"{versions}\n{environment['cores']} cores; {cores}")
    absent = [name for name in options.clients if name not in clients]
    if absent:
        print(f"not importable here, left out: {', '.join(absent)}")
    one_client = options.rounds * (options.seconds + START_SECONDS) + 2 * START_SECONDS
    minutes = len(scenarios) * len(clients) * one_client / 60
    print(f"{len(scenarios)} scenarios, {len(clients)} clients: about {minutes:.0f} minutes")
    sys.stdout.flush()


def _progress(text: str) -> None:
    """Keep the person at the terminal informed, and files free of it."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _as_json(run: Run, environment: dict[str, Any], checks: list[str]) -> dict[str, Any]:
    options = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(run.options).items()
    }
    return {
        "environment": environment,
        "cores": asdict(run.cores),
        "options": options,
        "results": [
            {
                **asdict(scenario),
                "client": name,
                "samples": [{**asdict(sample), "rate": sample.rate} for sample in measured],
            }
            for scenario, samples in run.results.items()
            for name, measured in samples.items()
        ],
        "checks": checks,
        "failures": run.failures,
    }


if __name__ == "__main__":
    sys.exit(main())
