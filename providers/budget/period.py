"""The UTC day and month of a moment, which budgets are for. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

DAY, MONTH = "day", "month"
HOUR = 3600.0


@dataclass(frozen=True)
class Period:
    """A UTC day or month. `begins` and `ends` are unix seconds; the end belongs to the next period."""

    name: str
    begins: float
    ends: float

    def hours_left(self, now: float) -> float:
        """Return the hours from `now` (unix seconds) to the end; 0 if it is over."""
        return max(0.0, self.ends - max(now, self.begins)) / HOUR

    def hours_of(self, began: float, ended: float) -> float:
        """Return the hours between two moments (unix seconds) that lie in the period."""
        return max(0.0, min(ended, self.ends) - max(began, self.begins)) / HOUR


def periods_of(now: float) -> tuple[Period, Period]:
    """Return the UTC day and the UTC month of `now` (unix seconds)."""
    midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    day = Period(DAY, midnight.timestamp(), (midnight + timedelta(days=1)).timestamp())
    return day, Period(MONTH, first.timestamp(), following.timestamp())
