"""Marks in the stack's bucket, one object a label: `serving/<stack id>.<name>.json`.

Conditional writes let exactly one of two writers win.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ValidationError

from bootstrap.clock import Clock
from providers.store.client import Keys, LateClient, connect
from providers.store.conditional_writes import SETTLE_SECONDS, put_if
from providers.store.errors import StoreError, code_of
from providers.vast.api.label import parse
from providers.vast.renting.serving_marks import MarkUnknown, NoMarks, ServingMark

PREFIX = "serving/"
READ_SECONDS = 5.0
NO_OBJECT = {"NoSuchKey", "404"}


class _Object(BaseModel):
    instance: int
    by: tuple[str, ...]


@lru_cache(maxsize=8)
def open_marks(endpoint: str, region: str, bucket: str, keys: Keys, clock: Clock) -> "BucketMarks | NoMarks":
    """Return the marks of a bucket, or NoMarks if the store has no keys."""
    if not keys.access or not keys.secret:
        return NoMarks()
    return BucketMarks(lambda: connect(endpoint, region, keys, 2, READ_SECONDS), bucket, clock)


class BucketMarks:
    """Marks in a bucket; satisfies `providers.vast.renting.serving_marks.Marks`.

    `connect` makes the boto3 client at the first use.
    """

    lasting = True

    def __init__(self, connect: Callable[[], Any], bucket: str, clock: Clock) -> None:
        self._client, self._bucket, self._clock = LateClient(connect), bucket, clock

    def read(self, label: str) -> ServingMark | None:
        """Return a label's mark, or None if it has none."""
        with _knowable():
            try:
                answer = self._client().get_object(Bucket=self._bucket, Key=_key(label))
                text: bytes = answer["Body"].read()
            except ClientError as error:
                if code_of(error) in NO_OBJECT:
                    return None
                raise
            found = _Object.model_validate_json(text)
        return ServingMark(found.instance, found.by, str(answer["ETag"]))

    def write(self, label: str, held: ServingMark, seen: ServingMark | None) -> None:
        """Replace the mark that was seen, unless another creator has replaced it meanwhile."""
        text = _Object(instance=held.instance, by=held.by).model_dump_json()
        put = {
            "Bucket": self._bucket,
            "Key": _key(label),
            "Body": f"{text}\n".encode(),
            "ContentType": "application/json",
        }
        condition = {"IfMatch": seen.version} if seen else {"IfNoneMatch": "*"}
        with _knowable():
            # The second write tells whether the store obeys conditions. If it does not, the last writer has won.
            if put_if(self._client(), put, **condition) and put_if(self._client(), put, IfNoneMatch="*"):
                self._clock.sleep(SETTLE_SECONDS)

    def clear(self, label: str, instance_id: int) -> None:
        """Remove the mark that names an instance."""
        held = self.read(label)
        if held and held.instance == instance_id:
            with _knowable():
                self._client().delete_object(Bucket=self._bucket, Key=_key(label))


def _key(label: str) -> str:
    parts = parse(label)
    if parts is None:
        raise MarkUnknown(f"{label} is no label of ours")
    return f"{PREFIX}{parts.stack_id}.{parts.name}.json"


@contextmanager
def _knowable() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise MarkUnknown(f"the store refuses its mark ({code_of(error)})") from error
    except (BotoCoreError, StoreError, OSError) as error:
        raise MarkUnknown(f"the store does not answer for its mark ({type(error).__name__})") from error
    except ValidationError as error:
        raise MarkUnknown("its mark in the store does not parse") from error
