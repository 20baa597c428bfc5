from typing import Any

import pytest

from bootstrap.manifest import blob_key
from providers.store.blobs import Blobs
from providers.store.errors import BucketMissing, StoreError
from providers.store.inputs import BlobsInputs


class Tick:
    """A clock that moves by `step` seconds at every look."""

    def __init__(self, step: float) -> None:
        self._now, self._step = 0.0, step

    def __call__(self) -> float:
        self._now += self._step
        return self._now


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def blobs(s3: Any, blobs_props: dict[str, Any], name: str, said: list[str]) -> Blobs:
    s3.create_bucket(Bucket=name)
    return Blobs(s3, BlobsInputs.from_props(blobs_props), said.append, Tick(0.1))


def test_every_blob_is_brought_once_also_where_two_files_are_equal(s3, blobs, name, manifest, said):
    assert blobs.upload_missing() == 2
    keys = {row["Key"] for row in s3.list_objects_v2(Bucket=name)["Contents"]}
    assert keys == {blob_key(file.sha256) for file in manifest.files}
    assert blobs.missing() == []
    assert said[-1].startswith("upload small  7.0 KB in ")
    assert said[-1].endswith(" s, 2 blobs, 0 were there")


def test_what_is_there_is_not_sent_again(s3, blobs, said):
    blobs.upload_missing()
    puts: list[str] = []
    s3.meta.events.register("before-call.s3.PutObject", lambda **_: puts.append("put"))
    assert blobs.upload_missing() == 0
    assert puts == []
    assert said[-1].endswith("2 blobs, 2 were there")


def test_only_what_is_missing_is_sent(s3, blobs, name, manifest, said):
    blobs.upload_missing()
    s3.delete_object(Bucket=name, Key=blob_key(manifest.files[0].sha256))
    assert [file.path for file in blobs.missing()] in (["config.json"], ["twin"])
    assert blobs.upload_missing() == 1
    assert said[-1].endswith("2 blobs, 1 were there")


def test_a_blob_of_another_size_counts_as_missing_and_is_replaced(s3, blobs, name, manifest):
    blobs.upload_missing()
    weights = next(file for file in manifest.files if file.path == "sub/weights")
    s3.put_object(Bucket=name, Key=blob_key(weights.sha256), Body=b"short")
    assert blobs.missing() == [weights]
    blobs.upload_missing()
    assert s3.head_object(Bucket=name, Key=blob_key(weights.sha256))["ContentLength"] == weights.size


def test_a_long_upload_says_how_far_it_is(s3, blobs_props, name):
    s3.create_bucket(Bucket=name)
    said: list[str] = []
    Blobs(s3, BlobsInputs.from_props(blobs_props), said.append, Tick(11)).upload_missing()
    assert said[0] == "upload small  2 bytes of 7.0 KB"


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
