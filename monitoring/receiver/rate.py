"""How much a sender may write, pure: a bucket that fills evenly, so that one sender's flood is its own trouble."""

from dataclasses import dataclass

SAMPLES_A_SECOND = 500.0  # a host of ours writes about 30
BURST_SAMPLES = 60_000.0  # a host that catches up after an outage of half an hour


@dataclass
class Allowance:
    """What one sender may still write. `at`: when that was true (monotonic seconds)."""

    left: float = BURST_SAMPLES
    at: float | None = None

    def take(self, samples: int, now: float) -> float:
        """Take so many samples out; return 0, or after how many seconds there will be enough."""
        if self.at is not None:
            self.left = min(BURST_SAMPLES, self.left + (now - self.at) * SAMPLES_A_SECOND)
        self.at = now
        if samples > self.left:
            return (min(samples, BURST_SAMPLES) - self.left) / SAMPLES_A_SECOND
        self.left -= samples
        return 0.0
