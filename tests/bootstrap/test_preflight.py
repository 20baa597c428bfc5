"""Preflight: each way in which a machine is not what was advertised has its reason, and 0 is no bound."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.errors import PreflightFailed
from bootstrap.facts import Facts
from bootstrap.host import Result
from bootstrap.preflight import disk, preflight
from bootstrap.spec import EndpointSpec, Preflight
from providers.ledger.event import Reason
from tests.doubles.facts import EMPTY
from weights.manifest import PART_BYTES, File, Manifest

NOW = 1_800_000_000.0
BOUNDS = Preflight(
    ("RTX 4090",),
    1,
    24_000,
    disk_gb=16,
    cuda=12.8,
    gpu_celsius=85,
    cpu_cores=4,
    memory_mb=16_000,
    disk_mbps=800,
    clock_seconds=300,
)
GPU = "NVIDIA GeForce RTX 4090, 24564, 570.124.06"


def manifest(size: int) -> Manifest:
    parts = ("1" * 64,) * max(1, -(-size // PART_BYTES))
    return Manifest(name="m", files=(File(path="a", size=size, sha256="1" * 64, parts=parts),))


SPEC = EndpointSpec(
    name="chat-0",
    model=manifest(2_000_000_000),
    kit=manifest(3),
    served_model="m",
    token="t" * 43,
    addresses=("203.0.113.7",),
    preflight=BOUNDS,
)


def facts(**changes: Any) -> Facts:
    return Facts.model_validate({**EMPTY, **changes})


def test_a_machine_as_advertised_passes_and_is_described() -> None:
    summary = preflight(SPEC, facts(gpus=f"{GPU}, 35, 0\n", clock=NOW + 20), NOW)

    assert summary.startswith("1 x NVIDIA GeForce RTX 4090, driver 570.124.06, 16 processors, 64 GB memory")


@pytest.mark.parametrize(
    ("changes", "reason", "says"),
    [
        ({"gpus": None}, "gpu", "no GPU"),
        ({"gpus": "NVIDIA GeForce RTX 3090, 24576, 1\n"}, "gpu", "RTX 4090 was rented"),
        ({"gpus": "NVIDIA GeForce RTX 4090, 12000, 1\n"}, "gpu", "12000 MB"),
        ({"gpus": EMPTY["gpus"] * 2}, "gpu", "2 x"),
        ({"gpus": f"{GPU}, 91, [N/A]\n"}, "gpu", "at 91 C before any work, 85 C are allowed"),
        ({"gpus": f"{GPU}, 35, 4\n"}, "gpu", "4 uncorrected memory errors"),
        ({"cuda": 12.2}, "gpu", "supports CUDA 12.2, the image needs 12.8"),
        ({"shm_free_mb": 64}, "shm", "64 MB free and vLLM needs 160 MB"),
        ({"disk_free_mb": 100}, "disk", "100 MB of disk are free, 16000 MB are needed"),
        ({"cpu_cores": 1.5}, "cpu", "1.5 processors may be used, 4 are the least"),
        ({"memory_mb": 8000}, "memory", "8000 MB of memory, 16000 MB are the least"),
        ({"pids_max": 256}, "system", "256 processes and threads, 512 are the least"),
        ({"clock": NOW - 7200}, "clock", "off by 7200 s, 300 s are allowed"),
        ({"python": None}, "system", "vLLM"),
    ],
)
def test_what_the_machine_lacks_is_named(changes: dict[str, Any], reason: str, says: str) -> None:
    with pytest.raises(PreflightFailed, match=says) as raised:
        preflight(SPEC, facts(**changes), NOW)

    assert raised.value.reason == reason
    assert Reason(reason).blames_machine


SERVES = {"vllm_healthy": True, "gate_open": True}
SERVED_BEFORE = {"online": True, "gate_open": False}


@pytest.mark.parametrize("life", [SERVES, SERVED_BEFORE], ids=["serves", "served"])
@pytest.mark.parametrize(
    "changes",
    [
        {"gpus": None},
        {"gpus": "NVIDIA GeForce RTX 3090, 24576, 1\n"},
        {"gpus": f"{GPU}, 91, [N/A]\n"},
        {"cuda": 12.2},
        {"shm_free_mb": 64},
        {"cpu_cores": 1.5},
        {"memory_mb": 8000},
        {"pids_max": 256},
        {"clock": NOW - 7200},
    ],
)
def test_a_machine_that_served_is_kept_and_what_it_lacks_is_said(changes: dict[str, Any], life: dict[str, Any]) -> None:
    with pytest.raises(PreflightFailed) as refused:
        preflight(SPEC, facts(**changes), NOW)

    summary = preflight(SPEC, facts(**changes, **life), NOW)

    assert summary.endswith(f"; it served before and is kept, although {refused.value}")


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"disk_free_mb": 100}, "100 MB of disk are free, 16000 MB are needed"), ({"python": None}, "vLLM")],
)
def test_new_weights_need_disk_on_a_machine_that_served_too(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(PreflightFailed, match=says):
        preflight(SPEC, facts(gpus=None, **changes, **SERVES), NOW)


def test_weights_that_are_there_need_no_disk() -> None:
    assert preflight(SPEC, facts(disk_free_mb=100, model_files={"a": 3}, **SERVES), NOW)


@pytest.mark.parametrize("life", [{"vllm_healthy": True}, {"gate_open": True}])
def test_half_of_serving_is_not_serving(life: dict[str, Any]) -> None:
    with pytest.raises(PreflightFailed, match="no GPU"):
        preflight(SPEC, facts(gpus=None, **life), NOW)


def test_a_low_limit_of_processes_is_said() -> None:
    assert ", at most 1024 processes and threads" in preflight(SPEC, facts(pids_max=1024), NOW)
    assert "threads" not in preflight(SPEC, facts(pids_max=100_000), NOW)


def test_nought_is_no_bound() -> None:
    poor = facts(gpus=None, cuda=None, cpu_cores=0.1, memory_mb=1, clock=0.0)

    assert preflight(replace(SPEC, preflight=Preflight()), poor, NOW).startswith("no GPU")


def test_a_gpu_that_says_nothing_of_its_health_is_not_ill_and_it_is_said() -> None:
    bounds = replace(SPEC.preflight, gpu_celsius=85, clock_seconds=300)

    summary = preflight(replace(SPEC, preflight=bounds), facts(gpus=f"{GPU}, [N/A], [N/A]\n", clock=None), NOW)

    assert "not known: how hot NVIDIA GeForce RTX 4090 is" in summary
    assert "not known: how far the host's clock is off" in summary


@pytest.mark.parametrize(
    ("market", "driver"),
    [
        ("RTX 4090", "NVIDIA GeForce RTX 4090"),
        ("H100 SXM", "NVIDIA H100 80GB HBM3"),
        ("A100 PCIE", "NVIDIA A100-PCIE-40GB"),
        ("Tesla T4", "Tesla T4"),
        ("RTX 6000Ada", "NVIDIA RTX 6000 Ada Generation"),
        ("L40S", "NVIDIA L40S"),
    ],
)
def test_the_markets_name_and_the_drivers_are_the_same_gpu(market: str, driver: str) -> None:
    spec = replace(SPEC, preflight=Preflight((market,), 1))

    assert "1 x" in preflight(spec, facts(gpus=f"{driver}, 81559, 1\n"), NOW)


class Disk:
    """A host whose disk took some bytes in some seconds."""

    def __init__(self, taken: int, seconds: float) -> None:
        self.answer = json.dumps({"bytes": taken, "seconds": seconds})
        self.asked = 0

    def run(self, _command: str, _stdin: bytes = b"", timeout: float = 60) -> Result:
        assert timeout > 0
        self.asked += 1
        return Result(0, self.answer, "")

    def put(self, content: bytes, path: str, mode: int) -> None:
        raise AssertionError((content, path, mode))

    def close(self) -> None:
        raise AssertionError("not ours to close")


def test_a_fast_disk_is_described() -> None:
    assert disk(Disk(250_000_000, 1.0), SPEC) == "the disk takes 2000 Mb/s"


def test_a_slow_disk_is_given_back() -> None:
    with pytest.raises(PreflightFailed, match="takes 80 Mb/s, 800 Mb/s are the least") as raised:
        disk(Disk(10_000_000, 1.0), SPEC)

    assert raised.value.reason == "disk"


@pytest.mark.parametrize("spec", [replace(SPEC, model=manifest(1_000)), replace(SPEC, preflight=Preflight())])
def test_small_weights_and_no_bound_cost_no_time(spec: EndpointSpec) -> None:
    host = Disk(1, 1.0)

    assert disk(host, spec) == ""
    assert host.asked == 0


def test_the_script_writes_what_it_says_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = Path(__file__).parents[2] / "bootstrap/scripts/disk_speed.py"
    order = {"folder": str(tmp_path / "workspace"), "bytes": 5 << 20, "seconds": 5}

    exec(compile(script.read_text(), str(script), "exec"), {"REQUEST": order})

    assert json.loads(capsys.readouterr().out)["bytes"] == 8 << 20
    assert list((tmp_path / "workspace").iterdir()) == []


def test_a_cuda_that_cannot_be_read_fails_where_somebody_asked_for_one() -> None:
    wished = replace(SPEC, preflight=replace(BOUNDS, cuda_required=True))

    assert "not known: whether the driver supports CUDA 12.8" in preflight(SPEC, facts(cuda=None), NOW)
    with pytest.raises(PreflightFailed, match=r"cannot be read, and minCuda asks for 12\.8"):
        preflight(wished, facts(cuda=None), NOW)


@pytest.mark.parametrize(("seen", "passes"), [("8.9\n", True), ("7.5\n", False), ("8.9\n7.5\n", False)])
def test_an_architecture_that_is_too_old_is_refused(seen: str, passes: bool) -> None:
    spec = replace(SPEC, preflight=replace(BOUNDS, gpu_count=seen.count("\n"), capability=8.0))
    gpus = EMPTY["gpus"] * seen.count("\n")

    if passes:
        assert "compute capability" not in preflight(spec, facts(gpus=gpus, capabilities=seen), NOW)
    else:
        with pytest.raises(PreflightFailed, match=r"compute capability 7\.5, 8 is needed"):
            preflight(spec, facts(gpus=gpus, capabilities=seen), NOW)


@pytest.mark.parametrize("seen", [None, "", "[N/A]\n"])
def test_an_architecture_that_cannot_be_read_is_said(seen: str | None) -> None:
    spec = replace(SPEC, preflight=replace(BOUNDS, capability=8.0))

    summary = preflight(spec, facts(capabilities=seen), NOW)

    assert "not known: whether the GPU has compute capability 8" in summary


def test_a_card_that_no_table_knows_is_said_and_not_refused() -> None:
    spec = replace(SPEC, preflight=Preflight(("RTX 9999",), 1))

    summary = preflight(spec, facts(gpus="NVIDIA GeForce RTX 9999, 24564, 1\n"), NOW)

    assert "not known: whether NVIDIA GeForce RTX 9999 is RTX 9999" in summary
