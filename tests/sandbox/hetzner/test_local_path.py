"""Claims of the class local-path get folders of the server as disks, which go with them; no other claim and disk does."""

from pathlib import Path
from typing import Any, cast

import pytest

from sandbox.hetzner.k3s.api import Api
from sandbox.hetzner.k3s.local_path import CLASS, MADE_BY, PROVISIONER, SELECTED, Provisioner, disk_of, is_over, waits


def claim(name: str = "data", **changes: Any) -> dict[str, Any]:
    spec = {"storageClassName": CLASS, "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    metadata = {"name": name, "namespace": "watch", "uid": f"uid-{name}", "annotations": {SELECTED: "node-0"}}
    return {"metadata": {**metadata, **changes.pop("metadata", {})}, "spec": {**spec, **changes}}


class Written:
    """An API server that keeps what it is told."""

    def __init__(self, claims: list[dict[str, Any]]) -> None:
        self.claims, self.disks = claims, dict[str, dict[str, Any]]()

    def items(self, path: str) -> list[dict[str, Any]]:
        return list(self.disks.values()) if path.endswith("persistentvolumes") else self.claims

    def apply(self, objects: dict[str, dict[str, Any]]) -> None:
        self.disks |= {path: content for path, content in objects.items() if "persistentvolumes" in path}

    def delete(self, path: str) -> None:
        del self.disks[path]

    def release(self) -> None:
        """Mark every disk as one whose claim is gone, as the controllers do."""
        for disk in self.disks.values():
            disk["status"] = {"phase": "Released"}


def test_a_disk_comes_and_goes_with_its_claim(tmp_path: Path) -> None:
    folder = tmp_path / "storage"
    written = Written([claim()])
    provisioner = Provisioner(cast(Api, written), folder)

    provisioner.turn()

    [disk] = written.disks.values()
    place = folder / "pvc-uid-data_watch_data"
    assert disk["spec"]["hostPath"]["path"] == str(place)
    assert place.stat().st_mode & 0o777 == 0o777
    assert folder.stat().st_mode & 0o777 == 0o700
    assert disk["spec"]["claimRef"]["uid"] == "uid-data"
    assert disk["spec"]["capacity"] == {"storage": "2Gi"}
    (place / "kept").write_text("of great value")
    provisioner.turn()
    assert (place / "kept").exists(), "a disk whose claim waits a moment longer is left as it is"

    written.claims = []
    written.release()
    provisioner.turn()
    assert written.disks == {}
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "other",
    [
        claim(storageClassName="other"),
        claim(volumeName="pvc-uid-data"),
        claim(metadata={"annotations": {}}),
        claim(metadata={"deletionTimestamp": "now"}),
    ],
    ids=["of another class", "bound", "that no pod wants", "about to go"],
)
def test_a_claim_waits_only_for_a_disk_of_this_class(other: dict[str, Any]) -> None:
    assert waits(claim())
    assert not waits(other)


def test_no_disk_of_anybody_else_is_removed(tmp_path: Path) -> None:
    ours = {**disk_of(claim(), tmp_path), "status": {"phase": "Released"}}

    assert is_over(ours)
    assert not is_over({**ours, "status": {"phase": "Bound"}})
    assert not is_over({**ours, "metadata": {"name": "x", "annotations": {MADE_BY: f"not-{PROVISIONER}"}}})
    assert not is_over({**ours, "spec": {**ours["spec"], "persistentVolumeReclaimPolicy": "Retain"}})


def test_a_folder_outside_is_never_removed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    written = Written([])
    disk = disk_of(claim(), tmp_path / "storage")
    disk["spec"]["hostPath"]["path"] = str(outside)
    written.disks = {f"/api/v1/persistentvolumes/{disk['metadata']['name']}": disk}
    written.release()

    Provisioner(cast(Api, written), tmp_path / "storage").turn()

    assert written.disks == {}
    assert outside.exists()
