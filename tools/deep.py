"""Runs every test in parts that can be resumed, and writes the last result into docs/benchmarks.md: `make test-deep`.

    python -m tools.deep                  the parts that have not passed at this commit
    python -m tools.deep seams-1 soak-2   these parts, whether they have passed or not

The table on that page is also the memory: it says which part passed at which commit, on whatever machine. The commit is the
last one that changed more than that page. A run of a changed work tree is no result.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = "docs/benchmarks.md"
REPORTS = CHECKOUT / ".pytest_cache"
BEGIN, END = "<!-- every test: written by `make test-deep` -->", "<!-- end of every test -->"
SLOW = "host or engine or vllm or monitoring"
SEAMS, SOAK, FAULTS = "tests/faults/test_seams.py", "tests/faults/test_soak.py", "tests/faults"
SOAK_SEEDS, SOAK_PARTS = 200, 5
KILLS = "tests/faults/test_kills.py"
NODE, PODS = "tests/node", "tests/monitoring/kubernetes/test_pods.py"
CLIENTS, PLUGIN, HETZNER = "tests/clients", "tests/engine/test_kubernetes.py", "tests/engine/test_hetzner.py"
SERVERS, SERVER_PODS = "tests/sandbox/hetzner", "tests/sandbox/hetzner/test_k3s_pods.py"
CLUSTER, CLUSTER_PODS = "tests/engine/test_cluster_life.py", "tests/engine/test_cluster_pods.py"
BALANCER = "tests/engine/test_cluster_balancer.py"
PURE, PROVIDERS, CONTROLLER = f"not ({SLOW} or live)", "tests/providers", "tests/controller"
CHANGES, REVIEWS = "tests/engine/test_changes_table.py", "tests/engine/test_review_is_up.py"  # the engine's longest
NEED_NODE = (PODS, SERVER_PODS, CLUSTER_PODS)  # of monitoring; each has a part of its own
SHORT, CHANGED = 12, "+"  # figures of a commit that the page shows; the mark of a changed work tree
ROW = re.compile(
    r"^\| (?P<part>[\w-]+) \| (?P<date>[\d-]{10}) \| `(?P<commit>[0-9a-f]{12})` \| (?P<passed>\d+) \| (?P<failed>\d+)"
    r" \| (?P<skipped>\d+) \| (?P<minutes>[\d.]+) \|$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Part:
    """One run of pytest. `setup` is what set-up must bring on request; `workers`: how many tests run at once."""

    words: tuple[str, ...]
    workers: str = "auto"
    environment: tuple[tuple[str, str], ...] = ()
    setup: str = ""


@dataclass(frozen=True)
class Result:
    """How a part ended; `commit` is shortened."""

    commit: str
    date: str
    passed: int
    failed: int
    skipped: int
    minutes: float


def parts() -> dict[str, Part]:
    """Return all parts in their order. Together they run every test: each folder that is left out of one is another."""
    seeds = range(0, SOAK_SEEDS, SOAK_SEEDS // SOAK_PARTS)
    soak = {
        f"soak-{number}": Part((SOAK,), environment=(("SOAK", f"{first}-{first + seeds.step}"),))
        for number, first in enumerate(seeds, 1)
    }
    return {
        "pure": Part(("-m", PURE, *without(CLIENTS, PROVIDERS, CONTROLLER))),
        "providers": Part((PROVIDERS, "-m", PURE)),
        "controller": Part((CONTROLLER, "-m", PURE)),
        "vllm": Part(("-m", "vllm and not live"), "0"),
        "monitoring": Part(
            ("-m", "monitoring and not vllm and not live", *without(KILLS, CLUSTER, BALANCER, *NEED_NODE))
        ),
        "hosts": Part(
            ("-m", "host and not (engine or vllm or monitoring or live)", "--ignore", FAULTS, "--ignore", NODE)
        ),
        "engine": Part(("-m", "engine and not (vllm or monitoring or live)", *without(FAULTS, NODE, CHANGES, REVIEWS))),
        "changes": Part((CHANGES,)),
        "reviews": Part((REVIEWS,)),
        "faults": Part((FAULTS, "-m", f"({SLOW}) and not monitoring", "--ignore", SEAMS, "--ignore", SOAK)),
        "seams": Part((SEAMS,)),
        "kills": Part((KILLS,)),
        **soak,
        "official-plugin": Part((PLUGIN,), "0", setup="kubernetes-plugin"),
        "hetzner": Part((HETZNER, SERVERS, *without(SERVER_PODS)), "0", setup="hcloud-plugin,hetzner"),
        "cluster": Part((CLUSTER,), "0", setup="hcloud-plugin,hetzner"),
        "balancer": Part((BALANCER,), "0", setup="hcloud-plugin,hetzner"),
        "server-pods": Part((SERVER_PODS,), "0", setup="hetzner,node"),
        "cluster-pods": Part((CLUSTER_PODS,), "0", setup="hcloud-plugin,hetzner,node"),
        "node": Part((NODE,), "0", setup="node,controller-image"),
        "pods": Part((PODS,), "0", setup="node"),
        "clients": Part((CLIENTS,), "0", setup="clients"),
    }


def without(*files: str) -> tuple[str, ...]:
    """Return pytest's words that leave files out.

    >>> without("a", "b")
    ('--ignore', 'a', '--ignore', 'b')
    """
    return tuple(word for file in files for word in ("--ignore", file))


def command(part: Part, report: Path) -> list[str]:
    """Return the words of a part's run."""
    return ["pytest", "-q", "-n", part.workers, "--dist", "loadgroup", f"--junitxml={report}", *part.words]


def main(arguments: Sequence[str]) -> int:
    """Run the parts; 1 if one of them failed."""
    known = parts()
    if unknown := set(arguments) - known.keys():
        print(f"There is no part {', '.join(sorted(unknown))}; the parts are {', '.join(known)}.", file=sys.stderr)
        return 2
    commit, page = commit_of(CHECKOUT), CHECKOUT / PAGE
    done = remembered(page.read_text())
    todo = list(arguments) or [name for name in known if not passed(done.get(name), commit)]
    failed = []
    for number, name in enumerate(todo, 1):
        print(f"test-deep: {name} ({number} of {len(todo)})", file=sys.stderr, flush=True)
        result = run(known[name], commit, REPORTS / f"deep-{name}.xml")
        if result.failed:
            failed.append(name)
        if commit.endswith(CHANGED):
            continue
        done[name] = result
        page.write_text(with_results(page.read_text(), {name: done[name] for name in known if name in done}))
    if failed:
        print(f"test-deep: not green at {commit[:SHORT]}: {', '.join(failed)}", file=sys.stderr)
    if left := [name for name in known if not passed(done.get(name), commit)]:
        print(f"test-deep: not passed yet at {commit[:SHORT]}: {', '.join(left)}", file=sys.stderr)
    return 1 if failed else 0


def run(part: Part, commit: str, report: Path) -> Result:
    """Run one part to its end, and leave its report in JUnit's form in that file."""
    began = time.monotonic()
    date = datetime.now(UTC).date().isoformat()
    report.unlink(missing_ok=True)
    if part.setup:
        subprocess.run([sys.executable, "-m", "tools.setup", "--parts", part.setup], cwd=CHECKOUT, check=True)
    environment = {**os.environ, "TIER": "deep", **dict(part.environment)}
    status = subprocess.run(command(part, report), cwd=CHECKOUT, env=environment, check=False).returncode
    good, bad, skipped = counts(report.read_text()) if report.exists() else (0, 0, 0)
    # A run that broke off without a failed test is no green run.
    failed = max(bad, 1 if status else 0)
    return Result(commit[:SHORT], date, good, failed, skipped, round((time.monotonic() - began) / 60, 1))


def counts(report: str) -> tuple[int, int, int]:
    """Read how many tests passed, failed and were skipped out of a report in JUnit's form."""
    suites = list(ET.fromstring(report).iter("testsuite"))
    total, failures, errors, skipped = (
        sum(int(suite.get(name, "0")) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    return total - failures - errors - skipped, failures + errors, skipped


def passed(result: Result | None, commit: str) -> bool:
    """Say whether a part passed at that commit."""
    return result is not None and result.commit == commit[:SHORT] and not result.failed and not commit.endswith(CHANGED)


def remembered(page: str) -> dict[str, Result]:
    """Return the last result of each part from a page with results; a row that is no result is left out."""
    return {
        found["part"]: Result(
            found["commit"],
            found["date"],
            int(found["passed"]),
            int(found["failed"]),
            int(found["skipped"]),
            float(found["minutes"]),
        )
        for found in ROW.finditer(page.partition(BEGIN)[2].partition(END)[0])
    }


def commit_of(checkout: Path) -> str:
    """Return the last commit that changed more than the results' page, with a `+` if the work tree did so since."""
    git, rest = ["git", "-C", str(checkout)], ["--", ".", f":!{PAGE}"]
    log = subprocess.run([*git, "log", "-1", "--format=%H", *rest], capture_output=True, text=True, check=True).stdout
    changed = subprocess.run([*git, "status", "--porcelain", *rest], capture_output=True, text=True, check=True).stdout
    return log.strip() + (CHANGED if changed else "")


def with_results(page: str, results: Mapping[str, Result]) -> str:
    """Return a page with the results between its two marks."""
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    return f"{before}{begin}\n{table(results)}{end}{after}"


def table(results: Mapping[str, Result]) -> str:
    """Lay out the results in Markdown, their sum last."""
    rows = ["| part | date | commit | passed | failed | skipped | minutes |", "| --- " * 7 + "|"]
    for name, one in results.items():
        ended = f"{one.passed} | {one.failed} | {one.skipped} | {one.minutes:.1f} |"
        rows.append(f"| {name} | {one.date} | `{one.commit}` | {ended}")
    sums = [sum(getattr(one, name) for one in results.values()) for name in ("passed", "failed", "skipped")]
    minutes = sum(one.minutes for one in results.values())
    rows.append(f"| all | | | {sums[0]} | {sums[1]} | {sums[2]} | {minutes:.1f} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
