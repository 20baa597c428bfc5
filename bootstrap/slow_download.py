"""Decide whether a slow download is the host's fault or the store's, pure.

If the operator names a reference URL, the host's rate from there decides. Otherwise this machine's rate from the same
store at the same time decides. This machine's line may be slower than the line that a host should have, so that only the
comparison counts. A host that gets far less than this machine has a slow line. In all other cases the store may be to
blame, and the host is kept.
"""

from dataclasses import dataclass

FAR_LESS = 2.0  # times; below that, two measurements of one line differ


@dataclass(frozen=True)
class Rates:
    """Hold download rates in Mb/s; None if not measured.

    `host`: the host from the store. `least`: the bound. `elsewhere`: the host from the reference. `here`: this machine
    from the store.
    """

    host: float
    least: float
    elsewhere: float | None = None
    here: float | None = None


def store_to_blame(rates: Rates) -> str:
    """Return why the store is, or may be, to blame; empty if the host is."""
    if rates.elsewhere is not None:
        if rates.elsewhere < rates.least:
            return ""
        return f"the host gets {rates.elsewhere:.1f} Mb/s from elsewhere, so its line is good"
    if rates.here is None:
        return "this machine could not measure the store, so nothing says that it is the host's line"
    if rates.here > FAR_LESS * rates.host:
        return ""
    return f"this machine gets {rates.here:.1f} Mb/s from the store, too"
