"""A host is a Linux of its own: SSH, ports, disk, restarts and an end without a trace."""

from __future__ import annotations

import io
import socket
from pathlib import Path

import pytest

from sandbox.hosts import backend
from sandbox.hosts.namespaces import Namespaces
from sandbox.hosts.spec import HostsError
from tests.doubles.emulated import Login, spec
from tests.doubles.until import until

pytestmark = pytest.mark.host

HOLD_ECHO = (
    "import socket,sys; s=socket.create_server((sys.argv[1],8000)); "
    "exec('while 1: c=s.accept()[0]; c.send(sys.argv[2].encode()); c.close()')"
)


def serve(login, address, word):
    status, _ = login.run(
        f'nohup python3 -c "{HOLD_ECHO}" {address} {word} >/dev/null 2>&1 </dev/null & '
        "for i in $(seq 200); do grep -q ':1F40 ' /proc/net/tcp && exit 0; sleep 0.02; done; exit 1"
    )
    assert status == 0


def read(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        return connection.recv(100).decode()


def test_login_commands_and_files(make):
    host = make(env={"COLOUR": 'light "blue"', "-p 8000:8000": "1"})
    login = Login(host)
    assert login.host_key == host.key.fingerprint
    assert login.run("id -un; hostname; exit 7") == (7, "root\nC.1001\n")
    assert login.run('echo "$COLOUR|$CONTAINER_ID|$LD_LIBRARY_PATH"') == (0, "||\n")
    with login.client.open_sftp() as files:
        files.putfo(io.BytesIO(b"x" * 100_000), "/root/weights")
        assert files.stat("/root/weights").st_size == 100_000


def test_the_first_process_and_onstart_have_the_containers_environment_and_a_login_has_not(make):
    host = make(
        env={"COLOUR": 'light "blue"', "LINES_": "a\nb", "-p 8000:8000": "1"},
        onstart="env | sort >/root/onstart.env; echo done\n",
    )
    until(lambda: "done" in host.log())
    login = Login(host)

    _, first = login.run("tr '\\0' '\\n' </proc/1/environ | sort")

    for line in ('COLOUR=light "blue"', "CONTAINER_ID=1001", f"VAST_TCP_PORT_8000={host.ports[8000]}", "LINES_=a", "b"):
        assert line in first.splitlines()
    assert set(first.splitlines()) <= set(login.run("cat /root/onstart.env")[1].splitlines())
    assert "COLOUR" not in login.run("env")[1]
    assert "/opt/vllm/bin" not in login.run("echo $PATH")[1]


def test_the_machine_is_out_of_reach(make):
    login = Login(make())
    for command in (
        "mount -t tmpfs none /mnt",
        "echo 1 > /proc/sys/kernel/panic",
        "hostname other",
        "cat /proc/kcore | head -c 1 | grep .",
    ):
        assert login.run(command)[0] != 0, command
    marker = "/usr/share/changed-in-a-host"
    assert login.run(f"touch {marker} && ls {marker}")[0] == 0
    assert not Path(marker).exists()


def test_two_hosts_have_their_own_ports_and_loopback_stays_inside(make):
    first, second, third = make(), make(name="C.1002"), make(name="C.1003")
    serve(Login(first), "0.0.0.0", "first")
    serve(Login(second), "0.0.0.0", "second")
    serve(Login(third), "127.0.0.1", "third")
    assert (read(first.ports[8000]), read(second.ports[8000])) == ("first", "second")
    with pytest.raises(ConnectionResetError):
        read(third.ports[8000])


def test_a_restart_keeps_the_disk_and_runs_onstart_again(make):
    host = make(onstart="echo started for $CONTAINER_ID >> /root/starts; cat /root/starts\n")
    login = Login(host)
    until(lambda: host.log().count("started for 1001") == 1)
    login.run("echo keep > /root/keep; nohup sleep 1234 >/dev/null 2>&1 </dev/null &")
    host.stop()
    with pytest.raises((OSError, EOFError)):
        read(host.ports[22])
    host.start()
    until(lambda: host.log().count("started for 1001") == 3)
    assert Login(host).run("cat /root/keep; pgrep -c -x sleep") == (1, "keep\n0\n")
    assert Login(host).host_key == login.host_key


def test_destroy_leaves_nothing(make):
    host = make()
    process = host.namespaces.pid1
    network = str(Path(f"/proc/{process}/ns/net").readlink())
    until(lambda: "host key SHA256:" in host.log())
    Login(host).run("setsid nohup sleep 4321 >/dev/null 2>&1 </dev/null &")
    host.destroy()
    host.destroy()
    assert network not in namespaces_alive()
    with pytest.raises(ConnectionRefusedError):
        read(host.ports[22])
    with pytest.raises(HostsError, match="destroyed"):
        host.start()
    assert "host key SHA256:" in host.log()


def namespaces_alive():
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.add(str((entry / "ns" / "net").readlink()))
            except OSError:
                continue
    return found


def test_disk_and_shared_memory_have_their_sizes(make):
    login = Login(make(disk_mb=80, shm_mb=64))
    status, output = login.run("dd if=/dev/zero of=/root/big bs=1M count=200")
    assert status == 1
    assert "No space left on device" in output
    assert login.run("df -m --output=size /dev/shm | tail -1")[1].strip() == "64"
    assert login.run("df -m --output=size / | tail -1")[1].strip() == "80"


def test_a_wish_that_cannot_be_leaves_the_host_alive(make):
    host = make()
    for wish in (
        lambda: host.namespaces.dial("127.0.0.1", 70_000),
        lambda: host.namespaces.dial("nonsense.invalid", 22),
        lambda: host.namespaces.listen("127.0.0.1", 22),
        lambda: host.namespaces.read("/root/\0"),
        lambda: host.namespaces.signal(999),
    ):
        with pytest.raises(HostsError, match=r"C\.1001 refused"):
            wish()
    assert Login(host).run("true")[0] == 0


def test_the_log_holds_what_onstart_said(make):
    host = make(onstart="echo one; echo two >&2; echo $A\n", env={"A": "three"})
    until(lambda: all(word in host.log() for word in ("one", "two", "three")))


def test_a_host_that_cannot_be_made_leaves_no_port_open(emulator, monkeypatch):

    kept = []

    def broken(spawner, name, config, output):
        kept.append(output)
        return Namespaces(spawner, name, {**config, "shm": "nonsense"}, output)

    monkeypatch.setattr(backend, "Namespaces", broken)
    with pytest.raises(HostsError, match="Invalid argument"):
        emulator.create(spec())
    assert len(kept) == 1


def test_nvidia_smi_reports_what_was_rented(make):
    host = make()
    login = Login(host)
    query = "nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader,nounits"
    row = "NVIDIA GeForce RTX 4090, 24564, 570.124.06\n"
    assert login.run(query) == (0, row * 2)
    assert login.run("nvidia-smi --query-gpu=memory.total --format=csv")[1].startswith(
        "memory.total [MiB]\n24564 MiB\n"
    )
    assert login.run("nvidia-smi -L | wc -l")[1] == "2\n"
    assert login.run("nvidia-smi --query-gpu=nonsense --format=csv")[0] == 2
    host.fault("gpu_lost")
    assert login.run(query) == (0, row)
    assert login.run("nvidia-smi -i 0")[0] == 6
