"""Runs every figure of bench/ and shows them beside their goals: `make bench`.

A figure's file prints JSON lines {"figure", "value", "unit", "goal", "better": "less"|"more"}; other lines are its
talk and go to stderr. What a run measures is written to bench/results.json, beside what earlier runs of other files measured,
and all of that into the table of docs/benchmarks.md. A missed goal is shown, not an error; a file that fails is one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tools.table import lines, plain

CHECKOUT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
FIELDS: dict[str, tuple[type, ...]] = {
    "figure": (str,),
    "value": (int, float),
    "unit": (str,),
    "goal": (int, float),
    "better": (str,),
}


def main(arguments: list[str]) -> int:
    """Run the figures (those named, else all), print the table, write the results; 1 if a file failed."""
    files = sorted(file for file in (CHECKOUT / "bench").glob("*.py") if not file.name.startswith("_"))
    chosen = [file for file in files if not arguments or file.stem in arguments]
    figures: list[dict[str, Any]] = []
    failed = []
    for file in chosen:
        began = time.monotonic()
        done = subprocess.run([sys.executable, file], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=False)
        found, talk = read(done.stdout)
        print(*talk, sep="\n", file=sys.stderr)
        figures += found
        if done.returncode or not found:
            failed.append(file.stem)
        print(f"bench: {file.stem}: {time.monotonic() - began:.1f} s", file=sys.stderr)
    results, page = CHECKOUT / "bench" / "results.json", CHECKOUT / "docs" / "benchmarks.md"
    known = json.loads(results.read_text()) if arguments and results.exists() else []
    kept = merged(known, figures)
    results.write_text(json.dumps(kept, indent=2) + "\n")
    page.write_text(with_table(page.read_text(), kept))
    print(render(figures), end="")
    if failed or not chosen:
        print(f"bench: no figure came from {', '.join(failed) or 'bench/'}.", file=sys.stderr)
        return 1
    return 0


def read(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Part a file's output into figures and other lines; a figure with a wrong or missing field is no figure."""
    figures, talk = [], []
    for line in text.splitlines():
        figure = figure_of(line)
        if figure is None:
            talk.append(line)
        else:
            figures.append(figure)
    return figures, talk


def merged(known: list[dict[str, Any]], fresh: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all figures, each once and as it was measured last, by name."""
    latest = {figure["figure"]: figure for figure in [*known, *fresh]}
    return [latest[name] for name in sorted(latest)]


def figure_of(line: str) -> dict[str, Any] | None:
    """Return a line's figure, or None."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    if not isinstance(value, dict) or value.get("better") not in ("less", "more"):
        return None
    good = all(isinstance(value.get(name), kind) for name, kind in FIELDS.items())
    return value if good else None


def render(figures: list[dict[str, Any]]) -> str:
    """Lay out the figures, each with whether its goal is met."""
    rows = [["figure", "value", "goal", "unit", "met"]]
    for figure in figures:
        sign = "<=" if figure["better"] == "less" else ">="
        rows.append(
            [
                figure["figure"],
                plain(figure["value"]),
                f"{sign} {plain(figure['goal'])}",
                figure["unit"],
                "yes" if met(figure) else "NO",
            ]
        )
    return lines(rows)


def with_table(page: str, figures: list[dict[str, Any]]) -> str:
    """Return a page with the figures between its two marks."""
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    return f"{before}{begin}\n{table(figures)}{end}{after}"


def table(figures: list[dict[str, Any]]) -> str:
    """Lay out the figures in Markdown."""
    rows = ["| figure | measured | goal | met |", "| --- | --- | --- | --- |"]
    for figure in figures:
        unit = "" if figure["unit"] == "ratio" else f" {figure['unit']}".rstrip()
        sign = "≤" if figure["better"] == "less" else "≥"
        goal = f"{sign} {plain(figure['goal'])}{unit}"
        rows.append(
            f"| {figure['figure']} | {plain(figure['value'])}{unit} | {goal} | {'yes' if met(figure) else '**no**'} |"
        )
    return "\n".join(rows) + "\n"


def met(figure: dict[str, Any]) -> bool:
    """Say whether a figure is at least as good as its goal."""
    value, goal = figure["value"], figure["goal"]
    return bool(value <= goal if figure["better"] == "less" else value >= goal)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
