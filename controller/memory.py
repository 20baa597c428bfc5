"""The wanted counts of a fleet in the last minutes, by the controller's own monotonic clock; pure.

A controller that starts remembers nothing. So it makes no fleet smaller before it has watched for a whole window, and a
wall clock that jumps moves no window.
"""

from dataclasses import dataclass, replace

GAP_SECONDS = 30.0  # no tick ran for so long: the wanted count meanwhile is unknown


@dataclass(frozen=True)
class Memory:
    """The counts that may still be the window's maximum, and three moments of the controller's clock."""

    since: float | None = None  # when the controller began to watch without a gap
    last: float = 0.0  # when it counted last
    wanted_at: float = 0.0  # when the fleet last needed an instance: its count was above 0, or a host served
    counts: tuple[tuple[float, int], ...] = ()  # (moment, count), falling: later and larger ones displace earlier ones

    def add(self, now: float, count: int, keep_seconds: float, idle_seconds: float) -> "Memory":
        """Return the memory with the count of this moment. After a gap it begins anew.

        `idle_seconds` is the shortest idle time that a host reported. It reveals requests between two looks.
        """
        gap = not 0 <= now - self.last <= GAP_SECONDS
        if self.since is None or gap:
            return Memory(now, now, now, ((now, count),))
        horizon = now - keep_seconds
        kept = tuple((at, old) for at, old in self.counts if old > count and at >= horizon)
        return replace(
            self,
            last=now,
            wanted_at=now if count else max(self.wanted_at, now - idle_seconds),
            counts=(*kept, (now, count)),
        )

    def watched(self, now: float) -> float:
        """Return for how many seconds the controller has watched without a gap."""
        return 0.0 if self.since is None else now - self.since

    def most(self, now: float, seconds: float) -> int:
        """Return the largest count of the last seconds."""
        return max((count for at, count in self.counts if at >= now - seconds), default=0)

    def unwanted(self, now: float) -> float:
        """Return for how many seconds the fleet has needed no instance."""
        return now - self.wanted_at
