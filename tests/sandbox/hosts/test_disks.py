"""Disks in folders: kept over a restart, removed with the host, and swept after an emulator that was killed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.hosts.backend import NamespaceHosts
from sandbox.hosts.disks import DiskFolders
from sandbox.hosts.images import Images
from tests.doubles.emulated import Login, spec

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys, threading
from pathlib import Path
from sandbox.hosts.disks import DiskFolders

disks = DiskFolders(Path(sys.argv[1]))
disk = disks.new("C.1")
(disk / "weights").write_text("many")
(disk / "shut").mkdir(mode=0)
print(disk, flush=True)
threading.Event().wait()
"""


@pytest.mark.host
def test_a_host_keeps_its_files_in_a_folder_and_takes_it_along(tmp_path):
    disks = tmp_path / "disks"
    with contextlib.closing(NamespaceHosts(tmp_path, Images("double", tmp_path), disks)) as hosts:
        host = hosts.create(spec(disk_mb=64))
        room = os.statvfs(tmp_path)
        shown = int(Login(host).run("df --output=size -B1 / | tail -1")[1])
        assert shown == room.f_blocks * room.f_frsize
        Login(host).run("dd if=/dev/zero of=/workspace/weights bs=1M count=80; touch /usr/share/changed")
        written = [file for file in disks.rglob("weights") if file.stat().st_size == 80 << 20]
        assert len(written) == 1
        host.stop()
        host.start()
        assert Login(host).run("stat -c %s /workspace/weights; ls /usr/share/changed")[0] == 0
        other = hosts.create(spec(name="C.1002"))
        host.destroy()
        assert not written[0].exists()
        assert Login(other).run("true")[0] == 0
    assert [path.name for path in disks.iterdir()] == ["lock"]


def test_the_next_emulator_sweeps_what_a_killed_one_left(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    try:
        disk = Path(holder.stdout.readline().strip())
        DiskFolders(tmp_path).close()
        assert (disk / "weights").read_text() == "many"
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert disk.exists()
    DiskFolders(tmp_path).close()
    assert not disk.parent.exists()


def test_disks_are_out_of_other_users_reach(tmp_path):
    with contextlib.closing(DiskFolders(tmp_path / "disks")) as disks:
        first, second = disks.new("C.1"), disks.new("C.1")
        assert first != second
        assert (tmp_path / "disks").stat().st_mode & 0o777 == 0o700
        disks.remove(first)
        disks.remove(first)
        assert not first.exists()
        assert second.exists()
