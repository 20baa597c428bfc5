"""Bytes, seconds and euros in the words of a progress line, pure."""

from dataclasses import dataclass

TB = 1_000_000_000_000
EUROS_A_STARTED_TB = 5
# Hetzner's price for what leaves a bucket: a terabyte a month is in the base price, each further one costs this.
INCLUDED_EGRESS_BYTES = TB
EGRESS_EUROS_A_TB = 1.0
HETZNER = ".your-objectstorage.com"  # the end of its endpoints
UNITS = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "KB"))


def size(count: int) -> str:
    """Return a number of bytes with its largest fitting decimal unit: `290 KB`, `16.1 GB`."""
    for unit, word in UNITS:
        if count >= unit:
            value = count / unit
            return f"{value:.0f} {word}" if value >= 100 else f"{value:.1f} {word}"
    return f"{count} bytes"


def monthly_euros(count: int) -> int:
    """Return what a bucket of this many bytes costs a month at Hetzner: a price for each started TB, the
    first also when empty.
    """
    return EUROS_A_STARTED_TB * max(1, -(-count // TB))


@dataclass(frozen=True)
class StartCost:
    """What the bucket's egress costs for one instance that starts: bytes, euros past the included terabyte, and how many
    starts a month are within it.
    """

    bytes: int

    @property
    def euros(self) -> float:
        """Price of one start once the included terabyte is used up."""
        return self.bytes / TB * EGRESS_EUROS_A_TB

    @property
    def included(self) -> int:
        """Starts a month that cost nothing."""
        return INCLUDED_EGRESS_BYTES // max(1, self.bytes)

    def told(self, endpoint: str) -> str:
        """Describe it in one line; only Hetzner's prices are known, so another store's `endpoint` gets none."""
        leaves = f"{size(self.bytes)} leave the bucket at each start"
        if HETZNER not in endpoint:
            return leaves
        free = f"{self.included:,} starts a month are in Hetzner's included TB"
        return f"{leaves}: {free}, EUR {self.euros:.4f} each after that"

    def to_output(self) -> dict[str, float]:
        """Return it as an output of the stack."""
        return {"gigabytes": round(self.bytes / 1e9, 3), "euros": round(self.euros, 6), "includedStarts": self.included}
