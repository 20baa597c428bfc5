"""Machines that are given back because of the store's trouble: none, over every fault of the store that ends.

The host is this machine in a folder of its own, the store a real one behind the proxy that plays the faults.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bootstrap.artifacts import Artifacts
from bootstrap.clock import SystemClock
from bootstrap.fetch import HostTransfer
from bootstrap.spec import EndpointSpec, Preflight
from providers.store.client import Keys, connect
from providers.store.errors import StoreError, StoreUnreachable, explain_errors
from providers.store.throughput import measured_mbps
from sandbox.faults import Faults
from sandbox.services.object_store import ADMIN, REGION, ObjectStore
from sandbox.services.store_faults import Manners
from sandbox.services.store_front import StoreFront
from sandbox.services.store_manners import LateBuckets, SharedLine
from tests.doubles.here import Here
from weights.manifest import Manifest, blob_key, of_folder

pytestmark = pytest.mark.service

BUCKET = "weights"
SIZE = 1_000_000


@dataclass
class Store:
    front: StoreFront

    def presign(self, sha256: str, seconds: int) -> str:
        keys = (ADMIN.access_key, ADMIN.secret_key)
        return Artifacts(self.front.endpoint, REGION, BUCKET, *keys).presign(sha256, seconds)

    def store_trouble(self) -> str:
        try:
            with explain_errors(self.front.endpoint, BUCKET):
                self._client.head_bucket(Bucket=BUCKET)
        except StoreUnreachable as error:
            return str(error)
        except StoreError:
            return ""
        return ""

    def store_mbps(self, sha256: str, size: int) -> float | None:
        with suppress(StoreError), explain_errors(self.front.endpoint, BUCKET):
            return measured_mbps(self._client, BUCKET, blob_key(sha256), size, time.monotonic)
        return None

    @property
    def _client(self) -> Any:
        keys = Keys(ADMIN.access_key, ADMIN.secret_key)
        return connect(self.front.endpoint, REGION, keys, tries=1, read_seconds=1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with ObjectStore(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def late() -> LateBuckets:
    return LateBuckets(1.5)


@pytest.fixture
def store(running: ObjectStore, faults: Faults, late: LateBuckets) -> Iterator[Store]:
    line = SharedLine(150_000)
    front = StoreFront(running, faults, manners=Manners(slow_seconds=2.0, silent_seconds=2.0, late=late, line=line))
    yield Store(front)
    front.stop()


@pytest.fixture
def manifest(running: ObjectStore, tmp_path: Path) -> Manifest:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "weights").write_bytes(os.urandom(SIZE))
    made = of_folder("small", tmp_path / "files")
    s3 = connect(running.endpoint, REGION, Keys(ADMIN.access_key, ADMIN.secret_key))
    with suppress(Exception):
        s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=blob_key(made.files[0].sha256), Body=(tmp_path / "files" / "weights").read_bytes())
    return made


@pytest.mark.rotating(of=3)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("store-slow-for-all", {"seconds": 20}),
        ("store-times-out", {"seconds": 4}),
        ("store-bucket-late", {}),
        ("store-has-tags", {}),
        ("store-wants-md5", {}),
        ("store-slow", {"times": 3}),
        ("store-throttled", {"seconds": 3}),
        ("store-slow-down", {"seconds": 3}),
        ("store-error", {"seconds": 3}),
        ("store-truncated", {"times": 5}),
        ("store-flipped", {"times": 2}),
    ],
)
def test_a_fault_of_the_store_costs_no_machine(
    store: Store, manifest: Manifest, faults: Faults, late: LateBuckets, tmp_path: Path, name: str, options: Any
) -> None:
    faults.arm(name, **options)
    if name == "store-bucket-late":
        late.hide(BUCKET)  # it was made a moment ago
    reported: list[str] = []
    spec = EndpointSpec(
        name="chat-0",
        model=manifest,
        kit=manifest,
        served_model="small",
        token="t" * 40,
        addresses=("1.2.3.4",),
        preflight=Preflight(gpu_names=("RTX 4090",), gpu_count=1, gpu_ram_mb=1, disk_gb=1, download_mbps=50),
        store_patience_seconds=1.0 if name == "store-times-out" else 3.0,
    )

    HostTransfer(Here(), spec, manifest, store, SystemClock(), reported.append).to(str(tmp_path / "model"))

    assert (tmp_path / "model" / "weights").stat().st_size == SIZE
    if name in {"store-slow-for-all", "store-times-out"}:
        assert any("the host is kept" in line for line in reported), reported
