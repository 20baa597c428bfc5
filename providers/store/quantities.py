"""Bytes, seconds and euros in the words of a progress line, pure."""

EUROS_A_STARTED_TB = 5
TB = 1_000_000_000_000
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
