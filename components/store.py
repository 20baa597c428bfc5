"""The object store of a stack: one bucket, the kit, and the blobs of each model that a fleet serves."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import pulumi

from bootstrap.cache import cache_folder
from components.metrics_kit import make_kit
from components.provider_pool import ProviderPool
from components.sealing import sealed
from config.models import ModelConfig
from config.secret_leaves import NONE, SecretLeaves
from config.stack import StackConfig
from providers.identity.resource import Identity
from providers.store.resource import Blobs, Bucket
from weights.manifest import Manifest

HOLDER = re.compile(r"[a-zA-Z0-9._-]{0,100}\Z")


@dataclass(frozen=True)
class StoreArgs:
    """The inputs of the store. `manifests`: by model name; `project`: the folder that paths in config are relative to.

    `rentals` ends after the bucket, and gives up one that a killed create left.

    With `vmagent`, the kit has the programs that make hosts report.
    """

    stack: StackConfig
    manifests: dict[str, Manifest]
    identity: Identity
    rentals: pulumi.Resource
    project: Path
    vmagent: Path | None = None
    secret_leaves: SecretLeaves = NONE


class Store(pulumi.ComponentResource):
    """`gpu-fleet:components:Store`: a Bucket, Blobs `kit`, and Blobs `model-<name>` for each model in use.

    Outputs: `bucket` (the resource), `kit` (its manifest), `blobs_of(model)` (the resources that a host needs before it can
    fetch that model).
    """

    kit: Manifest
    bucket: Bucket

    def __init__(
        self, name: str, args: StoreArgs, pool: ProviderPool, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gpu-fleet:components:Store", name, None, opts)
        store = args.stack.store
        options = pulumi.ResourceOptions(parent=self, provider=pool.common())
        place = {"endpoint": store.endpoint, "region": store.region}
        self.bucket = Bucket(
            "bucket",
            {
                **place,
                "name": store.bucket,
                "stackId": args.identity.stackId,
                "onDestroy": store.on_destroy,
                "versioning": store.versioning,
            },
            pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=[args.rentals])),
        )
        options = pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=[self.bucket]))
        folder = kit_folder()
        self.kit = make_kit(folder, args.vmagent)
        sources = {f"model-{model}": _source(args.stack.models[model], args.project) for model in args.manifests}
        manifests = {
            "kit": self.kit,
            **{f"model-{model}": manifest for model, manifest in args.manifests.items()},
        }
        self._blobs = {
            key: Blobs(
                key,
                {
                    **place,
                    "bucket": store.bucket,
                    "owner": holder(key),
                    "verify": store.verify,
                    "onDestroy": store.on_destroy,
                    "manifest": manifest.to_props(),
                    "source": str(folder if key == "kit" else sources[key]),
                },
                options,
            )
            for key, manifest in manifests.items()
        }
        self.register_outputs({"bucket": sealed(store.bucket, args.secret_leaves), "kit": self.kit.digest})

    def blobs_of(self, model: str) -> list[pulumi.Resource]:
        """Return the resources from which a host of this model fetches."""
        return [self._blobs["kit"], self._blobs[f"model-{model}"]]


def holder(key: str) -> str:
    """Return the file name under which the bucket notes a reference to blobs. It is safe for any model's name."""
    if HOLDER.match(key):
        return key
    plain = re.sub(r"[^a-zA-Z0-9._-]", "-", key)[:80]
    return f"{plain}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def kit_folder() -> Path:
    """Return the cache folder in which the kit is built."""
    return cache_folder() / "kit"


def _source(model: ModelConfig, project: Path) -> Path:
    return project / (model.source or str(Path(model.manifest).with_suffix("")))
