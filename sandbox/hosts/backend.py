"""Makes emulated hosts on this machine: real Linux with a real sshd, in namespaces."""

import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from sandbox.hosts import cgroups, fake_gpu_file, faults, rootless, sshd
from sandbox.hosts.disks import DiskFolders
from sandbox.hosts.forwarder import Forwarder
from sandbox.hosts.host import OUTWARD_ADDRESS, SMALLEST_DISK_MB, NamespaceHost
from sandbox.hosts.namespaces import Namespaces, Spawner
from sandbox.hosts.spec import ONSTART, HostsError, HostSpec

# The variables of images for CUDA. A session over SSH does not get them, as on the market's machines.
IMAGE_ENVIRONMENT = {
    "PATH": "/opt/vllm/bin:/usr/local/nvidia/bin:/usr/local/cuda/bin:"
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}
BASH = "/bin/bash"
TRUST_STORE = "/etc/ssl/certs/ca-certificates.crt"
SHARED = ("usr", "etc", "var", "opt")


class Layers(Protocol):
    """Knows the content of images."""

    def layers(self, image: str) -> Sequence[tuple[Sequence[Path], str]]:
        """Return (read-only folders, topmost first; place inside) of an image. Raises HostsError."""


class NamespaceHosts:
    """Makes the hosts of one emulator. When this process ends, also by kill -9, the kernel ends every host.

    `cache` is a folder of the user; one empty directory in it is the mount point of every host. Without `disks`, a
    host's disk uses the machine's memory as it fills. With `disks`, it is a folder there, for weights that memory
    cannot hold. Raises HostsError if this machine cannot make hosts.
    """

    def __init__(self, cache: Path, images: Layers, disks: Path | None = None) -> None:
        demand_isolation()
        self._images = images
        self._rootless = os.geteuid() != 0
        self._skeleton = rootless.skeleton(cache) if self._rootless else None
        self._disks = DiskFolders(disks) if disks is not None else None
        self._mount_point = cache / "hosts" / "mount-point"
        self._mount_point.mkdir(parents=True, exist_ok=True)
        self._spawner = Spawner()
        self._forwarding = Forwarder()
        self._lock = threading.Lock()
        self._hosts: dict[int, NamespaceHost] = {}
        self._numbers = itertools.count(2)

    @property
    def isolation(self) -> str:
        """Return the kind of isolation between hosts, for status pages."""
        return "namespaces of an ordinary user" if self._rootless else "namespaces and a container's capabilities"

    def create(self, spec: HostSpec) -> NamespaceHost:
        """Make one host and return when its SSH server answers. On a failure, remove every part of it and raise
        HostsError.
        """
        layers = self._images.layers(spec.image)
        number = next(self._numbers)
        address = f"10.77.{number // 250 % 250}.{number % 250 + 2}"
        with contextlib.ExitStack() as undo:
            try:
                # A file without a name: the kernel removes it when the last process closes it.
                output = undo.enter_context(tempfile.TemporaryFile("a+b", buffering=0))
                disk = self._disks.new(spec.name) if self._disks is not None else None
                undo.callback(self._gone, number, disk)
                host = NamespaceHost(
                    spec, address, self._forwarding, output, lambda: self._gone(number, disk), faults.apply
                )
                undo.callback(host.destroy)
                config = self._config(host, address, layers, disk)
                host.enter(Namespaces(self._spawner, spec.name, config, output))
            except OSError as error:
                raise HostsError(
                    f"The emulated host {spec.name} cannot be made: {error}. If files or ports ran out, run fewer hosts "
                    "at once, or raise the limit: ulimit -n"
                ) from error
            undo.pop_all()
        with self._lock:
            self._hosts[number] = host
        return host

    def close(self) -> None:
        """Destroy every host and end the emulator's threads."""
        with self._lock:
            hosts = list(self._hosts.values())
        for host in hosts:
            host.destroy()
        self._forwarding.stop()
        self._spawner.close()
        if self._disks is not None:
            self._disks.close()

    def _gone(self, number: int, disk: Path | None) -> None:
        with self._lock:
            self._hosts.pop(number, None)
        if self._disks is not None and disk is not None:
            self._disks.remove(disk)

    def _config(
        self, host: NamespaceHost, address: str, layers: Sequence[tuple[Sequence[Path], str]], disk: Path | None
    ) -> dict[str, Any]:
        spec = host.spec
        environment = IMAGE_ENVIRONMENT | machine_environment(host) | sshd.exported(spec.env)
        names = sorted({place.rpartition(":")[0] for place in spec.outward})
        files = sshd.files(host.key, spec.authorized_keys) | {
            ONSTART: (spec.onstart, 0o700),
            "/etc/hostname": (spec.name + "\n", 0o644),
            "/etc/hosts": (hosts_file(spec.name, names), 0o644),
            **{path: (text, 0o644) for path, text in cgroups.of(spec).items()},
            fake_gpu_file.STATE: (fake_gpu_file.state(spec), 0o644),
            fake_gpu_file.PROGRAM: (fake_gpu_file.program(), 0o755),
        }
        if self._rootless:
            files["/etc/passwd"] = (rootless.passwd(Path("/etc/passwd").read_text()), 0o644)
        return {
            "mount_point": str(self._mount_point),
            "name": spec.name,
            "address": address,
            "rootless": self._rootless,
            "disk_size": f"{max(SMALLEST_DISK_MB, spec.disk_mb)}m",
            "disk_folder": str(disk or ""),
            "shm": f"{spec.shm_mb}m",
            "share": SHARED,
            "copy": rootless.COPIED if self._rootless else (),
            "skeleton": str(self._skeleton or ""),
            "layers": [([str(folder) for folder in lower], place.lstrip("/")) for lower, place in layers],
            "files": files,
            "appended": {TRUST_STORE: f"\n{spec.ca_pem}"} if spec.ca_pem else {},
            "env": environment,
            "contained": bool(spec.command),
            "run": [spec.command] if spec.command else [sshd.COMMAND, (BASH, ONSTART)],
        }


def demand_isolation() -> None:
    """Raise HostsError if this machine cannot make hosts. The error names the missing part and how to install it."""
    for program, package in (("unshare", "util-linux"), ("setpriv", "util-linux"), (sshd.COMMAND[0], "openssh-server")):
        if shutil.which(program) is None:
            raise HostsError(f"Hosts need {program}, which is missing. Install it: apt-get install {package}")
    trial = ["-mpnf"] if os.geteuid() == 0 else ["-Urmpnf", "--mount-proc"]
    done = subprocess.run(["unshare", *trial, "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HostsError(
            f"This machine refuses namespaces, so there can be no emulated hosts: unshare {' '.join(trial)} true "
            f"says {done.stderr.strip()!r}. In a container, start it privileged; "
            "on Ubuntu an ordinary user needs: sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )


def machine_environment(host: NamespaceHost) -> dict[str, str]:
    """Return the variables that the market's machines set in every container."""
    ports = {f"VAST_TCP_PORT_{port}": str(outer) for port, outer in host.ports.items()}
    ports |= {f"VAST_UDP_PORT_{port}": str(outer) for port, outer in host.udp_ports.items()}
    return {
        "CONTAINER_ID": str(host.spec.instance_id),
        "PUBLIC_IPADDR": host.spec.address,
        "VAST_CONTAINERLABEL": host.spec.name,
        "GPU_COUNT": str(host.spec.gpu_count),
        **ports,
    }


def hosts_file(own_name: str, outward: Sequence[str]) -> str:
    """Return /etc/hosts with the host itself and the names of services outside the host."""
    lines = [f"127.0.0.1 localhost {own_name}", "::1 localhost", *(f"{OUTWARD_ADDRESS} {name}" for name in outward)]
    return "\n".join(lines) + "\n"
