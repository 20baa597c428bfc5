"""Turns a contract into the order for its host."""

from sandbox.hosts.spec import SSH_PORT, HostSpec
from sandbox.market.host_network import HostNetwork
from sandbox.market.records.contracts import Contract

MIB = 2**20
LARGEST_SHM_MB = 8192


def host_spec(contract: Contract, network: HostNetwork) -> HostSpec:
    """Return the order for a contract's host."""
    machine, request = contract.machine, contract.request
    return HostSpec(
        instance_id=contract.id,
        name=f"C.{contract.id}",
        image=request.image,
        env={
            **request.variables,
            "CONTAINER_ID": str(contract.id),
            "CONTAINER_API_KEY": contract.api_key,
            "VAST_CONTAINERLABEL": f"C.{contract.id}",
            "PUBLIC_IPADDR": machine.address,
            "GPU_COUNT": str(machine.num_gpus),
        },
        onstart=request.onstart or "",
        published=tuple(dict.fromkeys((*([SSH_PORT] if request.takes_logins else []), *contract.published))),
        published_udp=contract.published_udp,
        command=request.command,
        authorized_keys=tuple(contract.keys.values()),
        disk_mb=int(request.disk * 1e9 / MIB),
        shm_mb=min(LARGEST_SHM_MB, machine.cpu_ram_mb // 2),
        gpu_name=machine.gpu.name,
        gpu_count=machine.num_gpus,
        gpu_ram_mb=machine.gpu.ram_mb,
        driver=machine.driver,
        download_mbps=machine.inet_down,
        memory_mb=machine.cpu_ram_mb,
        cpu_cores=float(machine.cores),
        address=machine.address,
        outward=network.outward,
        ca_pem=network.ca_pem,
    )
