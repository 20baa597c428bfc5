"""Make the machine of the emulated market for which it lists a given offer."""

from functools import cache
from typing import Any

from providers.vast.api.offer import Offer
from sandbox.market.records.machines import GPUS, Gpu, Machine

YEARS = 10 * 365 * 86_400.0  # an offer without a duration lasts so long
WHOLE = {"reliability", "cpu_cores", "cpu_cores_effective", "cpu_ram", "hosting_type", "host_id"}  # the machine's own


def offer(number: int, **changes: Any) -> Offer:
    """An offer that fits the requirements of the tests unless changed."""
    row: dict[str, Any] = {
        "id": number,
        "machine_id": 1000 + number,
        "gpu_name": "RTX 4090",
        "num_gpus": 1,
        "gpu_ram": 24_000,
        "dph_base": 0.30 + number / 100,
        "storage_cost": 0.1,
        "inet_down": 900,
        "inet_down_cost": 0.001,
        "disk_space": 200,
        "reliability2": 0.99,
        "verification": "verified",
        "geolocation": "Texas, US",
        "direct_port_count": 20,
        "cuda_max_good": 13.0,
        "compute_cap": 890,
    }
    return Offer.model_validate({**row, **changes})


@cache
def machine_of(wanted: Offer) -> Machine:
    """Return the machine for which the market lists this offer. An offer that no machine has fails the test."""
    assert wanted.rentable, "what is listed is rentable"
    assert WHOLE.isdisjoint(wanted.model_fields_set), f"{WHOLE & wanted.model_fields_set} are the machine's own"
    like = next((gpu for gpu in GPUS if gpu.name == wanted.gpu_name), GPUS[0])
    gpu = Gpu(
        wanted.gpu_name,
        int(wanted.gpu_ram),
        like.price,
        wanted.compute_cap,  # type: ignore[arg-type]  # None: a market that is silent about it
        like.bandwidth_gbs,
        like.watts,
        like.weight,
        like.teraflops,
    )
    return Machine(
        machine_id=wanted.machine_id,
        host_id=wanted.machine_id + 50_000,
        gpu=gpu,
        num_gpus=wanted.num_gpus,
        usd_per_gpu_hour=wanted.dph_base / wanted.num_gpus,
        storage_cost=wanted.storage_cost,
        traffic_cost=wanted.inet_down_cost,
        disk_gb=wanted.disk_space,
        disk_mbs=2000.0,
        inet_down=wanted.inet_down,
        inet_up=wanted.inet_down,
        reliability=wanted.reliable,
        verification=wanted.verification or "unverified",
        place=wanted.geolocation or "",
        direct_ports=wanted.direct_port_count,
        static=True,
        datacenter=False,
        driver="580.95.05",
        cuda=wanted.cuda_max_good or 0.0,
        cpu="AMD EPYC 7702 64-Core Processor",
        cores=64,
        cpu_ram_mb=257_000,
        lease_seconds=YEARS if wanted.duration is None else wanted.duration,
        boot_seconds=30.0,
        draw=0.5,
    )
