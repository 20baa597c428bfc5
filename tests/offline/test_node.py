"""A node's programs: of the API server's versions, built once, and only on request."""

import os
import re
from pathlib import Path

import pytest

from offline import images, monitoring, node
from tools import packages, setup
from tools.machine import paths
from tools.machine.steps import SetupError

REPO = Path(__file__).resolve().parents[2]
GO = """#!/bin/sh
case "$1" in
    env) echo go1.26.8 ;;
    *) echo "$PWD $*" >>"$HOME/built"; while [ "$1" != -o ]; do shift; done; echo program >"$2" ;;
esac
"""
# Notes what it is asked, and writes the archive that a push names.
BUILDAH = """#!/bin/sh
echo "$*" >>"$HOME/asked"
case "$*" in
    *" push "*) for last; do :; done; file="${last#docker-archive:}"; echo archive >"${file%%:*}" ;;
    *" bud "*) case "$*" in *"$REFUSED"*) echo "no such base" >&2; exit 1 ;; esac ;;
esac
"""


@pytest.fixture
def where(tmp_path: Path) -> paths.Paths:
    checkout = tmp_path / "checkout"
    for module in node.PROGRAMS:
        folder = checkout / "offline" / "modules" / "node" / module
        folder.mkdir(parents=True)
        (folder / "go.mod").write_text(f"module {module}\n")
    (checkout / "monitoring").mkdir()
    (checkout / "monitoring" / "program.py").write_text("print()\n")
    (checkout / "Containerfile").write_text("FROM python\nCOPY monitoring monitoring\n")
    return paths.find(checkout, {"HOME": str(tmp_path)})


def environ(tmp_path: Path, refused: str = "nothing-is-refused") -> dict[str, str]:
    programs = tmp_path / "programs"
    programs.mkdir(exist_ok=True)
    for name, script in (("go", GO), ("buildah", BUILDAH)):
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    return {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path), "REFUSED": refused}


def pinned(module: Path) -> dict[str, str]:
    text = (module / "go.mod").read_text()
    return dict(re.findall(r"^\t(\S+) (v\S+)", text, re.MULTILINE)) | dict(
        re.findall(r"^\t(k8s\.io/\S+) => \S+ (v\S+)", text, re.MULTILINE)
    )


def test_the_node_has_the_versions_of_the_api_server() -> None:
    server = pinned(REPO / "sandbox" / "services" / "go" / "kubernetes")
    own = pinned(REPO / "offline" / "modules" / "node" / "kubernetes")
    both = server.keys() & own.keys()

    assert {name: own[name] for name in both} == {name: server[name] for name in both}
    assert own["k8s.io/kubernetes"] == monitoring.KUBERNETES[1]
    assert len(both) > 100


@pytest.mark.parametrize(
    ("module", "required", "program"),
    [
        ("containerd", node.CONTAINERD, "containerd"),
        ("kube_router", node.KUBE_ROUTER, "kube-router"),
    ],
)
def test_a_program_says_the_version_that_its_module_pins(module: str, required: str, program: str) -> None:
    text = (REPO / "offline" / "modules" / "node" / module / "go.mod").read_text()
    [version] = re.findall(rf"{re.escape(required)} v(\S+)", text)
    stamp = node.PROGRAMS[module][program].stamp

    assert stamp is not None
    assert stamp[1] == version


def test_every_program_is_a_tool_of_its_module() -> None:
    for module, programs in node.PROGRAMS.items():
        text = (REPO / "offline" / "modules" / "node" / module / "go.mod").read_text()
        commands = {program.command for program in programs.values()} - {"."}
        assert {command for command in commands if command in text.split()} == commands


def test_programs_are_built_once(where: paths.Paths, tmp_path: Path) -> None:
    node.install_node(where, environ(tmp_path))

    assert sorted(file.name for file in where.node_bin.iterdir()) == sorted(node.NAMES)
    (where.node_bin / "kubelet").unlink()
    node.install_node(where, environ(tmp_path))
    built = (tmp_path / "built").read_text().splitlines()
    assert len(built) == len(node.NAMES) + 1
    assert built[-1].startswith(str(where.node_modules / "kubernetes"))
    node.install_node(where, {"PATH": "/nowhere"})  # nothing lacks, so Go is not looked for


def test_the_node_is_in_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[set[str]] = []
    monkeypatch.setattr(setup, "set_up", lambda _where, parts: wanted.append(parts))

    for given in ([], ["--tests", "on"], ["--parts", "node"]):
        assert setup.main(given) == 0

    assert ["node" in parts for parts in wanted] == [False, False, True]


def test_what_the_node_needs_of_debian_is_said_before_root_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path="": "/usr/bin/apt-get" if name == "apt-get" else None)
    monkeypatch.setattr(packages, "become_root", lambda: None)

    with pytest.raises(SetupError, match=r"a Kubernetes node runs .* sudo apt-get install buildah conntrack .* runc\."):
        packages.install_node_packages({})
    said: list[str] = []
    monkeypatch.setattr(packages, "become_root", list)

    def run(*_: object) -> str:
        said.append(capsys.readouterr().err)
        return ""

    monkeypatch.setattr(packages, "run", run)
    packages.install_node_packages({})
    assert "root is needed once, for Debian's buildah" in said[0]


def bring_programs(where: paths.Paths, tmp_path: Path) -> None:
    """Lay down what images are made of."""
    node.install_node(where, environ(tmp_path))
    for name in ("prometheus", "alertmanager"):
        (where.monitoring_bin / name).parent.mkdir(parents=True, exist_ok=True)
        (where.monitoring_bin / name).write_text("program\n")
    where.base_image.parent.mkdir(parents=True)
    where.base_image.write_text("a Debian\n")


def test_images_are_made_once_for_a_state_of_the_code(where: paths.Paths, tmp_path: Path) -> None:
    bring_programs(where, tmp_path)

    images.make_images(where, environ(tmp_path))

    archives = {"pause.tar", "coredns.tar", "prometheus.tar", "alertmanager.tar", "monitoring.tar"}
    assert {file.name for file in where.node_images.iterdir()} == {*archives, "complete"}
    asked = (tmp_path / "asked").read_text()
    assert f"--tag={images.BASE}" in asked
    images.make_images(where, environ(tmp_path))
    assert (tmp_path / "asked").read_text() == asked
    before = where.node_images
    (where.checkout / "monitoring" / "program.py").write_text("print(1)\n")
    assert where.node_images != before


def test_what_an_interrupted_build_left_is_made_again(where: paths.Paths, tmp_path: Path) -> None:
    bring_programs(where, tmp_path)

    with pytest.raises(SetupError, match=r"Building docker\.io/library/gpu-fleet-monitoring:local failed"):
        images.make_images(where, environ(tmp_path, refused=images.OWN))
    assert not (where.node_images / "complete").exists()

    images.make_images(where, environ(tmp_path))
    assert (where.node_images / "complete").is_file()


def test_only_the_last_sets_of_images_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "complete").touch()
        os.utime(tmp_path / str(number) / "complete", (number, number))

    images.forget_old(tmp_path / "4")

    assert sorted(place.name for place in tmp_path.iterdir()) == ["2", "3", "4"]


def test_the_base_has_the_name_that_the_containerfile_asks_for() -> None:
    [base] = re.findall(r"^FROM (\S+)$", (REPO / "Containerfile").read_text(), re.MULTILINE)

    assert f"docker.io/library/{base}" == images.BASE


def test_the_image_has_the_name_that_the_sandboxes_stack_asks_for() -> None:
    [asked] = re.findall(r"^    image: (\S+)", (REPO / "Pulumi.local.yaml").read_text(), re.MULTILINE)

    assert f"docker.io/library/{asked}" == images.OWN
