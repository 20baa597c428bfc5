"""Where a machine cannot make hosts, that is said in one sentence with what to do, before anything is made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sandbox.hosts.backend import NamespaceHosts, demand_isolation
from sandbox.hosts.images import Images
from sandbox.hosts.spec import HostsError


def test_a_missing_program_is_named_with_its_package(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostsError, match=r"need unshare, which is missing.*apt-get install util-linux"):
        demand_isolation()


@pytest.mark.skipif(not Path("/usr/sbin/sshd").exists(), reason="needs openssh-server")
def test_refused_namespaces_are_said_as_the_machine_says_them(monkeypatch, tmp_path):
    refusing = tmp_path / "unshare"
    refusing.write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n")
    refusing.chmod(0o755)
    (tmp_path / "setpriv").symlink_to(shutil.which("setpriv"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(HostsError, match=r"refuses namespaces.*unshare failed: Operation not permitted.*privileged"):
        NamespaceHosts(tmp_path / "cache", Images("double", tmp_path))
    assert not (tmp_path / "cache").exists()


@pytest.mark.host
def test_how_hosts_are_kept_apart_is_reported(emulator):
    assert "namespaces" in emulator.isolation
