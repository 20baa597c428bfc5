"""Make every boto3 client of the store: bounded waits, few retries, keys that never print."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from bootstrap.artifacts import s3_client
from providers.store.errors import KEYS, StoreError

CONNECT_SECONDS = 5
READ_SECONDS = 60  # a part of 64 MiB is acknowledged only after the store has written it
TRIES = 4
CONNECTIONS = 16
# S3 once took these operations with a Content-MD5 only, and other stores still do. Since 1.36, boto3 sends a CRC32 instead.
WITH_MD5 = ("PutBucketLifecycleConfiguration", "PutPublicAccessBlock", "PutBucketVersioning", "DeleteObjects")


@dataclass(frozen=True)
class Keys:
    """Hold the account's keys at the object store."""

    access: str = field(repr=False)
    secret: str = field(repr=False)


def connect(
    endpoint: str, region: str, keys: Keys | None, tries: int = TRIES, read_seconds: float = READ_SECONDS
) -> Any:
    """Return a boto3 S3 client; sends nothing. Raises StoreError if keys are missing or the endpoint is no URL."""
    if keys is None or not keys.access or not keys.secret:
        raise StoreError(f"The object store's keys are not set. Set {KEYS} with `pulumi config set --secret`.")
    try:
        client = s3_client(
            endpoint,
            region,
            keys.access,
            keys.secret,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_seconds,
            max_pool_connections=CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": tries},
        )
    except ValueError as error:
        raise StoreError(str(error)) from None
    for operation in WITH_MD5:
        client.meta.events.register(f"before-call.s3.{operation}", _add_md5)
    return client


class LateClient:
    """Make a boto3 client at its first use. Thread-safe. Raises the errors of `connect`, at each use until it succeeds."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._made: Any = None
        self._lock = Lock()  # boto3 cannot make two clients at once

    def __call__(self) -> Any:
        """Return the one client."""
        with self._lock:
            if self._made is None:
                self._made = self._connect()
            return self._made


def _add_md5(params: dict[str, Any], **_: Any) -> None:
    """Send a Content-MD5 in place of the checksum that boto3 is about to add. Amazon's store takes either."""
    body = params["body"] if isinstance(params["body"], bytes) else str(params["body"]).encode()
    params["headers"]["Content-MD5"] = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    params["headers"].pop("x-amz-sdk-checksum-algorithm", None)
    params.get("context", {}).get("checksum", {}).pop("request_algorithm", None)


def objects(s3: Any, bucket: str, prefix: str = "", after: str = "") -> Iterator[dict[str, Any]]:
    """Yield the store's row (Key, Size, LastModified, ...) of every object below a prefix, whose key is above `after`.

    boto3's errors pass.
    """
    above = {"StartAfter": after} if after else {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **above):
        yield from page.get("Contents", [])
