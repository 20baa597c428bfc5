"""Shows a stack's endpoints as a table: `python -m tools.table STACK`.

A column is any output that maps the endpoints' names to plain values; nothing secret is asked for, so none is shown.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def main(arguments: list[str]) -> int:
    """Print the table of the stack named by the only argument."""
    done = subprocess.run(
        ["pulumi", "stack", "output", "--json", "--stack", arguments[0]],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        return done.returncode
    print(render(json.loads(done.stdout)), end="")
    return 0


def render(outputs: Mapping[str, Any]) -> str:
    """Lay out the table; a sentence where the stack has no endpoint."""
    endpoints = outputs.get("endpoints")
    if not isinstance(endpoints, dict) or not endpoints:
        return "The stack has no endpoints.\n"
    columns = [("name", {name: name for name in endpoints}), ("url", endpoints)]
    for key, value in sorted(outputs.items()):
        if key != "endpoints" and is_column(value, endpoints):
            columns.append((key, value))
    rows = [[title for title, _ in columns]]
    rows += [[plain(values.get(name, "")) for _, values in columns] for name in sorted(endpoints)]
    return lines(rows)


def is_column(value: object, endpoints: Mapping[str, Any]) -> bool:
    """Say whether an output holds one plain value for endpoints."""
    return (
        isinstance(value, dict)
        and bool(value)
        and set(value) <= set(endpoints)
        and all(isinstance(item, str | int | float) and item != "[secret]" for item in value.values())
    )


def plain(value: object) -> str:
    """Write a value as a person would: four decimals at most, since prices an hour need no more."""
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def lines(rows: list[list[str]]) -> str:
    """Align the rows in columns, two blanks between them."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() + "\n" for row in rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
