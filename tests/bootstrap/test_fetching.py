"""What a host is told to fetch, against the real object store: each thing that may be wrong there ends in its own sentence.

The host is this machine in a folder of its own: the same script over the same protocol, without SSH.
"""

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bootstrap.artifacts import Artifacts
from bootstrap.download import download
from bootstrap.errors import FetchFailed, PreflightFailed, WeightsMissing
from bootstrap.host import Result
from providers.store.client import Keys, connect
from providers.store.errors import StoreUnreachable, explain_errors
from sandbox.services.object_store import ADMIN, REGION, STRANGER, ObjectStore
from tests.doubles.here import Here
from weights.manifest import Manifest, blob_key, of_folder

pytestmark = pytest.mark.service

BUCKET = "weights"
FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 4000}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with ObjectStore(tmp_path_factory.mktemp("store")) as running:
        client(running).create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture(scope="module")
def manifest(store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("model")
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    made = of_folder("small", folder)
    for file in made.files:
        client(store).put_object(Bucket=BUCKET, Key=blob_key(file.sha256), Body=FILES[file.path])
    return made


def client(store: ObjectStore) -> Any:
    return connect(store.endpoint, REGION, Keys(ADMIN.access_key, ADMIN.secret_key))


def artifacts(store: ObjectStore, **changes: str) -> Artifacts:
    place = {
        "endpoint": store.endpoint,
        "region": REGION,
        "bucket": BUCKET,
        "access_key": ADMIN.access_key,
        "secret_key": ADMIN.secret_key,
        **changes,
    }
    return Artifacts(**place)


def bring(signs: Artifacts, manifest: Manifest, target: Path, patience: float = 1.0) -> str:
    return download(Here(), "chat-0", manifest, signs.presign, str(target), 0, patience).text


def test_a_model_arrives_whole(store: ObjectStore, manifest: Manifest, tmp_path: Path) -> None:
    assert bring(artifacts(store), manifest, tmp_path / "model").startswith("small: 1 MB in ")
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == FILES


def nothing_installed(target: Path) -> bool:
    return not target.exists() and not target.with_name(f"{target.name}.verified").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"bucket": "elsewhere"}, r"404 \(NoSuchBucket\).* gpu-fleet:store\.region those of the bucket"),
        ({"secret_key": "wrong-secret"}, r"403 \(SignatureDoesNotMatch\).* keys are wrong or may not read"),
        ({"access_key": "nobody"}, r"403 \(InvalidAccessKeyId\).* keys are wrong or may not read"),
        (
            {"access_key": STRANGER.access_key, "secret_key": STRANGER.secret_key},
            r"403 \(AccessDenied\).* without the right to list",
        ),
    ],
)
def test_what_the_store_refuses_is_our_fault_and_says_what_to_set(
    store: ObjectStore, manifest: Manifest, tmp_path: Path, changes: dict[str, str], says: str
) -> None:
    with pytest.raises(WeightsMissing, match=says) as raised:
        bring(artifacts(store, **changes), manifest, tmp_path / "model")

    assert "X-Amz" not in str(raised.value)
    assert nothing_installed(tmp_path / "model")


def test_a_blob_that_was_not_uploaded_is_named(store: ObjectStore, manifest: Manifest, tmp_path: Path) -> None:
    missing = hashlib.sha256(b"nowhere").hexdigest()
    file = manifest.files[0].model_copy(update={"sha256": missing, "parts": (missing,)})

    with pytest.raises(
        WeightsMissing, match=rf"404 \(NoSuchKey\) for /{BUCKET}/blobs/sha256/{missing}.*Was it uploaded"
    ):
        bring(artifacts(store), Manifest(name="small", files=(file,)), tmp_path / "model")


def test_a_url_that_counts_as_expired_at_once_is_a_clock(
    store: ObjectStore, manifest: Manifest, tmp_path: Path
) -> None:
    signs = artifacts(store)

    def long_ago(sha256: str, _seconds: int) -> str:
        url = signs.presign(sha256, 1)
        time.sleep(1.2)  # the store's own clock decides, and it has whole seconds
        return url

    with pytest.raises(WeightsMissing, match="clock differs from the store's"):
        download(Here(), "chat-0", manifest, long_ago, str(tmp_path / "model"), 0, 1.0)


def test_urls_that_expire_on_the_way_are_renewed(
    store: ObjectStore, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs, given = artifacts(store), []
    monkeypatch.setattr("bootstrap.download.URLS_LAST_SECONDS", 0)

    def presign(sha256: str, _seconds: int) -> str:
        given.append(sha256)
        if len(given) > len(manifest.files):
            return signs.presign(sha256, 60)
        url = signs.presign(sha256, 1)
        time.sleep(1.2)
        return url

    download(Here(), "chat-0", manifest, presign, str(tmp_path / "model"), 0, 1.0)

    assert len(given) == 2 * len(manifest.files)
    assert {path.name for path in (tmp_path / "model").iterdir()} == set(FILES)


def test_a_blob_that_was_overwritten_by_hand_says_which_to_delete(
    store: ObjectStore, manifest: Manifest, tmp_path: Path
) -> None:
    file = next(file for file in manifest.files if file.path == "model.safetensors")
    client(store).put_object(Bucket=BUCKET, Key=blob_key(file.sha256), Body=b"X" * file.size)
    try:
        with pytest.raises(FetchFailed, match=rf"delete {blob_key(file.sha256)} from it"):
            bring(artifacts(store), manifest, tmp_path / "model")
    finally:
        client(store).put_object(Bucket=BUCKET, Key=blob_key(file.sha256), Body=FILES[file.path])

    assert nothing_installed(tmp_path / "model")


def test_a_store_that_comes_back_is_waited_for_and_one_that_does_not_is_the_lines_fault(
    manifest: Manifest, tmp_path: Path
) -> None:
    with ObjectStore(tmp_path / "store") as own:
        s3 = client(own)
        s3.create_bucket(Bucket=BUCKET)
        for file in manifest.files:
            s3.put_object(Bucket=BUCKET, Key=blob_key(file.sha256), Body=FILES[file.path])
        signs = artifacts(own)
        own.stop()
        back = ObjectStore(tmp_path / "store", http_port=own.http_port, https_port=own.https_port)
        starter = threading.Thread(target=back.start)
        starter.start()
        try:
            bring(signs, manifest, tmp_path / "model", patience=60)
        finally:
            starter.join()
            back.stop()

        with pytest.raises(FetchFailed, match="no byte for") as raised:
            bring(signs, manifest, tmp_path / "again", patience=0.2)
    assert raised.value.line
    assert nothing_installed(tmp_path / "again")
    with pytest.raises(StoreUnreachable), explain_errors(own.endpoint, BUCKET):
        client(own).head_bucket(Bucket=BUCKET)


def test_a_disk_that_is_too_small_is_said_before_the_transfer(
    store: ObjectStore, manifest: Manifest, tmp_path: Path
) -> None:
    huge = manifest.files[0].model_copy(update={"size": 2**50})

    with pytest.raises(PreflightFailed, match="are needed in"):
        bring(artifacts(store), manifest.model_copy(update={"files": (huge,)}), tmp_path / "model")


def test_no_secret_is_in_any_message_or_argument(store: ObjectStore, manifest: Manifest, tmp_path: Path) -> None:
    commands: list[str] = []

    class Watched(Here):
        def run(self, command: str, stdin: bytes = b"", timeout: float = 60) -> Result:
            commands.append(command)
            return super().run(command, stdin, timeout)

    host = Watched()
    text = download(host, "chat-0", manifest, artifacts(store).presign, str(tmp_path / "model"), 0, 1.0).text

    assert commands == ["exec python3 -S -"]
    assert "Signature" not in text
