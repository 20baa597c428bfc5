"""Format bytes and euros for a progress line, pure."""

from dataclasses import dataclass

TB = 1_000_000_000_000
EUROS_A_STARTED_TB = 5
# Hetzner's price of egress: the base price includes a terabyte a month, and each further terabyte costs this.
INCLUDED_EGRESS_BYTES = TB
EGRESS_EUROS_A_TB = 1.0
# Its price of storage beyond the terabyte that the base price of an account includes.
EUROS_A_TB_HOUR = 0.0067
MONTH_HOURS = 730
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
    """Return the monthly price in euros of a bucket at Hetzner: a price for each started TB, the first also when empty."""
    return EUROS_A_STARTED_TB * max(1, -(-count // TB))


def storage_euros(count: int, included: int = TB) -> float:
    """Return the price of so many bytes a month at Hetzner on top of the base price, which includes a terabyte an account."""
    return max(0, count - included) / TB * EUROS_A_TB_HOUR * MONTH_HOURS


@dataclass(frozen=True)
class StartCost:
    """Compute the cost of the bucket's egress when one instance starts. `bytes`: those that leave the bucket."""

    bytes: int

    @property
    def euros(self) -> float:
        """Return the price of one start in euros, after the included terabyte is used up."""
        return self.bytes / TB * EGRESS_EUROS_A_TB

    @property
    def included(self) -> int:
        """Return how many starts a month the included terabyte covers."""
        return INCLUDED_EGRESS_BYTES // max(1, self.bytes)

    def describe(self, endpoint: str) -> str:
        """Describe the cost in one line; only Hetzner's prices are known, so that another store's `endpoint` gets none."""
        leaves = f"{size(self.bytes)} leave the bucket at each start"
        if HETZNER not in endpoint:
            return leaves
        free = f"{self.included:,} starts a month are in Hetzner's included TB"
        return f"{leaves}: {free}, EUR {self.euros:.4f} each after that"

    def to_output(self) -> dict[str, float]:
        """Return it as an output of the stack."""
        return {"gigabytes": round(self.bytes / 1e9, 3), "euros": round(self.euros, 6), "includedStarts": self.included}
