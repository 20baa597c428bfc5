"""Writes where the time of the last `make test` went into CONTRIBUTING.md, by folder: `python -m tools.durations`.

It reads the report in JUnit's form that `make test` leaves. Seconds are those of the tests with their set-up, summed over
all that ran at once; they are longer than the run.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

CHECKOUT = Path(__file__).resolve().parent.parent
REPORT = CHECKOUT / ".pytest_cache" / "test.xml"
PAGE = CHECKOUT / "CONTRIBUTING.md"
BEGIN, END = "<!-- durations: written by `python -m tools.durations` -->", "<!-- end of durations -->"


@dataclass
class Folder:
    """What ran in one folder of tests, in seconds by test."""

    tests: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Return the sum."""
        return sum(self.tests.values())

    @property
    def slowest(self) -> str:
        """Name the test that took longest."""
        name = max(self.tests, key=lambda one: self.tests[one])
        return f"{name} ({self.tests[name]:.0f} s)"


def main(arguments: list[str]) -> int:
    """Read the report, that of the last `make test` by default, and write the table; 1 without a report."""
    report = Path(arguments[0]) if arguments else REPORT
    if not report.is_file():
        print(f"durations: {report} is not there; `make test` writes it.", file=sys.stderr)
        return 1
    text = table(read(report.read_text()))
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _old, end, after = rest.partition(END)
    PAGE.write_text(f"{before}{begin}\n{text}{end}{after}")
    print(text, end="")
    return 0


def read(report: str) -> dict[str, Folder]:
    """Return the folders of a report by name, such as `engine` or `providers/vast`."""
    found: dict[str, Folder] = defaultdict(Folder)
    for case in ET.fromstring(report).iter("testcase"):
        *folder, _file = case.get("classname", "").split(".")[1:] or ("",)
        name = case.get("name", "").partition("[")[0]
        tests = found["/".join(folder[:2]) or "."].tests
        tests[name] = tests.get(name, 0.0) + float(case.get("time", "0"))
    return dict(found)


def table(folders: Mapping[str, Folder]) -> str:
    """Lay out the folders in Markdown, the slowest first."""
    rows = ["| folder of tests | seconds | share | slowest |", "| --- | --- | --- | --- |"]
    total = sum(folder.seconds for folder in folders.values()) or 1.0
    for name, folder in sorted(folders.items(), key=lambda one: -one[1].seconds):
        rows.append(f"| {name} | {folder.seconds:.0f} | {folder.seconds / total:.0%} | {folder.slowest} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
