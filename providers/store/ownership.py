"""Whose bucket is it? Decided by one tag, pure.

A bucket outlives its stack (`onDestroy: keep`), and the next stack has another id. So giving a bucket up means to mark
it as kept: whoever has keys for it may then take it over. A bucket with no mark, or with that of a living stack, is
never touched.
"""

from enum import Enum

TAG = "gpu-fleet"
KEPT = "kept"


class Owner(Enum):
    """What a bucket's mark says to one stack."""

    OURS = "ours"
    KEPT = "kept"  # given up by its stack, free to take over
    OTHER_STACK = "other stack"
    UNMARKED = "unmarked"

    @property
    def may_take(self) -> bool:
        """Say whether this stack may write its own mark onto the bucket."""
        return self in {Owner.OURS, Owner.KEPT}


def owner(mark: str | None, stack_id: str) -> Owner:
    """Compare a bucket's mark (None: it has none) with a stack id. A stack without id yet passes an empty one."""
    if mark is None:
        return Owner.UNMARKED
    if mark == KEPT:
        return Owner.KEPT
    return Owner.OURS if stack_id and mark == stack_id else Owner.OTHER_STACK


def refusal(name: str, endpoint: str, found: Owner, mark: str | None) -> str:
    """Return the sentence for a bucket that may not be taken over."""
    if found is Owner.OTHER_STACK:
        return (
            f"The bucket {name!r} at {endpoint} belongs to another stack of gpu-fleet (id {mark}). It was not touched. "
            "Choose another gpu-fleet:store.bucket, or destroy that stack first."
        )
    return (
        f"The bucket {name!r} at {endpoint} exists and does not carry the tag {TAG!r}, so it is not ours. It was not "
        f"touched. Choose another gpu-fleet:store.bucket; if this one is yours and meant for it, tag it {TAG}={KEPT}."
    )
