"""An emulated host that is to become an endpoint: what it fetches, the CA that signs, and what was said about it."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bootstrap.apply import Report
from bootstrap.clock import Clock, SystemClock
from bootstrap.connect import connect
from bootstrap.converge import converge, observe
from bootstrap.facts import Facts
from bootstrap.kit import build_kit
from bootstrap.probe import Probe, probe
from bootstrap.spec import EndpointSpec, Preflight
from bootstrap.ssh_host import SshHost
from providers.identity.authority import Authority, new_ca, sign_csr
from sandbox import model
from sandbox.hosts.backend import NamespaceHosts
from sandbox.hosts.host import NamespaceHost
from tests.doubles.blobs import Blobs, running_blobs
from tests.doubles.emulated import USER_KEY, spec
from weights.manifest import Manifest

TOKEN = "first-" + "t" * 37
SECRET_IN_URL = "hush"
STORE = "blobs.sandbox.internal"
ONSTART = "[ -x /opt/gpu-fleet/kit/boot.sh ] && /opt/gpu-fleet/kit/boot.sh\ntrue\n"


@dataclass(frozen=True)
class Things:
    """What every host fetches, where from, and the CA that signs."""

    blobs: Blobs
    kit: Manifest
    model: Manifest
    authority: Authority
    warm: dict[str, bytes] = field(default_factory=dict)

    def presign(self, sha256: str, _seconds: int) -> str:
        return f"http://{STORE}/{sha256}?X-Signature={SECRET_IN_URL}"

    def store_trouble(self) -> str:
        return ""

    def store_mbps(self, _sha256: str, _size: int) -> float | None:
        return 1000.0

    def warm_archive(self, _key: str) -> bytes | None:
        return self.warm.get("archive")

    def sign(self, csr_pem: str, addresses: tuple[str, ...]) -> str:
        return sign_csr(self.authority.key, self.authority.certificate, csr_pem, addresses, datetime.now(UTC))


@dataclass
class Rented:
    """One emulated host, what it should become, and what was said about it."""

    host: NamespaceHost
    things: Things
    spec: EndpointSpec
    reported: list[str] = field(default_factory=list)

    def login(self, clock: Clock | None = None) -> SshHost:
        report_progress = lambda phase, text: self.reported.append(f"{phase}: {text}")  # noqa: E731
        fingerprint = self.host.key.fingerprint
        return connect(
            "127.0.0.1", self.host.ports[22], USER_KEY.private, fingerprint, clock or SystemClock(), 20, report_progress
        )

    def converge(self, **changes: Any) -> Report:
        self.spec = replace(self.spec, **changes)
        with contextlib.closing(self.login()) as host:
            report_progress = lambda phase, text: self.reported.append(f"{phase}: {text}")  # noqa: E731
            return converge(host, self.spec, self.things, SystemClock(), report_progress)

    def facts(self) -> Facts:
        with contextlib.closing(self.login()) as host:
            return observe(host, self.spec)

    def run(self, command: str) -> str:
        with contextlib.closing(self.login()) as host:
            return host.run(command).stdout.strip()

    def ask(self, token: str | None = None, seconds: float = 15) -> Probe:
        url = f"https://127.0.0.1:{self.host.ports[8443]}"
        ca = self.things.authority.certificate
        return probe(url, ca, token or self.spec.token, self.spec.served_model, SystemClock(), seconds)


@contextlib.contextmanager
def prepared(folder: Path) -> Iterator[Things]:
    """Build the kit and the tiny model and serve them; skips where this machine cannot make hosts."""
    if os.geteuid() != 0 or not Path("/usr/sbin/sshd").exists() or not shutil.which("runsvdir"):
        pytest.skip("emulated hosts need root, namespaces, openssh-server and runit")
    if subprocess.run(["unshare", "-mpnf", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("emulated hosts need namespaces")
    with running_blobs() as blobs:
        kit, tiny = build_kit(folder / "kit"), model.write(folder / "tiny")
        blobs.add(kit, folder / "kit")
        blobs.add(tiny, folder / "tiny")
        yield Things(blobs, kit, tiny, new_ca("a" * 16, datetime.now(UTC)))


def rent(hosts: NamespaceHosts, things: Things, **changes: object) -> Rented:
    """Make one host that has nothing of ours yet; `changes` are of its specification."""
    outward = {f"{STORE}:80": ("127.0.0.1", things.blobs.port)}
    asked = {
        "image": "vllm/vllm-openai",
        "published": (22, 8443),
        "disk_mb": 400,
        "onstart": ONSTART,
        "outward": outward,
    }
    host = hosts.create(spec(**{**asked, **changes}))
    bounds = Preflight(("RTX 4090",), gpu_count=2, gpu_ram_mb=24_000, shm_mb=160, disk_gb=0.1)
    wanted = EndpointSpec(
        name="chat-0",
        model=things.model,
        kit=things.kit,
        served_model="tiny",
        token=TOKEN,
        addresses=("127.0.0.1",),
        vllm_args=("--max-model-len", "512"),
        preflight=bounds,
    )
    return Rented(host, things, wanted)
