"""Damages objects in the store, for the faults that strike stored content."""

from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from sandbox.faults import FaultUnknown
from sandbox.services.object_store import ADMIN, REGION

BLOBS = "blobs/"


def corrupt_largest_blob(endpoint: str) -> None:
    """Change one byte in the middle of the store's largest blob. Raises FaultUnknown if there is no blob."""
    _damage_largest("corrupt-blob", endpoint, flipped)


def truncate_largest_blob(endpoint: str) -> None:
    """Cut the second half of the store's largest blob. Raises FaultUnknown if there is no blob."""
    _damage_largest("truncated-blob", endpoint, lambda content: content[: len(content) // 2])


def flipped(content: bytes) -> bytes:
    """Return the content with one bit of the byte in its middle changed."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _damage_largest(fault: str, endpoint: str, damaged: Callable[[bytes], bytes]) -> None:
    store: Any = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ADMIN.access_key,
        aws_secret_access_key=ADMIN.secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )
    blobs = [(found["Size"], bucket, found["Key"]) for bucket in _buckets(store) for found in _objects(store, bucket)]
    if not blobs:
        raise FaultUnknown(f"'{fault}' finds no blob in the object store: upload the weights first.")
    _, bucket, key = max(blobs)
    stored = store.get_object(Bucket=bucket, Key=key)
    content = damaged(stored["Body"].read())
    store.put_object(Bucket=bucket, Key=key, Body=content, Metadata=stored.get("Metadata", {}))


def _buckets(store: Any) -> list[str]:
    return [bucket["Name"] for bucket in store.list_buckets()["Buckets"]]


def _objects(store: Any, bucket: str) -> list[dict[str, Any]]:
    pages = store.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=BLOBS)
    return [found for page in pages for found in page.get("Contents", []) if found["Size"]]
