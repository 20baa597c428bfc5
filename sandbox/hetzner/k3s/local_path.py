"""Makes the disks of claims as k3s' local-path provisioner does: folders of the server, for the class `local-path`.

In k3s a pod does this; here k3s itself. A disk goes with its claim, and its folder with it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.hetzner.k3s.api import Api, Object

CLASS, PROVISIONER = "local-path", "rancher.io/local-path"
SELECTED = "volume.kubernetes.io/selected-node"  # set by the scheduler, as soon as a pod wants the claim
MADE_BY = "pv.kubernetes.io/provisioned-by"
STORAGE_CLASS: Object = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": PROVISIONER,
    "volumeBindingMode": "WaitForFirstConsumer",
    "reclaimPolicy": "Delete",
}


class Provisioner:
    """Makes and removes the disks below a folder. Each call raises Refused."""

    def __init__(self, api: Api, folder: Path, remove: Callable[[Path], Any] = shutil.rmtree) -> None:
        self._api, self._folder, self._remove = api, folder, remove

    def declare(self) -> None:
        """Make the storage class."""
        self._api.apply({f"/apis/storage.k8s.io/v1/storageclasses/{CLASS}": STORAGE_CLASS})

    def turn(self) -> None:
        """Make the disks that claims wait for, and remove those whose claims are gone."""
        for claim in filter(waits, self._api.items("/api/v1/persistentvolumeclaims")):
            disk = disk_of(claim, self._folder)
            folder = Path(disk["spec"]["hostPath"]["path"])
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)  # pods of any user write there: Kubernetes gives their group no access to such disks
            self._folder.chmod(0o700)
            self._api.apply({f"/api/v1/persistentvolumes/{disk['metadata']['name']}": disk})
        for disk in filter(is_over, self._api.items("/api/v1/persistentvolumes")):
            folder = Path(disk["spec"]["hostPath"]["path"])
            if folder.parent == self._folder and folder.exists():
                self._remove(folder)
            self._api.delete(f"/api/v1/persistentvolumes/{disk['metadata']['name']}")


def waits(claim: Object) -> bool:
    """Say whether a claim waits for its disk here."""
    spec, metadata = claim["spec"], claim["metadata"]
    wanted = spec.get("storageClassName") == CLASS and not spec.get("volumeName")
    return bool(wanted and SELECTED in metadata.get("annotations", {}) and "deletionTimestamp" not in metadata)


def is_over(disk: Object) -> bool:
    """Say whether a disk of ours has lost its claim, and is to go with it."""
    ours = disk["metadata"].get("annotations", {}).get(MADE_BY) == PROVISIONER
    spec, released = disk["spec"], disk.get("status", {}).get("phase") == "Released"
    return bool(ours and released and spec.get("persistentVolumeReclaimPolicy") == "Delete")


def disk_of(claim: Object, folder: Path) -> Object:
    """Return the disk of a claim, which no other claim gets."""
    metadata, spec = claim["metadata"], claim["spec"]
    name, node = f"pvc-{metadata['uid']}", metadata["annotations"][SELECTED]
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    owner = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    place = folder / f"{name}_{metadata['namespace']}_{metadata['name']}"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {MADE_BY: PROVISIONER}},
        "spec": {
            "capacity": spec["resources"]["requests"],
            "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": CLASS,
            "claimRef": {**owner, **{key: metadata[key] for key in ("namespace", "name", "uid")}},
            "hostPath": {"path": str(place), "type": "DirectoryOrCreate"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
