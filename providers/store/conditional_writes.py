"""Write an object only if no other writer was faster, on stores with conditional writes and on those without.

Amazon's store refuses a conditional write that comes second. Ceph, which Hetzner runs, ignored the condition in reports of
2026. Other stores refuse every condition.
"""

from typing import Any

from botocore.exceptions import ClientError

from providers.store.errors import code_of

LOST = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
NO_CONDITIONS = {"NotImplemented", "InvalidArgument", "InvalidRequest"}
SETTLE_SECONDS = 3.0  # until a store without conditions shows the last write to all readers


def put_if(s3: Any, arguments: dict[str, Any], **condition: str) -> bool:
    """Call put_object with the arguments and return whether the condition held. boto3's errors pass through."""
    try:
        s3.put_object(**arguments, **condition)
    except ClientError as error:
        if code_of(error) in LOST:
            return False
        if code_of(error) not in NO_CONDITIONS:
            raise
        s3.put_object(**arguments)
    return True
