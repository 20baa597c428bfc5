"""The same hosts as an ordinary user: no privilege, one user id, the same code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

ROOT = Path(__file__).resolve().parents[3]
# Imports first: an ordinary user may not reach the folders that hold this Python and its packages.
DRIVER = """
import contextlib, encodings.idna, json, os, sys
from pathlib import Path

from sandbox.hosts.backend import NamespaceHosts
from tests.doubles.emulated import Login, spec
from tests.doubles.until import until

user, cache = int(sys.argv[1]), Path(sys.argv[2])
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


class Plain:
    def layers(self, image):
        return []


found = {}
with contextlib.closing(NamespaceHosts(cache, Plain(), cache / "disks" if sys.argv[3] == "folder" else None)) as hosts:
    found["isolation"] = hosts.isolation
    host = hosts.create(spec(published=(22, 8000), shm_mb=64))
    login = Login(host)
    found["key"] = login.host_key == host.key.fingerprint
    for command in json.loads(sys.argv[4]):
        found[command] = login.run(command)
    with login.client.open_sftp() as files, files.open("/root/kept", "w") as remote:
        remote.write("kept")
    host.stop()
    host.start()
    found["after"] = Login(host).run("cat /root/kept")
    host.fault("other_host_key")
    found["changed"] = Login(host).host_key not in (login.host_key, None)
    until(lambda: host.log().count("host key SHA256:") == 2)
    first = host.namespaces.pid1
    host.destroy()
    found["left"] = [str(path) for path in (cache / "disks").rglob("C.*")]
    found["alive"] = os.path.exists(f"/proc/{first}")
print(json.dumps(found))
"""
COMMANDS = {
    "id -u; hostname": "0\nC.1001\n",
    "nvidia-smi -L | wc -l": "2\n",
    "echo x >> /etc/hosts && mkdir -p /opt/kit /var/log/kit && touch /usr/local/bin/x /workspace/y && echo ok": "ok\n",
    "exec 2>/dev/null; mount -t tmpfs none /mnt || hostname other || touch /proc/sys/kernel/x || echo no": "no\n",
    "df -m --output=size /dev/shm | tail -1 | tr -d ' '": "64\n",
    "chown nobody /root/.ssh && ls -ld /proc/1 >/dev/null && tty -s; echo $?": "1\n",
}


@pytest.mark.parametrize("disk", ["memory", "folder"])
def test_the_core_works_for_an_ordinary_user(stranger, disk):
    user, cache = stranger
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(user), str(cache), disk, json.dumps(list(COMMANDS))],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["isolation"] == "namespaces of an ordinary user"
    assert found["key"]
    assert found["changed"]
    for command, output in COMMANDS.items():
        assert found[command] == [0, output]
    assert found["after"] == [0, "kept"]
    assert found["left"] == []
    assert not found["alive"]
