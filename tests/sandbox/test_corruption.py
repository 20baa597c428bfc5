"""Damage to a stored blob: one byte of the largest one, found by its digest."""

from __future__ import annotations

import boto3
import pytest

from sandbox.corruption import corrupt_largest_blob
from sandbox.faults import FaultUnknown
from sandbox.services.object_store import ADMIN, REGION, ObjectStore

pytestmark = pytest.mark.service


def test_one_byte_of_the_largest_blob_changes(tmp_path):
    with ObjectStore(tmp_path) as store:
        with pytest.raises(FaultUnknown, match="upload the weights first"):
            corrupt_largest_blob(store.endpoint)
        keys = {"aws_access_key_id": ADMIN.access_key, "aws_secret_access_key": ADMIN.secret_key}
        s3 = boto3.client("s3", endpoint_url=store.endpoint, region_name=REGION, **keys)
        s3.create_bucket(Bucket="models")
        for name, size in (("blobs/sha256/small", 10), ("blobs/sha256/large", 1001), ("ledger/largest", 5000)):
            s3.put_object(Bucket="models", Key=name, Body=b"x" * size)
        corrupt_largest_blob(store.endpoint)
        read = {
            name: s3.get_object(Bucket="models", Key=name)["Body"].read()
            for name in ("blobs/sha256/small", "blobs/sha256/large", "ledger/largest")
        }
    assert len(read["blobs/sha256/large"]) == 1001
    assert sum(byte != ord("x") for byte in read["blobs/sha256/large"]) == 1
    assert set(read["blobs/sha256/small"] + read["ledger/largest"]) == {ord("x")}
