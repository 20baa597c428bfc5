"""A whole cloud for one test worker: emulated market, real hosts with vLLM or its double, a real object store.

with running_cloud(folder) as cloud:
    props = cloud.props("chat-0")          # inputs of a VastInstance as the engine would pass them
    cloud.arm("never-boots")
    cloud.rented() == []                   # by the market's own records
"""

import contextlib
import copy
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bootstrap.kit import build_kit
from config.rotation import RotationConfig
from providers.identity.state import fresh
from providers.identity.tokens import token_for
from providers.store.blobs import Blobs
from providers.store.bucket import Bucket
from providers.store.client import Keys, connect
from providers.store.inputs import BlobsInputs, BucketInputs
from providers.vast.api.account_directory import account_directory
from providers.vast.api.label import Label
from sandbox.daemon import Sandbox
from sandbox.faults.catalogue import FAULTS
from sandbox.model import write as write_model
from sandbox.services.object_store import ADMIN, REGION
from sandbox.settings import Settings, Vllm, folders
from tests.doubles.pulumi_stack import sandbox_config
from weights.manifest import Manifest, of_folder

REPO = Path(__file__).resolve().parents[2]
TIME_SCALE = 100.0
ACCOUNT_KEY = "sandbox-account-key"
ACCOUNT = {"vastApiKey": ACCOUNT_KEY, "storeAccessKey": ADMIN.access_key, "storeSecretKey": ADMIN.secret_key}
IMAGE = "vllm/vllm-openai-cpu:v0.32.0"
LIMITS = {"attempts": 3, "bootMinutes": 15, "connectMinutes": 0.1, "totalMinutes": 5, "expectedHours": 8}


@dataclass
class Cloud:
    """A running sandbox and one stack's worth of identity, bucket and blobs in it."""

    sandbox: Sandbox
    folder: Path
    identity: dict[str, Any] = field(default_factory=dict)
    bucket: str = ""
    model: Manifest | None = None
    kit: Manifest | None = None
    time_scale: float = TIME_SCALE

    @property
    def market_url(self) -> str:
        return str(self.sandbox.status()["market"]["url"])

    @property
    def store_endpoint(self) -> str:
        return str(self.sandbox.status()["store"]["endpoint"])

    def arm(self, name: str, times: int = 1) -> None:
        self.sandbox.arm(name, times)

    def rented(self) -> list[dict[str, Any]]:
        """Return the instances that the market charges for now."""
        return list(self.sandbox.status()["market"]["instances"])

    def clear(self) -> None:
        """End every fault, those that have struck included, and everything that is rented."""
        for name in FAULTS:
            self.sandbox.disarm(name)
        for row in self.rented():
            self.sandbox.market.destroy(row["id"])

    def forget_answers(self) -> None:
        """Remove the market's answers that this machine's processes share, so that the next one asks for itself."""
        for file in account_directory(self.market_url, ACCOUNT_KEY).glob("answer-*.json"):
            file.unlink(missing_ok=True)

    def upload(self) -> None:
        """Make identity, bucket, tiny model and kit, and bring the blobs into a bucket of their own."""
        self.identity = fresh(RotationConfig(), datetime.now(UTC))
        self.bucket = f"test-{secrets.token_hex(6)}"
        self.model = write_model(self.folder / "tiny")
        self.kit = build_kit(self.folder / "kit")
        place = {"endpoint": self.store_endpoint, "region": REGION, "name": self.bucket, "onDestroy": "empty"}
        bucket = BucketInputs.from_props({**place, "stackId": self.identity["stackId"]})
        Bucket(self._client(), bucket, lambda _text: None).ensure()
        self._bring(self.model, self.folder / "tiny")
        self._bring(self.kit, self.folder / "kit")

    def second_model(self) -> Manifest:
        """Bring another model into the bucket: the tiny one with one more file."""
        other = self.folder / "other"
        shutil.copytree(self.folder / "tiny", other, dirs_exist_ok=True)
        (other / "README.md").write_text("the second version\n")
        manifest = of_folder("tiny", other)
        self._bring(manifest, other)
        return manifest

    def _bring(self, manifest: Manifest, source: Path) -> None:
        inputs = {"endpoint": self.store_endpoint, "region": REGION, "bucket": self.bucket, "source": str(source)}
        blobs = BlobsInputs.from_props({**inputs, "manifest": manifest.model_dump(mode="json")})
        Blobs(self._client(), blobs, lambda _text: None).upload_missing()

    def _client(self) -> Any:
        return connect(self.store_endpoint, REGION, Keys(ADMIN.access_key, ADMIN.secret_key))

    def props(self, name: str, **changes: Any) -> dict[str, Any]:
        """Inputs of one VastInstance; `changes` replace whole top-level keys."""
        assert self.model is not None
        assert self.kit is not None
        identity = self.identity
        props = {
            "name": name,
            "label": str(Label(identity["stackId"], name)),
            "turn": 0,
            "market": {
                "url": self.market_url,
                "hostUrl": "http://market.sandbox.internal",
                "timeScale": self.time_scale,
            },
            "store": {
                "endpoint": "https://s3.sandbox.internal",
                "ownEndpoint": self.store_endpoint,
                "region": REGION,
                "bucket": self.bucket,
            },
            "wishes": {"gpuNames": ["RTX 4090", "RTX 3090"], "gpuCount": 1, "maxUsdPerHour": 0.6, "downloadMbps": 50},
            "limits": LIMITS,
            "server": {"image": IMAGE, "modelName": "tiny", "arguments": [], "environment": {}, "port": 8443},
            "diskGb": 16,
            "model": self.model.model_dump(mode="json"),
            "kit": self.kit.model_dump(mode="json"),
            "access": {
                "sshPublicKey": identity["sshPublicKey"],
                "sshPrivateKey": identity["sshPrivateKey"],
                "caCertificate": identity["caCertificate"],
                "caKey": identity["caKey"],
                "token": token_for(identity["tokenSecret"], name, 0),
                "certificateEpoch": 0,
            },
        }
        return copy.deepcopy({**props, **changes})

    def stack_config(self, **fleet: Any) -> dict[str, Any]:
        """Config of a stack in this cloud: one fleet `chat` of one instance, with `fleet` changed."""
        config = sandbox_config(self.market_url, self.time_scale, self.store_endpoint, **fleet)
        return {**config, "gpu-fleet:limits": LIMITS}


@contextlib.contextmanager
def running_cloud(
    folder: Path, vllm: Vllm = "double", time_scale: float = TIME_SCALE, **settings: Any
) -> Iterator[Cloud]:
    """Run a cloud until the block ends; skips where hosts cannot be emulated. `settings`: more of the sandbox's."""
    if os.getuid() != 0:
        pytest.skip("emulated hosts are tested as root")
    _state, cache = folders(os.environ)
    (folder / "state").mkdir(parents=True)
    sandbox = Sandbox(Settings(folder / "state", cache, vllm=vllm, time_scale=time_scale, **settings))
    sandbox.start()
    try:
        yield Cloud(sandbox, folder, time_scale=time_scale)
    finally:
        sandbox.stop()
