"""Every fault shows to a client as it should, and goes away again where it can."""

from __future__ import annotations

import socket
import time

import pytest

from bootstrap.blame import Blame, blame
from sandbox.hosts.spec import HostsError
from tests.doubles.emulated import Login
from tests.doubles.until import until

pytestmark = pytest.mark.host
VLLM = "/opt/vllm/bin/python -m vllm.entrypoints.openai.api_server"


def banner(host, seconds=5.0):
    with socket.create_connection(("127.0.0.1", host.ports[22]), timeout=seconds) as connection:
        return connection.recv(4)


def test_a_closed_ssh_port_refuses_and_comes_back(make):
    host = make()
    host.fault("ssh_closed")
    with pytest.raises(ConnectionRefusedError):
        banner(host)
    host.fault("ssh_closed", on=False)
    assert banner(host) == b"SSH-"


def test_another_host_key_at_once(make):
    host = make()
    first = Login(host).host_key
    host.fault("other_host_key")
    assert Login(host).host_key == host.key.fingerprint != first
    # The log names the right one, also after a restart: otherwise nobody could notice.
    host.stop()
    host.start()
    until(lambda: host.log().count(f"host key {first}") == 2)
    assert Login(host).host_key == host.key.fingerprint


def test_another_host_key_from_the_second_connection_on(make):
    host = make()
    first = host.key.fingerprint
    host.fault("other_host_key", later=True)
    keys = [Login(host).host_key for _ in range(3)]
    assert keys[0] == first
    assert keys[1] == keys[2] != first


@pytest.mark.parametrize("name", ["frozen", "silent"])
def test_a_host_that_accepts_and_says_nothing(make, name):
    host = make()
    host.fault(name)
    with pytest.raises(TimeoutError):
        banner(host, 0.3)
    host.fault(name, on=False)
    assert banner(host) == b"SSH-"


def test_a_slow_line_is_as_slow_as_asked(make):
    host = make()
    login = Login(host)
    host.fault("slow", mbps=8)
    began = time.monotonic()
    with login.client.open_sftp() as files, files.open("/root/upload", "wb") as remote:
        remote.write(b"x" * 500_000)
    took = time.monotonic() - began
    assert took > 0.35
    host.fault("slow", on=False)
    assert host.line.to_host.bytes_per_second is None


def test_vllm_dies_at_each_start_until_mended(make):
    host = make(image="vllm/vllm-openai:latest")
    login = Login(host)
    start = f"{VLLM} --model /nowhere"
    host.fault("vllm_dies")
    assert "status 137\n" in login.run(f"{start}; echo status $?")[1]
    host.fault("vllm_dies", on=False)
    assert login.run(start)[0] == 1


def test_vllm_runs_out_of_memory_at_each_start(make):
    host = make(image="vllm/vllm-openai:latest")
    host.fault("vllm_out_of_memory")
    _status, output = Login(host).run(f"{VLLM} --model /nowhere; echo status $?")
    assert "torch.OutOfMemoryError: CUDA out of memory" in output
    assert output.endswith("status 1\n")
    host.fault("vllm_out_of_memory", on=False)
    assert "OutOfMemory" not in Login(host).run(f"{VLLM} --model /nowhere")[1]


@pytest.mark.parametrize(("fault", "to_blame"), [("vllm_gpu_too_small", Blame.MEMORY), ("vllm_gpu_too_old", Blame.GPU)])
def test_vllm_says_what_it_says_on_a_gpu_that_cannot_serve(make, fault, to_blame):
    host = make(image="vllm/vllm-openai:latest")
    host.fault(fault)
    _status, output = Login(host).run("/opt/vllm/bin/vllm serve /nowhere 2>&1; echo status $?")
    assert blame(["1 0"], output) is to_blame
    assert output.endswith("status 1\n")


def test_a_stopped_host_can_be_frozen_before(make):
    host = make()
    host.fault("frozen")
    host.stop()
    host.start()
    until(lambda: banner(host) == b"SSH-")


def test_unknown_faults_and_options_are_refused(make):
    host = make()
    with pytest.raises(HostsError, match="no fault 'fire'"):
        host.fault("fire")
    with pytest.raises(HostsError, match="fault slow"):
        host.fault("slow", kbps=3)
    with pytest.raises(HostsError, match="destroy it"):
        host.fault("other_host_key", on=False)
