"""What instances that boot ask of the market while they wait: calls a minute of boot and instance, for 1, 3 and 32."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from tests.doubles.waiting import GOAL_CALLS, calls_a_minute


def main() -> None:
    """Measure and print."""
    for count, goal in GOAL_CALLS.items():
        with tempfile.TemporaryDirectory() as folder:
            found = calls_a_minute(Path(folder), count)
        figure(f"calls to the market a minute of boot and instance, {count} at once", found, "", goal)


if __name__ == "__main__":
    main()
