"""Whose fault is a slow download, the host's or the store's? Pure.

What the host gets from elsewhere decides, where the operator has named such a place. Else what this machine gets from the
same store at the same time does. Its own line may be slower than what a host is wished to have, so only the comparison
counts: a host that gets far less than this machine has a slow line of its own, and in all other cases the store is in doubt.
A doubt never costs a machine.
"""

from dataclasses import dataclass

FAR_LESS = 2.0  # times; below that, two measurements of one line differ


@dataclass(frozen=True)
class Rates:
    """Download rates in Mb/s. `elsewhere`: what the host gets from the reference, `here`: what this machine gets from the
    store; None where that was not measured."""

    host: float
    least: float
    elsewhere: float | None = None
    here: float | None = None


def store_to_blame(rates: Rates) -> str:
    """Say why the store is to blame, or may be; empty where the host is."""
    if rates.elsewhere is not None:
        if rates.elsewhere < rates.least:
            return ""
        return f"the host gets {rates.elsewhere:.1f} Mb/s from elsewhere, so its line is good"
    if rates.here is None:
        return "this machine could not measure the store, so nothing says that it is the host's line"
    if rates.here > FAR_LESS * rates.host:
        return ""
    return f"this machine gets {rates.here:.1f} Mb/s from the store, too"
