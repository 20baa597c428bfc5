"""What the figures share: the one line that each prints, and percentiles."""

import json
from collections.abc import Sequence


def figure(name: str, value: float, unit: str, goal: float, better: str = "less") -> None:
    """Print one figure as a JSON line; `better` is "less" or "more"."""
    row = {"figure": name, "value": round(value, 3), "unit": unit, "goal": goal, "better": better}
    print(json.dumps(row), flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the values lie; nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
