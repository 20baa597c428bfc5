"""Bounds the samples of one sender by a token bucket, so that one sender's flood slows only itself. Pure."""

from dataclasses import dataclass

SAMPLES_A_SECOND = 500.0  # a host of ours writes about 30
BURST_SAMPLES = 60_000.0  # a host that catches up after an outage of half an hour


@dataclass
class Allowance:
    """The samples that one sender may still write. `at`: the moment of that count (monotonic seconds)."""

    left: float = BURST_SAMPLES
    at: float | None = None

    def take(self, samples: int, now: float) -> float:
        """Take samples out of the bucket. Return 0, or the seconds until the bucket will have enough."""
        if self.at is not None:
            self.left = min(BURST_SAMPLES, self.left + (now - self.at) * SAMPLES_A_SECOND)
        self.at = now
        if samples > self.left:
            return (min(samples, BURST_SAMPLES) - self.left) / SAMPLES_A_SECOND
        self.left -= samples
        return 0.0
