"""A real S3 server for the whole session of one worker, and a bucket name of its own for each test."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.store.client import Keys, connect
from sandbox.faults import Faults
from sandbox.services.object_store import ADMIN, REGION, STRANGER, ObjectStore
from sandbox.services.store_faults import Manners
from sandbox.services.store_front import StoreFront
from sandbox.services.store_manners import LateBuckets
from weights.manifest import Manifest, of_folder


@pytest.fixture(scope="session")
def _fronted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StoreFront, Faults]]:
    board = Faults()
    with ObjectStore(tmp_path_factory.mktemp("store")) as running:
        front = StoreFront(running, board, manners=Manners(silent_seconds=0.1, late=LateBuckets(2.0)))
        yield front, board
        front.stop()


@pytest.fixture
def store(_fronted: tuple[StoreFront, Faults]) -> StoreFront:
    """The store as a stack meets it: without tags."""
    return _fronted[0]


@pytest.fixture
def faults(_fronted: tuple[StoreFront, Faults]) -> Iterator[Faults]:
    board = _fronted[1]
    yield board
    for name in board.armed():
        board.disarm(name)


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys(ADMIN.access_key, ADMIN.secret_key)


@pytest.fixture
def strangers_keys() -> Keys:
    return Keys(STRANGER.access_key, STRANGER.secret_key)


@pytest.fixture
def s3(store: StoreFront, keys: Keys) -> Any:
    return connect(store.endpoint, REGION, keys)


@pytest.fixture
def name() -> str:
    return f"test-{secrets.token_hex(8)}"


@pytest.fixture
def bucket_props(store: StoreFront, name: str) -> dict[str, Any]:
    return {"endpoint": store.endpoint, "region": REGION, "name": name, "stackId": "a" * 16, "onDestroy": "keep"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "model"
    (place / "sub").mkdir(parents=True)
    (place / "config.json").write_bytes(b"{}")
    (place / "sub" / "weights").write_bytes(b"weights" * 1000)
    (place / "twin").write_bytes(b"{}")
    return place


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    return of_folder("small", folder)


@pytest.fixture
def blobs_props(store: StoreFront, name: str, manifest: Manifest, folder: Path) -> dict[str, Any]:
    return {
        "endpoint": store.endpoint,
        "region": REGION,
        "bucket": name,
        "manifest": manifest.model_dump(mode="json"),
        "source": str(folder),
    }
