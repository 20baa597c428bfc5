"""Bucket and blobs under the real engine: made, seen, mended, kept, taken over by the next stack, and gone."""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bootstrap.artifacts import s3_client
from providers.store.bucket_owner import OWNER_KEY
from sandbox.services.object_store import ADMIN, REGION, ObjectStore
from weights.manifest import blob_key, of_folder

pytestmark = [pytest.mark.engine, pytest.mark.rotating(of=3)]

REPO = Path(__file__).resolve().parents[2]
ROOMS = ("providers", "bootstrap", "config", "weights")
BUCKET = "engine-test"

PROGRAM = """
    import json
    import pulumi
    from providers.store.resource import Blobs, Bucket

    config = pulumi.Config()
    keys = {f"gpu-fleet:{key}": config.require_secret(key) for key in ("storeAccessKey", "storeSecretKey")}
    store = pulumi.ResourceOptions(provider=pulumi.ProviderResource("pulumi-python", "store", keys))
    place = {"endpoint": config.require("endpoint"), "region": "sandbox"}
    made = {"name": "BUCKET", "stackId": config.require("stackId"), "onDestroy": config.require("onDestroy")}
    bucket = Bucket("bucket", {**place, **made}, store)
    after = pulumi.ResourceOptions.merge(store, pulumi.ResourceOptions(depends_on=[bucket]))
    inputs = {"bucket": "BUCKET", "manifest": json.loads(config.require("manifest")), "source": config.require("source")}
    blobs = Blobs("blobs", {**place, **inputs}, after)
    pulumi.export("bytes", blobs.bytes)
    pulumi.export("uploaded", blobs.uploaded)
    """


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with ObjectStore(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def s3(store: ObjectStore) -> Any:
    return s3_client(store.endpoint, REGION, ADMIN.access_key, ADMIN.secret_key)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config", "weights"):
        (folder / name).write_text(name * 100)
    return folder


@pytest.fixture
def new_stack(engine, store, model, tmp_path):
    """A function that makes a stack over the store; with its own stack id, as the identity would make it."""
    program = tmp_path / "program"
    program.mkdir()
    (program / "__main__.py").write_text(textwrap.dedent(PROGRAM).replace("BUCKET", BUCKET))
    for room in ROOMS:
        (program / room).symlink_to(REPO / room)

    def make(stack_id: str, on_destroy: str, secret_key: str = ADMIN.secret_key):
        stack = engine.stack(program, f"stack-{stack_id}", project="gpu-fleet")
        plain = {
            "endpoint": store.endpoint,
            "stackId": stack_id * 16,
            "onDestroy": on_destroy,
            "manifest": json.dumps(of_folder("small", model).model_dump(mode="json")),
            "source": str(model),
        }
        stack.config(plain, {"storeAccessKey": ADMIN.access_key, "storeSecretKey": secret_key})
        return stack

    return make


def test_the_whole_life_of_bucket_and_blobs(new_stack, s3, model):
    stack = new_stack("a", "keep")
    up = stack.up()
    assert "store  upload small  1.3 KB" in up.text
    assert stack.outputs() == {"bytes": 1300, "uploaded": 2}
    assert ADMIN.secret_key not in json.dumps(stack.state()) + up.text
    assert "unchanged" in stack.up("--expect-no-changes").text

    lost = next(file for file in of_folder("small", model).files if file.path == "weights")
    s3.delete_object(Bucket=BUCKET, Key=blob_key(lost.sha256))
    s3.delete_object(Bucket=BUCKET, Key=OWNER_KEY)
    seen = stack.refresh("--diff")
    assert "The blob of weights" in seen.text
    assert f"object {OWNER_KEY} of bucket engine-test is missing" in seen.text
    mended = stack.up()
    assert "2 blobs, 1 were there" in mended.text
    assert stack.outputs()["uploaded"] == 1
    stack.refresh("--expect-no-changes")

    kept = stack.destroy()
    assert "go on costing about 5 EUR a month" in kept.text
    assert s3.head_object(Bucket=BUCKET, Key=blob_key(lost.sha256))["ContentLength"] == lost.size

    heir = new_stack("b", "empty")
    assert f"take over {BUCKET}" in heir.up().text
    assert heir.outputs()["uploaded"] == 0

    other = new_stack("c", "empty")
    refused = other.preview(check=False)
    assert refused.status != 0
    assert "belongs to another stack of gpu-fleet" in refused.text

    heir.destroy()
    assert BUCKET not in {row["Name"] for row in s3.list_buckets()["Buckets"]}


def test_a_bucket_that_vanished_is_made_again_with_its_blobs(new_stack, s3):
    stack = new_stack("d", "empty")
    stack.up()
    for row in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
        s3.delete_object(Bucket=BUCKET, Key=row["Key"])
    s3.delete_bucket(Bucket=BUCKET)
    stack.refresh()
    assert [row["type"] for row in stack.resources() if "dynamic/store" in row["type"]] == []
    stack.up()
    assert len(s3.list_objects_v2(Bucket=BUCKET, Prefix=blob_key(""))["Contents"]) == 2
    stack.destroy()


def test_wrong_keys_stop_the_preview_with_one_sentence(new_stack):
    refused = new_stack("e", "keep", secret_key="not-the-secret").preview(check=False)
    assert refused.status != 0
    assert "refuses the keys (SignatureDoesNotMatch)" in refused.text
    assert "not-the-secret" not in refused.text
    assert "Traceback" not in refused.text
