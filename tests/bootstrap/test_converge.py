"""From an empty host to an answered completion and on through its life, on an emulated host with the double of vLLM."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bootstrap.clock import Clock, SystemClock
from bootstrap.errors import EngineDied, EngineRefused, HostLost, PreflightFailed, WeightsMissing
from bootstrap.facts import Facts
from bootstrap.kit import build_kit
from bootstrap.manifest import Manifest
from bootstrap.plan import plan
from bootstrap.probe import Probe, probe
from bootstrap.run import Report, converge, observe
from bootstrap.spec import EndpointSpec, Preflight
from bootstrap.ssh import SshHost, connect
from providers.identity.authority import Authority, new_ca, sign_csr
from sandbox import model
from sandbox.hosts.backend import NamespaceHosts
from sandbox.hosts.host import NamespaceHost
from sandbox.hosts.images import Images
from tests.doubles.blobs import Blobs, running_blobs
from tests.doubles.emulated import USER_KEY, spec, until

pytestmark = [pytest.mark.host, pytest.mark.xdist_group("converge")]

TOKEN, OTHER = "first-" + "t" * 37, "second-" + "u" * 36
STORE = "blobs.sandbox.internal"
ONSTART = "[ -x /opt/gpu-fleet/kit/boot.sh ] && /opt/gpu-fleet/kit/boot.sh\ntrue\n"


@dataclass(frozen=True)
class Things:
    """What every host fetches, where from, and the CA that signs."""

    blobs: Blobs
    kit: Manifest
    model: Manifest
    authority: Authority

    def presign(self, sha256: str) -> str:
        return f"http://{STORE}/{sha256}?X-Signature=hush"

    def sign(self, csr_pem: str, addresses: tuple[str, ...]) -> str:
        return sign_csr(self.authority.key, self.authority.certificate, csr_pem, addresses, datetime.now(UTC))


@dataclass
class Rented:
    """One emulated host, what it should become, and what was said about it."""

    host: NamespaceHost
    things: Things
    spec: EndpointSpec
    said: list[str] = field(default_factory=list)

    def login(self, clock: Clock | None = None) -> SshHost:
        say = lambda phase, text: self.said.append(f"{phase}: {text}")  # noqa: E731
        fingerprint = self.host.key.fingerprint
        return connect("127.0.0.1", self.host.ports[22], USER_KEY.private, fingerprint, clock or SystemClock(), 20, say)

    def converge(self, **changes: object) -> Report:
        self.spec = replace(self.spec, **changes)
        with contextlib.closing(self.login()) as host:
            say = lambda phase, text: self.said.append(f"{phase}: {text}")  # noqa: E731
            return converge(host, self.spec, self.things, SystemClock(), say)

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


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Things]:
    if os.geteuid() != 0 or not Path("/usr/sbin/sshd").exists() or not shutil.which("runsvdir"):
        pytest.skip("emulated hosts need root, namespaces, openssh-server and runit")
    if subprocess.run(["unshare", "-mpnf", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("emulated hosts need namespaces")
    folder = tmp_path_factory.mktemp("things")
    with running_blobs() as blobs:
        kit, tiny = build_kit(folder / "kit"), model.write(folder / "tiny")
        blobs.add(kit, folder / "kit")
        blobs.add(tiny, folder / "tiny")
        yield Things(blobs, kit, tiny, new_ca("a" * 16, datetime.now(UTC)))


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamespaceHosts]:
    cache = tmp_path_factory.mktemp("cache")
    with contextlib.closing(NamespaceHosts(cache, Images("double", cache))) as hosts:
        yield hosts


def rent(hosts: NamespaceHosts, things: Things, **changes: object) -> Rented:
    inward = {f"{STORE}:80": ("127.0.0.1", things.blobs.port)}
    asked = {"image": "vllm/vllm-openai", "published": (22, 8443), "disk_mb": 400, "onstart": ONSTART, "inward": inward}
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


@pytest.fixture(scope="module")
def shared(hosts: NamespaceHosts, things: Things) -> Iterator[Rented]:
    rented = rent(hosts, things)
    yield rented
    rented.host.destroy()


@pytest.fixture
def serving(shared: Rented) -> Rented:
    """A host that serves; the tests of this module share it, and each leaves it serving."""
    shared.said.clear()
    shared.converge()
    return shared


@pytest.fixture
def fresh(hosts: NamespaceHosts, things: Things) -> Iterator[Rented]:
    rented = rent(hosts, things)
    yield rented
    rented.host.destroy()


def test_an_empty_host_answers_a_completion(fresh: Rented) -> None:
    report = fresh.converge()

    assert fresh.ask().text
    assert set(report.timings) == {"preflight", "install", "fetch weights", "start"}
    assert [line.partition(":")[0] for line in fresh.said] == [
        "connect",
        "preflight",
        "install",
        "fetch weights",
        "install",
        "start",
    ]
    assert report.certificate_end > SystemClock().time() + 80 * 86400
    assert not any(secret in " ".join(fresh.said) for secret in (TOKEN, "hush", "PRIVATE"))


def test_a_second_time_there_is_nothing_to_do(serving: Rented) -> None:
    before = serving.run("cat /run/gpu-fleet/vllm.group")

    report = serving.converge()

    assert report.changed == []
    assert plan(serving.spec, serving.facts(), SystemClock().time()) == []
    assert serving.run("cat /run/gpu-fleet/vllm.group") == before


def test_no_secret_is_in_any_command_line_of_the_host(serving: Rented) -> None:
    listed = serving.run("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'; cat /var/log/gpu-fleet/*")

    assert "vllm.entrypoints.openai.api_server" in listed
    assert TOKEN not in listed
    assert "hush" not in listed
    assert serving.run("stat -c %a /opt/gpu-fleet/etc/token /opt/gpu-fleet/etc/tls.key") == "600\n600"


def test_a_killed_vllm_comes_back_and_leaves_no_child(serving: Rented) -> None:
    """The supervisor alone would start a second vLLM beside the children of the first."""
    group = serving.run("cat /run/gpu-fleet/vllm.group")
    members = serving.run(f"ps -eo pid=,pgid=,args= | awk '$2=={group}'").splitlines()

    serving.run(f"kill -9 {group}")

    until(lambda: serving.run("cat /run/gpu-fleet/vllm.group") not in {"", group}, 20)
    left = serving.run(f"ps -eo pid=,pgid=,stat=,args= | awk '$2=={group} && $3 !~ /Z/'")
    assert len(members) > 1, "vLLM has a child here, or this test shows nothing"
    assert left == ""
    assert serving.ask().text


def test_other_arguments_restart_vllm_and_nothing_else(serving: Rented) -> None:
    gate = serving.run("cat /opt/gpu-fleet/service/gate/supervise/pid")
    serving.things.blobs.requests.clear()

    report = serving.converge(vllm_args=("--max-model-len", "256"))

    assert [line.partition(":")[0] for line in report.changed] == ["start vLLM", "open gate"]
    assert serving.run("cat /opt/gpu-fleet/service/gate/supervise/pid") == gate
    assert serving.things.blobs.requests == []
    assert serving.ask().text


def test_another_token_changes_a_file_and_shuts_the_old_one_out(serving: Rented) -> None:
    before = serving.run("cat /run/gpu-fleet/vllm.group /opt/gpu-fleet/service/gate/supervise/pid")
    old = serving.spec.token
    new = OTHER if old == TOKEN else TOKEN

    report = serving.converge(token=new)

    changed = [line.partition(":")[0] for line in report.changed]
    assert changed == ["write token", "open gate", "drop previous token"]
    assert serving.run("cat /run/gpu-fleet/vllm.group /opt/gpu-fleet/service/gate/supervise/pid") == before
    assert serving.ask(new).text
    with pytest.raises(EngineDied, match="answers 401"):
        serving.ask(old, seconds=0.2)


def test_a_raised_epoch_renews_the_certificate(serving: Rented) -> None:
    before = serving.facts().certificate

    report = serving.converge(certificate_epoch=serving.spec.certificate_epoch + 1)

    assert [line.partition(":")[0] for line in report.changed] == ["certify", "open gate"]
    assert serving.facts().certificate != before
    assert serving.ask().text


def test_weights_that_were_changed_are_noticed_and_mended(serving: Rented) -> None:
    folder = serving.spec.model_folder
    serving.run(f"printf x | dd of={folder}/model.safetensors bs=1 seek=2000 conv=notrunc")

    report = serving.converge()

    assert [line.partition(":")[0] for line in report.changed] == ["fetch model", "open gate"]
    manifest_digest = next(file.sha256 for file in serving.things.model.files if file.path == "model.safetensors")
    assert serving.run(f"sha256sum {folder}/model.safetensors").split()[0] == manifest_digest


def test_refused_arguments_are_our_fault_and_say_why(serving: Rented) -> None:
    good = serving.spec.vllm_args

    with pytest.raises(EngineRefused, match="unrecognized arguments: --no-such-thing"):
        serving.converge(vllm_args=("--no-such-thing",))

    with pytest.raises(EngineDied, match="503"):
        serving.ask(seconds=0.2)
    serving.converge(vllm_args=good)
    assert serving.ask().text


def test_a_restarted_host_serves_nothing_until_it_is_proven(serving: Rented) -> None:
    serving.host.stop()
    serving.host.start()

    until(lambda: serving.run("cat /run/gpu-fleet/gate.started") != "", 20)
    with pytest.raises(EngineDied, match="503"):
        serving.ask(seconds=3)

    serving.converge()

    assert serving.ask().text


def test_draining_closes_the_gate(serving: Rented) -> None:
    assert serving.run("/opt/gpu-fleet/kit/drain.sh 5; echo $?") == "0"
    with pytest.raises(EngineDied, match="503"):
        serving.ask(seconds=0.2)

    assert [line.partition(":")[0] for line in serving.converge().changed] == ["open gate"]


def test_too_little_shared_memory_is_found_before_anything_is_fetched(hosts: NamespaceHosts, things: Things) -> None:
    rented = rent(hosts, things, shm_mb=64)
    things.blobs.requests.clear()
    try:
        with pytest.raises(PreflightFailed, match=r"64 MB free.*160 MB") as raised:
            rented.converge()
    finally:
        rented.host.destroy()

    assert raised.value.reason == "shm"
    assert things.blobs.requests == []


def test_a_blob_that_the_store_lacks_is_our_fault(fresh: Rented) -> None:
    one = fresh.things.model.files[0]
    other = one.model_copy(update={"sha256": "0" * 64, "parts": ("0" * 64,)})
    lacking = Manifest(name="lacking", files=(other,))

    with pytest.raises(WeightsMissing, match="404"):
        fresh.converge(model=lacking)


def test_a_slow_line_is_given_back(hosts: NamespaceHosts, things: Things) -> None:
    rented = rent(hosts, things, download_mbps=20)
    try:
        with pytest.raises(PreflightFailed, match="Mb/s") as raised:
            rented.converge(preflight=replace(rented.spec.preflight, download_mbps=200))
    finally:
        rented.host.destroy()

    assert raised.value.reason == "slow"


def test_a_host_that_ends_meanwhile_is_lost(fresh: Rented) -> None:
    class Ending(SystemClock):
        """Ends the host in the middle of work."""

        waits = 0

        def sleep(self, seconds: float) -> None:
            self.waits += 1
            if self.waits == 60:
                fresh.host.destroy()
            super().sleep(seconds)

    clock = Ending()
    with contextlib.closing(fresh.login(clock)) as host, pytest.raises(HostLost, match="ended"):
        converge(host, fresh.spec, fresh.things, clock, lambda *_: None)
