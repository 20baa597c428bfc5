"""Decide by one mark which stack owns a bucket, pure.

A bucket outlives its stack (`onDestroy: keep`), and the next stack has another id. So a stack that gives a bucket up marks
it as kept, and any stack with keys for it may take it over. A bucket without a mark, or with the mark of a living stack, is
never touched. The mark is an object, because Hetzner's store has no tags; older versions wrote it as a tag.
"""

import json
from enum import Enum
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints, ValidationError

OWNER_KEY = "gpu-fleet-owner.json"
TAG = "gpu-fleet"
KEPT = "kept"


class Owner(Enum):
    """Name the meaning of a bucket's mark to one stack."""

    OURS = "ours"
    KEPT = "kept"  # given up by its stack, free to take over
    OTHER_STACK = "other stack"
    UNMARKED = "unmarked"

    @property
    def may_take(self) -> bool:
        """Return whether this stack may write its own mark onto the bucket."""
        return self in {Owner.OURS, Owner.KEPT}


class _Object(BaseModel):
    stack_id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{4,64}$")] = Field(alias="stackId")


def to_text(mark: str) -> str:
    """Return the owner object's content, JSON, for a mark."""
    return json.dumps({"stackId": mark}) + "\n"


def from_text(text: bytes) -> str:
    """Return the mark in an owner object. Raises ValueError if it has none."""
    try:
        return _Object.model_validate_json(text).stack_id
    except ValidationError:
        raise ValueError("no mark") from None


def owner(mark: str | None, stack_id: str) -> Owner:
    """Compare a bucket's mark, None if it has none, with a stack id. A stack that has no id yet passes an empty one."""
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
            "Choose another gpu-fleet:store.bucket, or destroy that stack first. If that stack is gone without a destroy, "
            f"hand the bucket over: {by_hand(name, endpoint)}"
        )
    return (
        f"The bucket {name!r} at {endpoint} exists and has no object {OWNER_KEY!r}, so it is not ours. It was not "
        "touched. Choose another gpu-fleet:store.bucket; if this one is yours and meant for it, hand it over: "
        + by_hand(name, endpoint)
    )


def unreadable(name: str, endpoint: str) -> str:
    """Return the sentence for a bucket whose owner object holds no mark."""
    return (
        f"The object {OWNER_KEY!r} of bucket {name!r} at {endpoint} does not say whose the bucket is. It was not touched. "
        f"If the bucket is yours, hand it over: {by_hand(name, endpoint)}"
    )


def by_hand(name: str, endpoint: str) -> str:
    """Return the command that lets any stack take a bucket over."""
    content = to_text(KEPT).strip()
    return f"`echo '{content}' | aws --endpoint-url {endpoint} s3 cp - s3://{name}/{OWNER_KEY}`"
