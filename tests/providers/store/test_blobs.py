import time
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from providers.store.blobs import Blobs
from providers.store.errors import BucketMissing, StoreError, StoreUnreachable
from providers.store.inputs import BlobsInputs
from providers.store.verification import to_read
from tests.doubles.clock import FakeClock
from weights.manifest import File, Manifest, blob_key

pytestmark = pytest.mark.service


class Tick(FakeClock):
    """A clock that also moves by `step` seconds at every look."""

    def __init__(self, step: float) -> None:
        super().__init__(start=time.time())
        self._step = step

    def monotonic(self) -> float:
        self.now += self._step
        return self.now


@pytest.fixture
def reported() -> list[str]:
    return []


@pytest.fixture
def blobs(s3: Any, blobs_props: dict[str, Any], name: str, reported: list[str]) -> Blobs:
    s3.create_bucket(Bucket=name)
    return Blobs(s3, BlobsInputs.from_props(blobs_props), reported.append, Tick(0.1))


def test_every_blob_is_brought_once_also_where_two_files_are_equal(s3, blobs, name, manifest, reported):
    assert blobs.upload_missing() == 2
    keys = {row["Key"] for row in s3.list_objects_v2(Bucket=name)["Contents"]}
    assert keys == {blob_key(file.sha256) for file in manifest.files}
    assert blobs.missing() == []
    assert reported[-1].startswith("upload small  7.0 KB in ")
    assert reported[-1].endswith(" s, 2 blobs, 0 were there")


def test_what_is_there_is_not_sent_again(s3, blobs, reported):
    blobs.upload_missing()
    puts: list[str] = []
    s3.meta.events.register("before-call.s3.PutObject", lambda **_: puts.append("put"))
    assert blobs.upload_missing() == 0
    assert puts == []
    assert reported[-1].endswith("2 blobs, 2 were there")


def test_only_what_is_missing_is_sent(s3, blobs, name, manifest, reported):
    blobs.upload_missing()
    s3.delete_object(Bucket=name, Key=blob_key(manifest.files[0].sha256))
    assert [file.path for file in blobs.missing()] in (["config.json"], ["twin"])
    assert blobs.upload_missing() == 1
    assert reported[-1].endswith("2 blobs, 1 were there")


def test_a_blob_of_another_size_counts_as_missing_and_is_replaced(s3, blobs, name, manifest):
    blobs.upload_missing()
    weights = next(file for file in manifest.files if file.path == "sub/weights")
    s3.put_object(Bucket=name, Key=blob_key(weights.sha256), Body=b"short")
    assert blobs.missing() == [weights]
    blobs.upload_missing()
    assert s3.head_object(Bucket=name, Key=blob_key(weights.sha256))["ContentLength"] == weights.size


def test_a_long_upload_says_how_far_it_is(s3, blobs_props, name):
    s3.create_bucket(Bucket=name)
    reported: list[str] = []
    Blobs(s3, BlobsInputs.from_props(blobs_props), reported.append, Tick(11)).upload_missing()
    assert reported[0] == "upload small  2 bytes of 7.0 KB"


def test_without_the_bucket_there_are_no_blobs(s3, blobs_props):
    with pytest.raises(BucketMissing):
        Blobs(s3, BlobsInputs.from_props(blobs_props), print, Tick(0)).missing()


def test_files_that_are_not_on_this_machine_do_not_matter_while_their_blobs_are_there(blobs, folder):
    blobs.upload_missing()
    for path in (folder / "config.json", folder / "twin", folder / "sub" / "weights"):
        path.unlink()
    assert blobs.upload_missing() == 0


def test_files_that_are_nowhere_are_a_sentence(blobs, folder):
    (folder / "sub" / "weights").unlink()
    with pytest.raises(StoreError, match="does not have its blob yet"):
        blobs.upload_missing()


def spoil(s3: Any, name: str, file: File) -> None:
    s3.put_object(Bucket=name, Key=blob_key(file.sha256), Body=b"X" * file.size)


def largest(blobs: Blobs) -> File:
    return max(blobs.inputs.manifest.files, key=lambda file: file.size)


@pytest.mark.parametrize(("verify", "finds"), [("sizes", False), ("sample", True), ("full", True)])
def test_a_blob_that_was_overwritten_by_hand_is_found_as_far_as_is_looked(s3, blobs, name, verify, finds):
    blobs.upload_missing()
    spoil(s3, name, largest(blobs))
    inputs = blobs.inputs.model_copy(update={"verify": verify})
    looked = replace(blobs, inputs=inputs, choose=lambda parts: max(parts, key=lambda part: part.file.size))

    assert looked.missing() == []
    assert looked.damaged(looked.missing()) == ([largest(blobs)] if finds else [])


def test_a_damaged_blob_is_uploaded_anew(s3, blobs, name):
    blobs.upload_missing()
    file = largest(blobs)
    spoil(s3, name, file)

    assert blobs.upload_missing([file.sha256]) == 1

    full = replace(blobs, inputs=blobs.inputs.model_copy(update={"verify": "full"}))
    assert full.damaged(full.missing()) == []


def test_a_sample_is_one_part_whatever_the_size(blobs):
    assert len(to_read("sample", blobs.inputs.manifest, lambda parts: parts[0])) == 1


def owned(blobs: Blobs, owner: str) -> Blobs:
    return replace(blobs, inputs=blobs.inputs.model_copy(update={"owner": owner}))


def keys(s3: Any, name: str, prefix: str) -> set[str]:
    return {row["Key"] for row in s3.list_objects_v2(Bucket=name, Prefix=prefix).get("Contents", [])}


def test_only_blobs_that_no_other_manifest_refers_to_are_deleted(s3, blobs, name, manifest):
    file = next(file for file in manifest.files if file.path == "twin")
    shared = Manifest(name="shared", files=(file,))
    one = owned(blobs, "model-a")
    other = replace(blobs, inputs=blobs.inputs.model_copy(update={"owner": "model-b", "manifest": shared}))
    one.upload_missing()
    other.upload_missing()

    one.delete_unneeded()

    assert keys(s3, name, "blobs/") == {blob_key(file.sha256)}
    assert keys(s3, name, "manifests/") == {"manifests/model-b.json"}
    other.delete_unneeded()
    assert keys(s3, name, "") == set()


def test_a_reference_is_there_before_its_blobs(s3, blobs, name):
    there: list[set[str]] = []
    s3.meta.events.register("before-call.s3.ListObjectsV2", lambda **_: there.append(keys_by_head(s3, name)))

    owned(blobs, "model-a").upload_missing()

    assert there[0] == {"manifests/model-a.json"}


def keys_by_head(s3: Any, name: str) -> set[str]:
    try:
        s3.head_object(Bucket=name, Key="manifests/model-a.json")
    except ClientError:
        return set()
    return {"manifests/model-a.json"}


def test_a_reference_that_cannot_be_read_keeps_everything(s3, blobs, name):
    one = owned(blobs, "model-a")
    one.upload_missing()
    before = keys(s3, name, "blobs/")
    s3.put_object(Bucket=name, Key="manifests/strange.json", Body=b"\xff")

    with pytest.raises(StoreError, match=r"manifests/strange\.json .* none was deleted"):
        one.delete_unneeded()

    assert keys(s3, name, "blobs/") == before


def test_a_reference_that_another_delete_removes_after_the_listing_needs_nothing(s3, blobs, name):
    owned(blobs, "a").upload_missing()
    owned(blobs, "b").upload_missing()

    def remove(**_: Any) -> None:
        s3.meta.events.unregister("before-call.s3.GetObject", remove)
        s3.delete_object(Bucket=name, Key="manifests/b.json")

    # "a" is removed and the rest listed; before "b" is read, its owner's delete comes.
    s3.meta.events.register("before-call.s3.GetObject", remove)
    owned(blobs, "a").delete_unneeded()

    assert keys(s3, name, "") == set()


def failing(s3, operation, error, times):
    """Let the next calls of an operation fail."""
    left = [times]

    def fail(**_):
        if left[0]:
            left[0] -= 1
            raise error

    s3.meta.events.register(f"before-call.s3.{operation}", fail)
    return left


def no_bucket(operation):
    answer = {"Error": {"Code": "NoSuchBucket"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
    return ClientError(answer, operation)


@pytest.mark.parametrize("operation", ["ListObjectsV2", "PutObject"])
def test_a_bucket_that_was_just_made_is_waited_for(s3, name, blobs_props, reported, operation):
    s3.create_bucket(Bucket=name)
    clock = FakeClock()
    left = failing(s3, operation, no_bucket(operation), 5)
    assert Blobs(s3, BlobsInputs.from_props(blobs_props), reported.append, clock).upload_missing() == 2
    assert left == [0]
    assert 20 < clock.now < 60
    assert len([line for line in reported if "trying again" in line]) == 1


def test_a_bucket_that_stays_away_is_said_in_the_end(s3, name, blobs_props, reported):
    clock = FakeClock()
    with pytest.raises(BucketMissing, match="There is no bucket"):
        Blobs(s3, BlobsInputs.from_props(blobs_props), reported.append, clock).upload_missing()
    assert 300 <= clock.now < 320


def test_a_store_that_times_out_now_and_then_costs_no_upload(s3, name, blobs_props, reported):
    s3.create_bucket(Bucket=name)
    clock = FakeClock()
    left = failing(s3, "PutObject", ReadTimeoutError(endpoint_url="x"), 7)
    assert Blobs(s3, BlobsInputs.from_props(blobs_props), reported.append, clock).upload_missing() == 2
    assert left == [0]
    assert any("is in trouble: trying again for up to 600 s" in line for line in reported)


def test_a_store_that_never_answered_is_said_at_once(s3, name, blobs_props, reported):
    s3.create_bucket(Bucket=name)
    clock = FakeClock()
    failing(s3, "ListObjectsV2", ReadTimeoutError(endpoint_url="x"), 99)
    with pytest.raises(StoreUnreachable):
        Blobs(s3, BlobsInputs.from_props(blobs_props), reported.append, clock).upload_missing()
    assert clock.slept == []


def test_uploads_that_broke_days_ago_are_cleared_away_and_young_ones_stay(s3, name, blobs_props, reported):
    s3.create_bucket(Bucket=name)
    s3.create_multipart_upload(Bucket=name, Key=blob_key("0" * 64))
    left = lambda: [row["Key"] for row in s3.list_multipart_uploads(Bucket=name).get("Uploads", [])]  # noqa: E731
    Blobs(s3, BlobsInputs.from_props(blobs_props), reported.append, FakeClock(start=time.time())).upload_missing()
    assert left() == [blob_key("0" * 64)]
    for row in s3.list_objects_v2(Bucket=name)["Contents"]:
        s3.delete_object(Bucket=name, Key=row["Key"])
    later = FakeClock(start=time.time() + 3 * 86400)
    Blobs(s3, BlobsInputs.from_props(blobs_props), reported.append, later).upload_missing()
    assert left() == []
