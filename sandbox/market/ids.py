"""Which numbers a market gives its contracts."""

IDS_A_SECOND = 20
IDS_EPOCH = 1_760_000_000


def first_id(real_time: float) -> int:
    """Return the first contract id of a market that starts at this unix second: above any that one started earlier gave,
    so that a stack that remembers an instance of an earlier market never meets a stranger under its id."""
    return max(1, int((real_time - IDS_EPOCH) * IDS_A_SECOND))
