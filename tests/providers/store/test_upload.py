import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from providers.store.errors import StoreError
from providers.store.upload import upload
from weights.manifest import PART_BYTES, File, blob_key, of_folder

pytestmark = pytest.mark.service


@pytest.fixture
def bucket(s3: Any, name: str) -> str:
    s3.create_bucket(Bucket=name)
    return name


def file_of(path: Path) -> File:
    return next(file for file in of_folder("m", path.parent).files if file.path == path.name)


def blobs(s3: Any, bucket: str) -> list[str]:
    return [row["Key"] for row in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def broken_uploads(s3: Any, bucket: str) -> list[Any]:
    return s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


@pytest.mark.parametrize("size", [0, 1, 5000])
def test_a_small_file_becomes_a_blob_of_its_digest(s3, bucket, tmp_path, size):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(size))
    sent: list[int] = []
    upload(s3, bucket, file_of(path), path, sent.append)
    key = blob_key(hashlib.sha256(path.read_bytes()).hexdigest())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == path.read_bytes()
    assert sent == [size]


def test_a_large_file_goes_in_parts_and_arrives_whole(s3, bucket, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(1000) + bytes(2 * PART_BYTES) + os.urandom(7))
    file = file_of(path)
    sent: list[int] = []
    upload(s3, bucket, file, path, sent.append)
    assert sorted(sent) == [1007, PART_BYTES, PART_BYTES]
    digest = hashlib.sha256()
    for chunk in s3.get_object(Bucket=bucket, Key=blob_key(file.sha256))["Body"].iter_chunks(2**20):
        digest.update(chunk)
    assert digest.hexdigest() == file.sha256
    assert broken_uploads(s3, bucket) == []


@pytest.mark.parametrize("size", [10, PART_BYTES + 10])
@pytest.mark.parametrize("change", ["flip", "grow", "shrink"])
def test_a_file_that_is_not_what_the_manifest_says_leaves_no_blob(s3, bucket, tmp_path, size, change):
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    file = file_of(path)
    content = {"flip": bytes(size - 1) + b"x", "grow": bytes(size + 1), "shrink": bytes(size - 1)}[change]
    path.write_bytes(content)
    with pytest.raises(StoreError, match="not what the manifest says"):
        upload(s3, bucket, file, path, lambda _: None)
    assert blobs(s3, bucket) == []
    assert broken_uploads(s3, bucket) == []


def test_parts_that_fit_do_not_help_a_whole_that_does_not(s3, bucket, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(PART_BYTES + 1))
    true = file_of(path)
    forged = File(path="file", size=true.size, sha256="0" * 64, parts=true.parts)
    with pytest.raises(StoreError, match="not what the manifest says"):
        upload(s3, bucket, forged, path, lambda _: None)
    assert blobs(s3, bucket) == []


def test_a_bit_that_flips_on_the_line_is_refused_by_the_store(s3, bucket, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"original")

    def flip(request: Any, **_: Any) -> None:
        request.body = b"originaL"

    s3.meta.events.register("before-send.s3.PutObject", flip)
    with pytest.raises(ClientError, match="BadDigest"):
        upload(s3, bucket, file_of(path), path, lambda _: None)
    assert blobs(s3, bucket) == []


def test_an_upload_that_was_cut_goes_on_with_the_parts_that_lack(s3, bucket, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(PART_BYTES) + os.urandom(PART_BYTES) + b"end")
    file = file_of(path)
    key = blob_key(file.sha256)
    s3.create_multipart_upload(Bucket=bucket, Key=key)  # an older one that nobody ended
    begun = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    first = path.read_bytes()[:PART_BYTES]
    s3.upload_part(Bucket=bucket, Key=key, UploadId=begun, PartNumber=1, Body=first)
    s3.upload_part(Bucket=bucket, Key=key, UploadId=begun, PartNumber=2, Body=b"damaged")
    numbers: list[int] = []
    s3.meta.events.register(
        "before-parameter-build.s3.UploadPart", lambda params, **_: numbers.append(params["PartNumber"])
    )

    upload(s3, bucket, file, path, lambda _: None)

    assert sorted(numbers) == [2, 3]
    assert hashlib.sha256(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).hexdigest() == file.sha256
    assert broken_uploads(s3, bucket) == []


def test_a_line_that_drops_leaves_what_arrived_for_the_next_time(s3, bucket, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(PART_BYTES) + b"end")
    file = file_of(path)
    dropped = True

    def drop(request: Any, **_: Any) -> Any:
        if "partNumber=2" in request.url and dropped:
            raise EndpointConnectionError(endpoint_url="dropped")

    s3.meta.events.register("before-send.s3.UploadPart", drop)
    with pytest.raises(EndpointConnectionError):
        upload(s3, bucket, file, path, lambda _: None)
    assert len(broken_uploads(s3, bucket)) == 1
    dropped = False

    upload(s3, bucket, file, path, lambda _: None)

    assert blobs(s3, bucket) == [blob_key(file.sha256)]
    assert broken_uploads(s3, bucket) == []


def test_a_file_that_is_not_here_is_a_sentence_with_the_way_out(s3, bucket, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"1")
    file = file_of(path)
    path.unlink()
    with pytest.raises(StoreError, match=r"cannot be read \(No such file or directory\).*`source`"):
        upload(s3, bucket, file, path, lambda _: None)
