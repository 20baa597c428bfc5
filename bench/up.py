"""Wall time of `pulumi up` from nothing to N serving instances, over what it cannot be shorter than.

    limit = slowest of (its turn in the rent threshold + its machine's boot + its transfer) + the engine's empty run

Turn: the number of instances rented before it, times the market's interval. Boot: the machine's, by the market's own
records. Transfer: weights and kit at the machine's advertised rate. Empty run: an `up` from nothing of the same stack with
no replicas, measured just before: identity, bucket and blobs are made in it, and all that the engine itself costs. Not
in the limit, and so part of the ratio: searching, listing and looking (which have thresholds of their own), SSH,
converging, the start of vLLM (its double here), the probe, and the processes that all this takes. The market keeps the pace
of the real one: its published threshold, and boots of some 20 to 90 s.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._cloud import Cloud, instances, running_cloud
from bench._figures import figure
from providers.vast.api.rate_limit import INTERVALS
from sandbox.market.records.contracts import Contract
from tests.doubles.pulumi_stack import Stack

SIZES = (1, 2, 4, 8, 16)  # 32 are brought up by courtesy.py, which needs them anyway
TIME_SCALE = 1.0  # a faster clock shortens the market's share of the limit, and not our work
GOAL = 1.15
MBIT = 1e6 / 8


@dataclass(frozen=True)
class Parts:
    """What one instance cannot do without, in seconds."""

    name: str
    turn: float
    boot: float
    transfer: float

    @property
    def total(self) -> float:
        """Return their sum."""
        return self.turn + self.boot + self.transfer


def main() -> None:
    """Measure and print."""
    with running_cloud(TIME_SCALE) as cloud:
        for size in SIZES:
            with cloud.stack(replicas=0) as stack:
                empty = timed_up(stack)
            with cloud.stack(replicas=size) as stack:
                took = timed_up(stack)
                rows = instances(stack)
                slowest = max(parts_of(rows, cloud), key=lambda parts: parts.total)
            limit = slowest.total + empty
            print(
                f"{size} instances: up {took:.2f} s; limit {limit:.2f} s = turn {slowest.turn:.2f} + boot "
                f"{slowest.boot:.2f} + transfer {slowest.transfer:.2f} ({slowest.name}) + empty run {empty:.2f}",
                describe_phases(rows),
                sep="\n",
                flush=True,
            )
            figure(f"pulumi up over its limit, {size} instances", took / limit, "ratio", GOAL)


def timed_up(stack: Stack) -> float:
    """Run `pulumi up` and return its seconds."""
    began = time.perf_counter()
    stack.up()
    return time.perf_counter() - began


def parts_of(rows: list[dict[str, Any]], cloud: Cloud) -> list[Parts]:
    """Return the parts of each instance's limit, in the order in which they were rented."""
    contracts = {contract.id: contract for contract in cloud.sandbox.market.all()}
    rows = sorted(rows, key=lambda row: contracts[int(row["instanceId"])].born)
    return [parts(row, place, contracts[int(row["instanceId"])]) for place, row in enumerate(rows)]


def parts(row: Mapping[str, Any], place: int, contract: Contract) -> Parts:
    """Return the parts of one instance's limit; `place`: how many were rented before it."""
    size = sum(int(file["size"]) for name in ("model", "kit") for file in row[name]["files"])
    return Parts(
        name=row["name"],
        turn=place * INTERVALS["rent"] / TIME_SCALE,
        boot=(contract.due - contract.born) / TIME_SCALE,
        transfer=size / (contract.machine.inet_down * MBIT),
    )


def describe_phases(rows: list[dict[str, Any]]) -> str:
    """Return a line about the time of the phases: the mean and the longest of each."""
    phases = {
        phase: [float(row["phases"][phase]) for row in rows if phase in row["phases"]] for phase in rows[0]["phases"]
    }
    means = [f"{phase} {sum(each) / len(each):.2f} (longest {max(each):.2f})" for phase, each in phases.items()]
    attempts = sum(int(row["attempts"]) for row in rows)
    return f"  seconds by phase: {', '.join(means)}; {attempts} attempts"


if __name__ == "__main__":
    main()
