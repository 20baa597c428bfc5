"""An emulated Hetzner whose servers boot with cloud-init and reach k3s' releases and a store; config of its stack."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from hcloud import Client

from sandbox.hetzner import k3s_binary
from sandbox.hetzner.downloads import Downloads
from sandbox.hetzner.image import Image, folder_in, of_k3s, with_node
from sandbox.hetzner.machines import MachinesError
from sandbox.hetzner.namespace_machines import NamespaceMachines
from sandbox.hetzner.testing import RunningHetzner, running_hetzner
from sandbox.hosts.images import default_cache
from sandbox.services.child import ServiceError
from sandbox.services.object_store import ADMIN, NAME_FOR_HOSTS, REGION, ObjectStore
from tests.doubles.pulumi_stack import Stack, sandbox_config
from tests.doubles.real_node import images

VERSION, BUCKET = "v1.34.2+k3s1", "snapshots"
STORE_OF_PODS = "store.example.net"  # plain HTTP: pods do not trust the sandbox's CA
SECRETS = {
    "gpu-fleet:backupAccessKey": ADMIN.access_key,
    "gpu-fleet:backupSecretKey": ADMIN.secret_key,
    "gpu-fleet:metricsKey": "a metrics key of the cluster's life",
    "gpu-fleet:exporterMarketKey": "a market key of the exporter",
}


@dataclass(frozen=True)
class World:
    """A Hetzner whose servers reach a store and k3s' releases."""

    hetzner: RunningHetzner
    store: ObjectStore
    machines: NamespaceMachines
    home: Path  # of the servers' files

    @property
    def client(self) -> Client:
        return Client(self.hetzner.token, api_endpoint=self.hetzner.url, poll_interval=0.05)

    def snapshots(self) -> list[str]:
        s3 = boto3.client(
            "s3",
            endpoint_url=self.store.endpoint,
            region_name=REGION,
            aws_access_key_id=ADMIN.access_key,
            aws_secret_access_key=ADMIN.secret_key,
        )
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=BUCKET)
        return sorted(row["Key"] for row in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []))

    def kinds(self) -> dict[str, int]:
        return {kind: len(rows) for kind, rows in self.hetzner.project.resources.items() if rows}


@contextlib.contextmanager
def running_world(
    folder: Path,
    time_scale: float = 300.0,
    *,
    pods: bool = False,
    outward: Mapping[str, tuple[str, int]] | None = None,
) -> Iterator[World]:
    """Run it until the block ends. `time_scale`: see running_hetzner. Raises MachinesError, ServiceError.

    `pods`: its servers run pods. `outward`: what else they reach, "name:port", and where that leads to on this machine.
    """
    cache = default_cache()
    with contextlib.ExitStack() as undo:
        image = Image(folder_in(cache), of_k3s(cache))
        image = with_node(image, images()) if pods else image
        downloads, store = Downloads(folder / "downloads"), ObjectStore(folder / "store")
        store.start()
        undo.callback(store.stop)
        downloads.start()
        undo.callback(downloads.stop)
        own = {
            f"{NAME_FOR_HOSTS}:443": ("127.0.0.1", store.https_port),
            f"{STORE_OF_PODS}:443": ("127.0.0.1", store.http_port),
        }
        ways = {**downloads.outward, **own, **(outward or {})}
        trusted = downloads.ca_pem + store.ca_pem
        machines = NamespaceMachines(folder / "home", folder / "cache", image, ways, trusted)
        undo.callback(machines.close)
        made = World(undo.enter_context(running_hetzner(machines, time_scale)), store, machines, folder / "home")
        made.snapshots()
        yield made


@contextlib.contextmanager
def world_or_skip(folder: Path) -> Iterator[World]:
    """Run it until the block ends; a machine that cannot run it skips the test, and says why."""
    with contextlib.ExitStack() as undo:
        try:
            made = undo.enter_context(running_world(folder))
        except (MachinesError, ServiceError) as error:
            pytest.skip(str(error))
        yield made


def write_config(
    stack: Stack, world: World, version: str = VERSION, kubernetes: Mapping[str, Any] | None = None, **given: Any
) -> None:
    """Write a stack's config: the cluster with `given` keys, monitoring in it with `kubernetes` keys."""
    config = sandbox_config("http://127.0.0.1:1", 1, world.store.endpoint)
    place = {"hostEndpoint": f"https://{NAME_FOR_HOSTS}", "region": REGION, "bucket": BUCKET}
    config["gpu-fleet:store"] = {**config["gpu-fleet:store"], **place}
    config["gpu-fleet:cluster"] = {
        "location": "fsn1",
        "adminCidrs": ["127.0.0.1/32"],
        "k3s": {"version": version, "sha256": k3s_binary.sha256(version)},
        "protect": False,
        "apiUrl": world.hetzner.url,
        **given,
    }
    config["gpu-fleet:kubernetes"] = {"image": "example/monitoring:1", "wait": False, **(kubernetes or {})}
    config |= {**SECRETS, "gpu-fleet:hcloudToken": world.hetzner.token}
    stack.write_config(config)
