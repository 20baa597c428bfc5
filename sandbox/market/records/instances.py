"""Builds the row of an instance: every field that a client may read, in the market's own units."""

from collections.abc import Mapping
from typing import Any

from sandbox.hosts.spec import IDENTITY_PORTS, SSH_PORT
from sandbox.market.records import offers, states
from sandbox.market.records.clock import MarketClock
from sandbox.market.records.contracts import Contract

# Columns of the market's table: only these can be filtered and ordered by.
COLUMNS = {
    "id", "label", "actual_status", "intended_status", "cur_state", "machine_id", "host_id", "gpu_name",
    "gpu_ram", "verification", "geolocation", "image_uuid", "start_date", "is_bid", "disk_space",
}  # fmt: skip
# The same for every instance. Clients read these fields and decide nothing by them.
SAME: Mapping[str, Any] = {
    "external": False,
    "rentable": False,
    "time_remaining": "",
    "time_remaining_isbid": "",
    "client_run_time": 1.1,
    "host_run_time": 86_400.0,
    "credit_balance": 0.0,
    "credit_discount": 0.0,
    "credit_discount_max": 0.1,
    "cpu_util": 0.0,
    "disk_util": -1.0,
    "disk_usage": -1.0,
    "template_id": None,
    "template_hash_id": None,
    "template_name": None,
    "volume_info": [],
    "local_ipaddrs": "172.17.0.2\n",
    "disk_name": "nvme",
    "gpu_arch": "nvidia",
    "gpu_frac": 1.0,
    "gpu_lanes": 16,
    "pci_gen": 4.0,
    "cpu_arch": "amd64",
    "os_version": "22.04",
    "mobo_name": "",
    "webpage": None,
    "logo": "",
}
# Fields of an offer that an instance has under another name, or lacks.
OFFER_ONLY = {"reliability", "vms_enabled", "driver_vers", "direct_port_count", "datacenter"}


def row(contract: Contract, clock: MarketClock) -> dict[str, Any]:
    """Return one instance. Times are real unix seconds, prices $/h."""
    now = clock.now()
    meter, same = contract.meter, contract.row or _constant(contract, clock)
    gpus, disk = meter.gpu_usd_per_hour, meter.disk_usd_per_hour
    total = gpus + disk
    return {
        **same,
        **_state(contract, now),
        **_reach(contract),
        "id": contract.id,
        "label": contract.label,
        "dph_base": gpus,
        "dph_total": total,
        "storage_total_cost": disk,
        "search": offers.prices(gpus, disk),
        "instance": offers.prices(gpus if meter.running_since is not None else 0.0, disk),
        "end_date": clock.on_the_wire(contract.ends),
        "duration": clock.length_on_the_wire(now - contract.born),
        "uptime_mins": clock.length_on_the_wire(now - up) / 60 if (up := contract.up_since) is not None else None,
        "dlperf_per_dphtotal": same["dlperf"] / total,
        "flops_per_dphtotal": same["total_flops"] / total,
        "vram_costperhour": total / same["gpu_totalram"],
        **contract.false_fields,
    }


def _constant(contract: Contract, clock: MarketClock) -> Mapping[str, Any]:
    """Return the part of a row that never changes, and keep it with the contract, because rows are read often."""
    machine, request = contract.machine, contract.request
    hardware = {name: value for name, value in offers.hardware(machine).items() if name not in OFFER_ONLY}
    contract.row = {
        **hardware,
        **SAME,
        "bundle_id": machine.machine_id + 5_000_000,
        "country_code": machine.country,
        "is_bid": request.price is not None,
        "min_bid": offers.gpu_usd_per_hour(machine, bid=True),
        "gpu_totalram": machine.gpu.ram_mb * machine.num_gpus,
        "start_date": clock.on_the_wire(contract.born),
        "image_uuid": request.image,
        "image_args": request.args or [],
        "image_runtype": request.runtype,
        "onstart": request.onstart,
        "extra_env": [[key, value] for key, value in request.env.items()],
        "disk_space": request.disk,
        "jupyter_token": contract.api_key[:32],
        "ssh_host": machine.address,
        "ssh_idx": str(contract.id % 9 + 1),
        # The live market pads the address with blanks, so does this one.
        "public_ipaddr": f"{machine.address} ",
        "direct_port_count": machine.direct_ports,
    }
    return contract.row


def _state(contract: Contract, now: float) -> dict[str, Any]:
    reported, intended = contract.phase == "up", contract.intended
    return {
        "actual_status": states.actual_status(contract, now),
        "intended_status": intended,
        "cur_state": intended,
        "next_state": intended,
        "status_msg": states.status_message(contract, now),
        "gpu_util": 0.0 if reported else None,
        "gpu_temp": 41.0 if reported else None,
        "mem_limit": contract.machine.cpu_ram_mb / 1000 if reported else None,
        "mem_usage": 0.5 if reported else None,
        "vmem_usage": 0.0 if reported else None,
    }


def _reach(contract: Contract) -> dict[str, Any]:
    """Return the ports. The proxy's port exists from the rental on and answers once the instance runs."""
    ports = docker_ports(contract)
    numbers = sorted(int(rows[0]["HostPort"]) for rows in ports.values()) if ports else []
    return {
        "ssh_port": contract.proxy_port,
        "ports": ports,
        "direct_port_start": numbers[0] if numbers else -1,
        "direct_port_end": numbers[-1] if numbers else -1,
        "machine_dir_ssh_port": numbers[0] if numbers else contract.proxy_port,
    }


def docker_ports(contract: Contract) -> dict[str, list[dict[str, str]]] | None:
    """Return published ports in Docker's form, numbers as text; None unless the instance runs."""
    if contract.phase != "up" or contract.host is None:
        return None
    return docker_form(contract, contract.host.ports, contract.host.udp_ports)


def docker_form(
    contract: Contract, mapped: Mapping[int, int], udp: Mapping[int, int] | None = None
) -> dict[str, list[dict[str, str]]]:
    """Return the published ports of a contract in Docker's form. `mapped` and `udp`: container port -> machine's port."""
    wanted = [
        port for port in contract.published if port in mapped and (port != SSH_PORT or contract.request.direct_ssh)
    ]
    found = {f"{_inner(port, mapped[port])}/tcp": _bound(mapped[port]) for port in wanted}
    return found | {f"{_inner(port, outer)}/udp": _bound(outer) for port, outer in (udp or {}).items()}


def _inner(port: int, outer: int) -> int:
    """Return the container's port. From IDENTITY_PORTS on, a request asks for the machine's own number on both sides."""
    return port if port < IDENTITY_PORTS else outer


def _bound(port: int) -> list[dict[str, str]]:
    return [{"HostIp": ip, "HostPort": str(port)} for ip in ("0.0.0.0", "::")]
