"""List and read the ledger's objects in a bucket. boto3's errors pass through."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from providers.ledger.event import Event, KeyParts, parse, parse_key
from providers.store.client import objects

PREFIX = "ledger/"
READERS = 8


def listed(s3: Any, bucket: str, day: str = "", since: str = "") -> Iterator[tuple[str, KeyParts]]:
    """Yield keys of events without PREFIX: of one day (YYYY-MM-DD), or from a day on, or all."""
    below, after = f"{PREFIX}{day}/" if day else PREFIX, f"{PREFIX}{since}" if since else ""
    yield from _parsed(objects(s3, bucket, below, after))


def listed_at_once(s3: Any, bucket: str, since: str) -> list[tuple[str, KeyParts]] | None:
    """Return the keys of events from a day on; None if one answer of the store cannot hold them all."""
    answer = s3.list_objects_v2(Bucket=bucket, Prefix=PREFIX, StartAfter=f"{PREFIX}{since}")
    return None if answer.get("IsTruncated") else list(_parsed(answer.get("Contents", [])))


def _parsed(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[str, KeyParts]]:
    for row in rows:
        key = row["Key"].removeprefix(PREFIX)
        if parts := parse_key(key):
            yield key, parts


def read_events(s3: Any, bucket: str, keys: Iterable[str]) -> list[Event]:
    """Return the events behind keys, in that order. Objects that were deleted since, or hold no event, are left out."""

    def get(key: str) -> str:
        try:
            body: bytes = s3.get_object(Bucket=bucket, Key=PREFIX + key)["Body"].read()
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return ""
            raise
        return body.decode(errors="replace")

    with ThreadPoolExecutor(READERS) as pool:
        return [event for text in pool.map(get, keys) if (event := parse(text))]
