"""An emulated host's specification and a login to it, for tests."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import paramiko

from sandbox.hosts import sshd
from sandbox.hosts.host import NamespaceHost
from sandbox.hosts.spec import HostSpec

USER_KEY = sshd.HostKey.new()
PRIVATE_KEY = paramiko.Ed25519Key.from_private_key(io.StringIO(USER_KEY.private))
FINGERPRINT = 'echo "host key $(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d" " -f2)"\n'


def spec(**changes: Any) -> HostSpec:
    plain = HostSpec(
        instance_id=1001,
        name="C.1001",
        image="ubuntu:22.04",
        env={},
        onstart=FINGERPRINT,
        published=(22, 8000),
        authorized_keys=(USER_KEY.public.strip(),),
        disk_mb=256,
        shm_mb=256,
        gpu_name="NVIDIA GeForce RTX 4090",
        gpu_count=2,
        gpu_ram_mb=24564,
        driver="570.124.06",
        download_mbps=0,
    )
    return dataclasses.replace(plain, **changes)


class Login:
    """One SSH connection as root, by default to the port that the host publishes."""

    def __init__(self, host: NamespaceHost, port: int | None = None) -> None:
        self.client = paramiko.SSHClient()
        self.client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        self.client.connect(
            "127.0.0.1",
            port or host.ports[22],
            username="root",
            pkey=PRIVATE_KEY,
            timeout=10,
            allow_agent=False,
            look_for_keys=False,
        )
        self.host_key = self._transport().get_remote_server_key().fingerprint

    def _transport(self) -> paramiko.Transport:
        transport = self.client.get_transport()
        assert transport is not None, "the connection has ended"
        return transport

    def run(self, command: str, timeout: float = 60) -> tuple[int, str]:
        """Return (exit status, output of both streams)."""
        channel = self._transport().open_session(timeout=timeout)
        channel.settimeout(timeout)
        channel.set_combine_stderr(True)
        channel.exec_command(command)
        with channel.makefile("rb") as stream:
            output = stream.read().decode(errors="replace")
        return channel.recv_exit_status(), output
