"""Writes that hold only where nobody was faster, on stores that keep to conditions and on those that do not.

Amazon's store refuses a conditional write that comes second; Ceph, which Hetzner runs, ignored the condition in reports of
2026, and other stores refuse conditions as such.
"""

from typing import Any

from botocore.exceptions import ClientError

from providers.store.errors import code_of

LOST = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
NO_CONDITIONS = {"NotImplemented", "InvalidArgument", "InvalidRequest"}
SETTLE_SECONDS = 3.0  # after which a store without conditions shows to all who wrote last


def put_if(s3: Any, order: dict[str, Any], **condition: str) -> bool:
    """Write the object of an order (arguments of put_object) and say whether the condition held. boto3's errors pass."""
    try:
        s3.put_object(**order, **condition)
    except ClientError as error:
        if code_of(error) in LOST:
            return False
        if code_of(error) not in NO_CONDITIONS:
            raise
        s3.put_object(**order)
    return True
