"""Both resources in the process that the engine would start: pickled, over gRPC, with numbers as floats."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.rpc import UNKNOWN

from providers.store.bucket import NOT_PUBLIC
from providers.store.bucket_owner import OWNER_KEY, to_text
from providers.store.resource import BlobsProvider, BucketProvider
from tests.doubles.dynamic_process import DynamicProcess, ProviderError
from weights.manifest import blob_key

pytestmark = pytest.mark.service

OTHER_STACK = "b" * 16


@pytest.fixture(scope="module")
def buckets(keys) -> Iterator[DynamicProcess]:
    with DynamicProcess(BucketProvider()) as process:
        process.configure({"storeAccessKey": keys.access, "storeSecretKey": keys.secret})
        yield process


@pytest.fixture(scope="module")
def blobs(keys) -> Iterator[DynamicProcess]:
    with DynamicProcess(BlobsProvider()) as process:
        process.configure({"storeAccessKey": keys.access, "storeSecretKey": keys.secret})
        yield process


def up(process: DynamicProcess, props: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Check and create as an update does; return id, outputs and checked inputs."""
    checked = process.check(props)
    assert checked.failures == {}
    return *process.create(checked.inputs), checked.inputs


@pytest.mark.parametrize("provider", [BucketProvider(), BlobsProvider()])
def test_state_carries_the_classes_place_and_nothing_else(provider):
    pickled = base64.b64decode(serialize_provider(provider))
    assert len(pickled) < 80
    assert b"providers.store.resource" in pickled
    assert type(provider).__name__.encode() in pickled


def test_a_bucket_from_create_to_gone(buckets, s3, bucket_props, name):
    id_, outs, inputs = up(buckets, {**bucket_props, "onDestroy": "empty"})
    assert id_ == name
    assert outs == {**inputs, "drift": [], "refused": [NOT_PUBLIC]}
    seen = buckets.read(id_, outs)
    assert (seen.id, seen.outs, seen.inputs) == (id_, outs, inputs)
    unchanged = buckets.diff(id_, outs, inputs)
    assert (unchanged.changes, unchanged.replaces) == (False, [])
    buckets.delete(id_, outs)
    assert buckets.read(id_, outs).id == ""


def test_what_the_program_leaves_out_or_gives_as_none_gets_its_default(buckets, bucket_props):
    del bucket_props["onDestroy"]
    inputs = buckets.check({**bucket_props, "abortUploadsAfterDays": None}).inputs
    assert (inputs["onDestroy"], inputs["abortUploadsAfterDays"]) == ("keep", 2.0)


def test_drift_of_a_bucket_is_seen_by_refresh_and_mended_by_up(buckets, s3, bucket_props, name):
    id_, outs, inputs = up(buckets, bucket_props)
    s3.delete_object(Bucket=name, Key=OWNER_KEY)
    seen = buckets.read(id_, outs)
    assert seen.outs["drift"] == [
        f"The object {OWNER_KEY} of bucket {name} is missing; it should say {bucket_props['stackId']}."
    ]
    assert buckets.diff(id_, seen.outs, inputs).changes is True
    assert buckets.update(id_, seen.outs, inputs) == outs
    assert buckets.read(id_, outs).outs["drift"] == []


def test_a_bucket_that_another_stack_took_is_not_taken_back(buckets, s3, bucket_props, name):
    id_, outs, inputs = up(buckets, bucket_props)
    s3.put_object(Bucket=name, Key=OWNER_KEY, Body=to_text(OTHER_STACK).encode())
    with pytest.raises(ProviderError, match="another stack"):
        buckets.update(id_, buckets.read(id_, outs).outs, inputs)


def test_a_new_way_to_the_same_store_finds_the_bucket_and_another_store_is_not_raided(buckets, s3, bucket_props, name):
    id_, outs, inputs = up(buckets, bucket_props)
    olds = {**outs, "endpoint": "http://127.0.0.1:1"}
    assert buckets.diff(id_, olds, inputs).replaces == []
    assert buckets.update(id_, olds, inputs) == outs
    s3.put_object(Bucket=name, Key="a", Body=b"1")
    s3.delete_object(Bucket=name, Key=OWNER_KEY)
    with pytest.raises(ProviderError, match=r"not ours\. It was not touched"):
        buckets.update(id_, olds, inputs)


@pytest.mark.parametrize(("key", "value"), [("name", "other-name"), ("region", "hel1")])
def test_another_name_or_region_is_another_bucket_and_the_old_one_goes_first(buckets, bucket_props, key, value):
    olds = {**bucket_props, "abortUploadsAfterDays": 2, "drift": [], "refused": []}
    difference = buckets.diff("x", olds, {**bucket_props, "abortUploadsAfterDays": 2, key: value})
    assert (difference.changes, difference.replaces, difference.delete_before_replace) == (True, [key], True)


def test_another_wish_for_the_end_is_written_down(buckets, bucket_props):
    id_, outs, inputs = up(buckets, bucket_props)
    difference = buckets.diff(id_, outs, {**inputs, "onDestroy": "empty"})
    assert (difference.changes, difference.replaces) == (True, [])
    assert buckets.update(id_, outs, {**inputs, "onDestroy": "empty"})["onDestroy"] == "empty"


def test_a_bucket_of_another_stack_is_refused_in_the_first_preview(buckets, s3, bucket_props, name):
    up(buckets, {**bucket_props, "stackId": OTHER_STACK})
    for stack_id in (bucket_props["stackId"], UNKNOWN):
        failures = buckets.check({**bucket_props, "stackId": stack_id}).failures
        assert "belongs to another stack" in failures["name"]


def test_a_stack_id_that_is_still_to_be_made_passes(buckets, bucket_props):
    checked = buckets.check({**bucket_props, "stackId": UNKNOWN})
    assert (checked.failures, checked.inputs["stackId"]) == ({}, UNKNOWN)


def test_what_is_still_to_be_made_is_a_change(buckets, blobs, bucket_props, blobs_props):
    assert buckets.diff("x", bucket_props, {**bucket_props, "stackId": UNKNOWN}).changes is True
    manifest = {**blobs_props["manifest"], "name": UNKNOWN}
    assert blobs.check({**blobs_props, "manifest": manifest}).failures == {}
    assert blobs.diff("x", blobs_props, {**blobs_props, "manifest": manifest}).changes is True


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Not A Bucket"}, "name"),
        ({"endpoint": "s3.example"}, "endpoint"),
        ({"onDestroy": "burn"}, "onDestroy"),
        ({"surprise": 1}, "surprise"),
        ({"endpoint": "http://127.0.0.1:1"}, "does not answer"),
    ],
)
def test_bad_inputs_are_refused_in_the_preview(buckets, bucket_props, change, message):
    assert message in buckets.check({**bucket_props, **change}).failures["name"]


def test_wrong_keys_are_refused_in_the_preview_and_are_in_no_message(bucket_props):
    with DynamicProcess(BucketProvider()) as process:
        process.configure({"storeAccessKey": "sandbox", "storeSecretKey": "very-wrong-secret"})
        failure = process.check(bucket_props).failures["name"]
        with pytest.raises(ProviderError) as caught:
            process.create(bucket_props)
        for text in (failure, str(caught.value)):
            assert "refuses the keys (SignatureDoesNotMatch)" in text
            assert "gpu-fleet:storeAccessKey" in text
        assert "very-wrong-secret" not in failure + str(caught.value) + process.output


def test_keys_that_are_not_set_are_named(bucket_props):
    with DynamicProcess(BucketProvider()) as process:
        process.configure({})
        assert "keys are not set" in process.check(bucket_props).failures["name"]


def test_doubt_raises_and_never_reads_as_gone(buckets, blobs, bucket_props, blobs_props):
    nowhere = {"endpoint": "http://127.0.0.1:1"}
    with pytest.raises(ProviderError, match="does not answer"):
        buckets.read("x", {**bucket_props, **nowhere})
    with pytest.raises(ProviderError, match="does not answer"):
        blobs.read("x", {**blobs_props, **nowhere})


def test_blobs_from_create_to_gone(buckets, blobs, s3, bucket_props, blobs_props, manifest, name):
    bucket = up(buckets, {**bucket_props, "onDestroy": "empty"})
    id_, outs, inputs = up(blobs, blobs_props)
    assert id_ == f"{name}/small"
    found = {"digest": manifest.digest, "bytes": manifest.total_bytes, "uploaded": 2, "drift": [], "damaged": []}
    assert outs == {**inputs, **found}
    assert blobs.diff(id_, outs, inputs).changes is False
    assert blobs.read(id_, outs).outs == outs
    assert blobs.says("store  upload small")
    blobs.delete(id_, outs)
    assert blobs.read(id_, outs).outs["drift"] == []
    buckets.delete(*bucket[:2])
    assert blobs.read(id_, outs).id == ""


def test_a_blob_that_was_overwritten_is_seen_by_refresh_and_brought_back_by_up(blobs, s3, blobs_props, manifest, name):
    s3.create_bucket(Bucket=name)
    id_, outs, inputs = up(blobs, {**blobs_props, "verify": "full"})
    weights = next(file for file in manifest.files if file.path == "sub/weights")
    s3.put_object(Bucket=name, Key=blob_key(weights.sha256), Body=b"x" * weights.size)
    seen = blobs.read(id_, outs)
    assert "sub/weights" in seen.outs["drift"][0]
    assert seen.outs["damaged"] == [weights.sha256]
    assert blobs.diff(id_, seen.outs, inputs).changes is True
    assert blobs.update(id_, seen.outs, inputs)["drift"] == []
    assert blobs.read(id_, outs).outs["drift"] == []


def test_blobs_go_with_the_resource_where_config_says_so(blobs, s3, blobs_props, name):
    s3.create_bucket(Bucket=name)
    id_, outs, _ = up(blobs, {**blobs_props, "owner": "model-small", "onDestroy": "empty"})
    blobs.delete(id_, outs)
    assert s3.list_objects_v2(Bucket=name).get("Contents", []) == []


def test_a_lost_blob_is_seen_by_refresh_and_brought_back_by_up(blobs, s3, blobs_props, manifest, name):
    s3.create_bucket(Bucket=name)
    id_, outs, inputs = up(blobs, blobs_props)
    weights = next(file for file in manifest.files if file.path == "sub/weights")
    s3.delete_object(Bucket=name, Key=blob_key(weights.sha256))
    seen = blobs.read(id_, outs)
    assert len(seen.outs["drift"]) == 1
    assert "sub/weights" in seen.outs["drift"][0]
    assert blobs.diff(id_, seen.outs, inputs).changes is True
    assert blobs.update(id_, seen.outs, inputs) == {**outs, "uploaded": 1}
    assert blobs.read(id_, outs).outs["drift"] == []


def test_another_folder_for_the_same_files_is_no_change_and_another_manifest_is_an_upload(blobs, blobs_props):
    olds = {**blobs_props, "drift": []}
    assert blobs.diff("x", olds, {**blobs_props, "source": "/elsewhere"}).changes is False
    other = {**blobs_props["manifest"], "name": "other"}
    difference = blobs.diff("x", olds, {**blobs_props, "manifest": other})
    assert (difference.changes, difference.replaces) == (True, [])


def test_a_folder_that_does_not_fit_its_manifest_is_refused_in_the_preview(blobs, blobs_props, folder):
    (folder / "sub" / "weights").write_bytes(b"half")
    failure = blobs.check(blobs_props).failures["source"]
    assert "sub/weights has 4 bytes, and the manifest says 7000" in failure
    assert "gpu-fleet manifest" in failure


def test_a_folder_that_is_not_on_this_machine_is_no_failure_of_the_preview(blobs, blobs_props, tmp_path):
    assert blobs.check({**blobs_props, "source": str(tmp_path / "elsewhere")}).failures == {}


def test_a_manifest_that_leaves_the_folder_is_refused(blobs, blobs_props):
    files = [{**blobs_props["manifest"]["files"][0], "path": "../up"}]
    failure = blobs.check({**blobs_props, "manifest": {"name": "m", "files": files}}).failures[""]
    assert "'../up' is not a plain relative path" in failure


def test_two_uploads_at_once_in_one_process_do_not_disturb_each_other(blobs, s3, blobs_props, name):
    s3.create_bucket(Bucket=name)
    with ThreadPoolExecutor(4) as pool:
        outs = list(pool.map(lambda _: blobs.create(blobs_props)[1], range(4)))
    assert {out["digest"] for out in outs} == {outs[0]["digest"]}
    assert blobs.read("x", outs[0]).outs["drift"] == []


def test_a_bucket_that_is_listed_and_not_to_be_seen_is_not_gone(
    buckets, blobs, faults, s3, bucket_props, blobs_props, name
):
    id_, outs, _ = up(buckets, bucket_props)
    blobs_id, blobs_outs, _ = up(blobs, blobs_props)
    s3.delete_object(Bucket=name, Key=OWNER_KEY)
    for row in s3.list_objects_v2(Bucket=name)["Contents"]:
        s3.delete_object(Bucket=name, Key=row["Key"])
    s3.delete_bucket(Bucket=name)
    faults.arm("store-bucket-late")
    s3.create_bucket(Bucket=name)
    for process, id_of_it, olds in ((buckets, id_, outs), (blobs, blobs_id, blobs_outs)):
        with pytest.raises(ProviderError, match="and lists it"):
            process.read(id_of_it, olds)
