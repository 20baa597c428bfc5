"""Give up the bucket that a killed create of this stack left, and that no state knows.

Its mark names the stack's id, which no later stack has. So no later stack could use the bucket. A bucket in state is left to
its own resource.
"""

from collections.abc import Callable, Sequence
from typing import Any

from bootstrap.services import Progress
from providers.rentals.store_place import StorePlace
from providers.store.bucket import Bucket
from providers.store.errors import BucketMissing, StoreError
from providers.store.inputs import BucketInputs
from providers.vast.pulumi_state import BackendError

PHASE = "bucket"


def give_up_left_bucket(
    connect: Callable[[], Any],
    place: StorePlace,
    stack_ids: Sequence[str],
    is_in_state: Callable[[], bool],
    report_progress: Progress,
) -> None:
    """Keep or delete the bucket as `onDestroy` says, if it carries one of the ids and no state knows it.

    Never raises if the store or a state cannot be asked: a line then names the bucket that may be left.
    """
    try:
        s3 = connect()
        for stack_id in stack_ids:
            inputs = BucketInputs(
                endpoint=place.endpoint,
                region=place.region,
                name=place.bucket,
                stack_id=stack_id,
                on_destroy=place.on_destroy,
            )
            bucket = Bucket(s3, inputs, lambda line: report_progress(PHASE, line))
            if bucket.is_ours() and not is_in_state():
                bucket.give_up()
    except BucketMissing:
        return
    except (StoreError, BackendError) as error:
        report_progress(PHASE, f"whether {place.bucket} was left behind could not be asked: {error}")
