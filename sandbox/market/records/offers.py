"""Builds the row of an offer, in the fields and units of the market's search answer."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sandbox.market.records.clock import MarketClock
from sandbox.market.records.machines import Machine

HOURS_A_MONTH = 720
DEFAULT_STORAGE_GB = 8.0

# The same for every machine. Clients read these fields and choose by none.
SAME: dict[str, Any] = {
    "gpu_arch": "nvidia",
    "gpu_frac": 1.0,
    "gpu_lanes": 16,
    "gpu_max_temp": 88.0,
    "gpu_display_active": False,
    "gpu_ids": [],
    "pci_gen": 4.0,
    "cpu_arch": "amd64",
    "has_avx": 1,
    "disk_name": "nvme",
    "resource_type": "gpu",
    "cluster_id": None,
    "is_vm_deverified": False,
    "external": False,
    "is_bid": False,
    "discount_rate": 0.0,
    "credit_discount_max": 0.1,
    "os_version": "22.04",
    "mobo_name": "",
    "hostname": None,
    "logo": "",
    "webpage": None,
    "rn": 1,
    "bundled_results": 0,
    "time_remaining": "",
    "time_remaining_isbid": "",
    "avail_vol_ask_id": None,
    "avail_vol_dph": None,
    "avail_vol_size": None,
    "nw_disk_min_bw": None,
    "nw_disk_max_bw": None,
    "nw_disk_avg_bw": None,
}


def storage_usd_per_hour(machine: Machine, gb: float) -> float:
    """Return $/h for so much disk."""
    return gb * machine.storage_cost / HOURS_A_MONTH


def gpu_usd_per_hour(machine: Machine, bid: bool = False) -> float:
    """Return $/h for all GPUs, on demand or at the lowest bid."""
    full = machine.usd_per_gpu_hour * machine.num_gpus
    return round(full * (0.6 if bid else 1.0), 6)


def row(machine: Machine, offer_id: int, clock: MarketClock, storage_gb: float, bid: bool = False) -> dict[str, Any]:
    """Return one row of the search answer; `storage_gb` is priced into `dph_total`. Times are real unix seconds."""
    now, lasts = clock.on_the_wire(clock.now()), clock.length_on_the_wire(machine.lease_seconds)
    gpus, disk = gpu_usd_per_hour(machine, bid), storage_usd_per_hour(machine, storage_gb)
    total = gpus + disk
    return {
        **SAME,
        **hardware(machine),
        "id": offer_id,
        "ask_contract_id": offer_id,
        "bundle_id": machine.machine_id + 5_000_000,
        "dph_base": gpus,
        "dph_total": total,
        "dph_total_adj": total,
        "discounted_dph_total": total,
        "discounted_hourly": 0.0,
        "min_bid": gpu_usd_per_hour(machine, bid=True),
        "storage_total_cost": disk,
        "search": prices(gpus, disk),
        "instance": prices(gpus, disk),
        "gpu_total_ram": machine.gpu.ram_mb * machine.num_gpus,
        "disk_space": machine.disk_gb,
        "duration": lasts,
        "start_date": now - 86_400,
        "end_date": now + lasts,
        "rentable": True,
        "rented": False,
        "dlperf_per_dphtotal": _dlperf(machine) / total,
        "flops_per_dphtotal": machine.gpu.teraflops * machine.num_gpus / total,
        "vram_costperhour": total / (machine.gpu.ram_mb * machine.num_gpus),
        "is_bid": bid,
    }


@lru_cache(maxsize=4096)
def hardware(machine: Machine) -> Mapping[str, Any]:
    """Return the fields of a machine that its offer and its instance share. They never change."""
    gpu = machine.gpu
    return {
        "machine_id": machine.machine_id,
        "host_id": machine.host_id,
        "hosting_type": 1 if machine.datacenter else 0,
        "num_gpus": machine.num_gpus,
        "gpu_name": gpu.name,
        "gpu_ram": gpu.ram_mb,
        "gpu_mem_bw": gpu.bandwidth_gbs,
        "bw_nvlink": 300.0 if "SXM" in gpu.name else 0.0,
        "pcie_bw": round(12 + 12 * machine.draw, 1),
        "gpu_max_power": float(gpu.watts),
        "compute_cap": gpu.capability,
        "cuda_max_good": machine.cuda,
        "driver_version": machine.driver,
        "driver_vers": _driver_number(machine.driver),
        "cpu_name": machine.cpu,
        "cpu_cores": machine.cores,
        "cpu_cores_effective": float(machine.cores),
        "cpu_ghz": round(2.2 + 2.5 * machine.draw, 2),
        "cpu_ram": machine.cpu_ram_mb,
        "disk_bw": machine.disk_mbs,
        "storage_cost": machine.storage_cost,
        "inet_up": machine.inet_up,
        "inet_down": machine.inet_down,
        "inet_up_cost": machine.traffic_cost,
        "inet_down_cost": machine.traffic_cost,
        "internet_up_cost_per_tb": machine.traffic_cost * 1024,
        "internet_down_cost_per_tb": machine.traffic_cost * 1024,
        "direct_port_count": machine.direct_ports,
        "public_ipaddr": machine.address,
        "static_ip": machine.static,
        "datacenter": machine.datacenter,
        "reliability": machine.reliability,
        "reliability2": machine.reliability,
        "expected_reliability": machine.reliability,
        "reliability_mult": machine.reliability,
        "verification": machine.verification,
        "vericode": 1 if machine.verification == "verified" else 0,
        "geolocation": machine.place,
        "geolocode": sum(map(ord, machine.place)),
        "vms_enabled": machine.datacenter,
        "score": round(100 * machine.reliability * gpu.teraflops / machine.usd_per_gpu_hour, 3),
        "dlperf": _dlperf(machine),
        "total_flops": gpu.teraflops * machine.num_gpus,
    }


def prices(gpus: float, disk: float) -> dict[str, float]:
    """Return the price table that offers and instances carry twice."""
    return {
        "gpuCostPerHour": gpus,
        "diskHour": disk,
        "totalHour": gpus + disk,
        "discountTotalHour": 0.0,
        "discountedTotalPerHour": gpus + disk,
    }


def _dlperf(machine: Machine) -> float:
    return round(machine.gpu.teraflops * machine.num_gpus * 1.15, 2)


def _driver_number(version: str) -> int:
    major, minor, patch = (int(part) for part in version.split("."))
    return major * 1_000_000 + minor * 1000 + patch
