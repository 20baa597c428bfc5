"""Machines given back because of the market's API: ten minutes of each trouble that was seen, from each phase of a create on.

The rules are the real ones, with market and clock in memory; see tests/doubles/outages.py.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from tests.doubles.outages import PHASES, TROUBLES, machines_given_back


def main() -> None:
    """Count and print."""
    found = {(trouble, phase): machines_given_back(trouble, phase) for trouble in TROUBLES for phase in PHASES}
    for (trouble, phase), count in found.items():
        if count:
            print(f"{trouble} from {phase} on: {count} given back", flush=True)
    figure(f"machines given back because of the API's trouble, {len(found)} creates", sum(found.values()), "", 0)


if __name__ == "__main__":
    main()
