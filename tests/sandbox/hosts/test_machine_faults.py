"""Faults of line, disk, GPU and clock, as somebody sees them who is logged in."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import paramiko
import pytest

from tests.doubles.emulated import Login
from tests.doubles.until import until

pytestmark = pytest.mark.host
SERVER = "nohup python3 -m http.server --bind 0.0.0.0 8000 > /dev/null 2>&1 &"


def dial(host, port):
    with socket.create_connection(("127.0.0.1", host.ports[port]), timeout=5) as connection:
        connection.settimeout(5)
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return connection.recv(4)


def answers(host):
    try:
        return dial(host, 8000) == b"HTTP"
    except OSError:
        return False


def test_a_closed_gate_refuses_and_ssh_goes_on(make):
    host = make()
    login = Login(host)
    login.run(SERVER)
    until(lambda: answers(host))
    host.fault("gate_closed")
    with pytest.raises(ConnectionRefusedError):
        dial(host, 8000)
    assert login.run("echo in")[1] == "in\n"
    host.fault("gate_closed", on=False)
    assert answers(host)


def test_ports_move(make):
    host = make()
    login, before = Login(host), host.ports
    login.run(SERVER)
    until(lambda: answers(host))
    host.fault("moved_ports")
    assert not set(before.values()) & set(host.ports.values())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", before[8000]), timeout=5)
    assert answers(host)
    assert Login(host).run("echo in")[1] == "in\n"


def upload(login, size):
    with login.client.open_sftp() as files:
        files.get_channel().settimeout(0.5)
        with files.open("/root/upload", "wb") as remote:
            remote.write(b"x" * size)


def test_the_line_goes_dead_in_the_middle_of_a_transfer(make):
    host = make()
    login = Login(host)
    host.fault("dead_link", kib=64)
    upload(login, 16_000)
    with pytest.raises(TimeoutError):
        upload(login, 500_000)
    with pytest.raises(TimeoutError), socket.create_connection(("127.0.0.1", host.ports[22]), timeout=0.3) as silent:
        silent.recv(4)
    host.fault("dead_link", on=False)
    assert 16_000 < int(Login(host).run("stat -c %s /root/upload")[1]) < 500_000


def test_each_long_transfer_is_cut(make):
    host = make()
    host.fault("cut_link", kib=64)
    for _ in range(2):
        with pytest.raises((OSError, EOFError, paramiko.SSHException)):
            upload(Login(host), 500_000)
    assert Login(host).run("echo in")[1] == "in\n"
    host.fault("cut_link", on=False)
    upload(Login(host), 500_000)


def test_a_full_disk(make):
    host = make()
    login = Login(host)
    write = "head -c 1000000 /dev/zero > /root/more"
    host.fault("disk_full")
    status, output = login.run(write)
    assert status != 0
    assert "No space left on device" in output
    assert login.run("head -c 1000000 /dev/zero > /opt/more")[0] != 0
    host.fault("disk_full", on=False)
    assert login.run(write)[0] == 0


def test_gpus_go_missing_and_the_driver_breaks(make):
    host = make()
    login = Login(host)
    host.fault("gpu_lost")
    assert login.run("nvidia-smi -L")[1].count("GPU ") == 1
    host.fault("gpu_lost", index=1)
    assert login.run("nvidia-smi -L") == (6, "No devices were found\n")
    host.fault("gpu_driver_broken")
    status, output = login.run("nvidia-smi")
    assert (status, "couldn't communicate with the NVIDIA driver" in output) == (9, True)
    for name, index in (("gpu_lost", 0), ("gpu_lost", 1)):
        host.fault(name, on=False, index=index)
    host.fault("gpu_driver_broken", on=False)
    assert login.run("nvidia-smi -L")[1].count("GPU ") == 2


def test_a_clock_that_is_two_hours_behind(make):
    host = make()
    login = Login(host)
    host.fault("clock_off", seconds=-7200)
    for command in ("date +%s", "python3 -c 'import time; print(int(time.time()))'"):
        assert abs(int(login.run(command)[1]) + 7200 - time.time()) < 60
    old = login.run("python3 -c 'import datetime; print(datetime.datetime.now().timestamp())'")[1]
    assert abs(float(old) + 7200 - time.time()) < 60
    host.fault("clock_off", on=False)
    assert abs(int(login.run("date +%s")[1]) - time.time()) < 60


def test_a_store_s_certificate_is_not_yet_valid_for_a_clock_in_the_past(make, tmp_path: Path):
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    paths = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "ca.pem"), "-subj", "/CN=store"]
    subprocess.run([*made, *paths], check=True, capture_output=True)
    host = make()
    login = Login(host)
    with login.client.open_sftp() as files:
        files.put(str(tmp_path / "ca.pem"), "/root/ca.pem")
    verify = "openssl verify -CAfile /root/ca.pem /root/ca.pem"
    assert login.run(verify)[0] == 0
    host.fault("clock_off", seconds=-7200)
    assert "not yet valid" in login.run(verify)[1]
