"""Chooses the first contract id of a market."""

IDS_A_SECOND = 20
IDS_EPOCH = 1_760_000_000


def first_id(real_time: float) -> int:
    """Return the first contract id of a market that starts at this unix second.

    It is above every id of an earlier market. So a stack that remembers an old instance never finds a stranger under
    that id.
    """
    return max(1, int((real_time - IDS_EPOCH) * IDS_A_SECOND))
