"""What we need of an object store, as checks that run against the sandbox's and, when asked, a real one.

Reading changes nothing; `making` makes one bucket with some bytes in it, and removes both.
"""

import http.client
import secrets
import ssl
from typing import Any
from urllib.parse import urlsplit

import pytest

from bootstrap.clock import Clock
from providers.store.bucket import RULE, Bucket, is_listed
from providers.store.bucket_owner import OWNER_KEY, from_text
from providers.store.errors import BucketMissing
from providers.store.inputs import BucketInputs
from providers.store.retry import when_there

PART = 5 * 2**20  # the least that a store takes of a part that is not the last


def inputs(endpoint: str, region: str, stack_id: str = "") -> BucketInputs:
    """Return a bucket with a name that nobody else has."""
    name = f"gpu-fleet-contract-{secrets.token_hex(6)}"
    return BucketInputs(
        endpoint=endpoint, region=region, name=name, stack_id=stack_id or secrets.token_hex(8), on_destroy="empty"
    )


def reading(s3: Any, endpoint: str, region: str, clock: Clock) -> None:
    """The keys are known, the account's buckets are listed, and one that was never made is said to be missing."""
    assert isinstance(s3.list_buckets()["Buckets"], list)
    bucket = Bucket(s3, inputs(endpoint, region), print, clock)
    with pytest.raises(BucketMissing):
        bucket.drift([])
    assert not is_listed(s3, endpoint, bucket.inputs.name)


def making(s3: Any, endpoint: str, region: str, clock: Clock) -> None:
    """Make, mark and set up a bucket, keep a second stack out, write, read ranges, upload in parts, and remove all."""
    wanted = inputs(endpoint, region)
    bucket = Bucket(s3, wanted, print, clock)
    try:
        refused = bucket.ensure()
        assert RULE not in refused, "broken uploads would stay, and cost"
        assert when_there(lambda: bucket.drift(refused), clock, print, wanted.name) == []
        assert is_listed(s3, endpoint, wanted.name)
        assert from_text(s3.get_object(Bucket=wanted.name, Key=OWNER_KEY)["Body"].read()) == wanted.stack_id
        assert "belongs to another stack" in bucket.refusal(secrets.token_hex(8))
        writing(s3, wanted.name)
        in_parts(s3, wanted.name)
    finally:
        bucket.give_up()
    assert not is_listed(s3, endpoint, bucket.inputs.name)


def writing(s3: Any, name: str) -> None:
    """An object, its range, and the same by a presigned URL, as hosts fetch it."""
    s3.put_object(Bucket=name, Key="blobs/one", Body=b"0123456789")
    assert s3.get_object(Bucket=name, Key="blobs/one", Range="bytes=2-4")["Body"].read() == b"234"
    place = urlsplit(s3.generate_presigned_url("get_object", {"Bucket": name, "Key": "blobs/one"}, ExpiresIn=60))
    connection = (
        http.client.HTTPSConnection(place.netloc, timeout=30, context=ssl.create_default_context())
        if place.scheme == "https"
        else http.client.HTTPConnection(place.netloc, timeout=30)
    )
    try:
        connection.request("GET", f"{place.path}?{place.query}", headers={"Range": "bytes=5-"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (206, b"56789")
    finally:
        connection.close()


def in_parts(s3: Any, name: str) -> None:
    """An upload in parts says what has arrived, and can be ended."""
    target = {"Bucket": name, "Key": "blobs/parts"}
    started = {**target, "UploadId": s3.create_multipart_upload(**target)["UploadId"]}
    tag = s3.upload_part(**started, PartNumber=1, Body=bytes(PART))["ETag"]
    assert [row["ETag"] for row in s3.list_parts(**started)["Parts"]] == [tag]
    assert [row["Key"] for row in s3.list_multipart_uploads(Bucket=name, Prefix="blobs/parts")["Uploads"]] == [
        "blobs/parts"
    ]
    s3.abort_multipart_upload(**started)
