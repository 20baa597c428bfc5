"""The rules of the stand-in of k3s: settings, schedules, secrets under a token, and one file of the same bytes."""

import calendar
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from sandbox.hetzner import image, k3s_binary, server_machine
from sandbox.hetzner.downloads import application
from sandbox.hetzner.k3s import bootstrap, node, programs, snapshots
from sandbox.hetzner.k3s.config import Mistake, parsed, read
from sandbox.node.programs import of_node
from sandbox.node.site import Site


@pytest.mark.parametrize(
    ("flags", "values"),
    [
        (["--cluster-reset", "--token", "t"], {"cluster-reset": True, "token": "t"}),
        (["--tls-san=a", "--tls-san", "b"], {"tls-san": ["a", "b"]}),
        (["-t", "x", "--etcd-s3=false"], {"token": "x", "etcd-s3": "false"}),
    ],
)
def test_flags_are_read_as_k3s_reads_them(flags: list[str], values: dict[str, object]) -> None:
    assert parsed(flags) == values


@pytest.mark.parametrize(
    ("flags", "says"),
    [(["--nonsense"], "not defined: -nonsense"), (["--token"], "needs an argument"), (["word"], "word")],
)
def test_an_unknown_flag_is_refused(flags: list[str], says: str) -> None:
    with pytest.raises(Mistake, match=says):
        parsed(flags)


def test_a_flag_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("token: of the file\netcd-s3: true\ndisable: [traefik, 'servicelb,other']\n")
    settings = read(["--token=of the flag"], file)
    assert settings.text("token") == "of the flag"
    assert settings.on("etcd-s3")
    assert settings.each("disable") == ["traefik", "servicelb", "other"]
    file.write_text("no-such-key: 1\n")
    with pytest.raises(Mistake, match="no-such-key"):
        read([], file)


@given(st.integers(0, 2**31), st.integers(1, 59), st.integers(0, 23))
def test_a_schedule_names_its_minutes(moment: int, every: int, hour: int) -> None:
    now = time.gmtime(moment)
    assert snapshots.is_due("* * * * *", now)
    assert snapshots.is_due(f"*/{every} * * * *", now) == (now.tm_min % every == 0)
    assert snapshots.is_due(f"0,30 {hour} * * *", now) == (now.tm_min in (0, 30) and now.tm_hour == hour)
    assert snapshots.is_due(f"10-40 {hour}-23 * * *", now) == (10 <= now.tm_min <= 40 and hour <= now.tm_hour)
    assert snapshots.is_due(f"5-50/{every} * * * *", now) == (5 <= now.tm_min <= 50 and (now.tm_min - 5) % every == 0)
    sunday = calendar.weekday(now.tm_year, now.tm_mon, now.tm_mday) == calendar.SUNDAY
    assert snapshots.is_due("* * * * 0", now) == sunday


@given(st.dictionaries(st.text(), st.text(), max_size=3), st.text(), st.text())
def test_only_the_token_opens_the_secrets(files: dict[str, str], token: str, other: str) -> None:
    sealed = bootstrap.closed(files, token)
    assert bootstrap.opened(sealed, token) == files
    if other != token:
        with pytest.raises(Mistake, match="another"):
            bootstrap.opened(sealed, other)


def test_each_version_is_one_file_of_the_same_bytes(tmp_path: Path) -> None:
    version = "v1.34.2+k3s1"
    program = k3s_binary.build(version)
    assert program == k3s_binary.build(version)
    assert program != k3s_binary.build("v1.34.3+k3s1")
    file = tmp_path / "k3s"
    file.write_bytes(program)
    said = subprocess.run([sys.executable, file, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"k3s version {version} (")
    wrong = subprocess.run([sys.executable, file, "agent"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, "no command agent" in wrong.stderr) == (1, True)


def test_inside_a_server_k3s_looks_where_the_machine_shows_things() -> None:
    assert (str(programs.PROGRAMS), str(node.IMAGES)) == (image.PROGRAMS, image.IMAGES)
    assert (node.LAYERS, node.PUBLIC) == (server_machine.LAYERS, server_machine.PUBLIC)
    shown = {program.name for program in of_node(Site(*"abcdefghi"), ["/pause.tar"])}
    assert shown | {"containerd-shim-runc-v2"} == set(image.OF_NODE)


def test_releases_are_served_under_their_own_names() -> None:
    client: Any = TestClient(application())
    base = "/k3s-io/k3s/releases/download"
    assert client.get(f"{base}/v1.34.2%2Bk3s1/k3s").content == k3s_binary.build("v1.34.2+k3s1")
    assert client.get(f"{base}/v1.34.2%2Bk3s1/sha256sum-amd64.txt").text.split()[0] == k3s_binary.sha256("v1.34.2+k3s1")
    assert client.get(f"{base}/latest/k3s").status_code == 404
