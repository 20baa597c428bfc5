"""What `make -s env` prints: only what is missing, in a form that a shell takes back exactly."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.control import NAME
from sandbox.settings import CONTROLLER_PORT, folders
from tools import env
from tools.machine import paths


@pytest.fixture
def where(tmp_path: Path) -> paths.Paths:
    checkout = tmp_path / "checkout"
    source, module = checkout / "offline" / "language_host", checkout / "offline" / "modules" / "pulumi"
    for folder in (source, module):
        folder.mkdir(parents=True)
    (module / "go.sum").write_text("sums\n")
    (checkout / "requirements.txt").write_text("a==1\n")
    for part in ("language_host.py", "run_program.py", "with_engine.py", "launcher.sh"):
        (source / part).write_text(part)
    return paths.find(checkout, {"HOME": str(tmp_path / "home")})


def test_the_socket_is_where_the_sandbox_has_it(where, tmp_path):
    assert where.control_socket.parent == folders({"HOME": str(tmp_path / "home")})[0]
    assert where.control_socket.name == NAME


def test_the_built_engine_brings_its_home_and_stays_offline(where):
    found = env.environment(where, {"PATH": "/usr/bin"})
    assert (
        found["PATH"]
        == f"{where.checkout}/.venv/bin:{where.engine_bin}:{where.stand_ins}:{where.monitoring_bin}:{where.node_bin}:/usr/bin"
    )
    assert found["PULUMI_HOME"] == str(where.pulumi_home)
    assert found["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
    assert found["PULUMI_BACKEND_URL"] == f"file://{where.backend}?metadata=skip"
    assert found["PULUMI_RUN_PROGRAM"] == "true"


def test_the_operators_engine_keeps_its_home_and_its_downloads(where, tmp_path):
    own = tmp_path / "own" / "pulumi"
    own.parent.mkdir()
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    found = env.environment(where, {"PATH": str(own.parent)})
    assert found["PATH"] == f"{where.checkout}/.venv/bin:{where.monitoring_bin}:{where.node_bin}:{own.parent}"
    assert not {"PULUMI_HOME", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"} & set(found)


@pytest.mark.parametrize("variable", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
def test_an_own_passphrase_wins(where, variable):
    assert "PULUMI_CONFIG_PASSPHRASE" not in env.environment(where, {"PATH": "/bin", variable: "mine"})


def test_an_own_backend_wins(where):
    own = {"PATH": "/bin", "PULUMI_BACKEND_URL": "s3://states"}
    assert "PULUMI_BACKEND_URL" not in env.environment(where, own)


def test_the_sandboxes_stack_never_uses_an_own_backend_or_passphrase(where):
    own = {
        "PATH": "/bin",
        "LANG": "C",
        "PULUMI_BACKEND_URL": "s3://states",
        "PULUMI_CONFIG_PASSPHRASE": "mine",
        "PULUMI_CONFIG_PASSPHRASE_FILE": "/mine",
    }
    found = env.sandbox_environment(where, own)
    assert found["PULUMI_BACKEND_URL"] == where.backend_url
    assert found["PULUMI_CONFIG_PASSPHRASE"] == env.SANDBOX_PASSPHRASE
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in found
    assert found["LANG"] == "C"


def test_twice_is_the_same_as_once(where):
    once = env.environment(where, {"PATH": "/usr/bin"})
    assert env.environment(where, {"PATH": "/usr/bin"} | once)["PATH"] == once["PATH"]


def test_a_real_stack_gets_nothing_of_the_sandbox_even_in_a_shell_that_had_it(where):
    before = {"PATH": "/usr/bin", "HOME": "/mine"}
    shell = before | env.environment(where, before)
    found = env.real_environment(where, shell)

    assert found["PATH"] == f"{where.checkout}/.venv/bin:{where.engine_bin}:{where.monitoring_bin}:/usr/bin"
    taken = {name for name, value in found.items() if value is None}
    assert taken == {
        "PULUMI_BACKEND_URL",
        "PULUMI_CONFIG_PASSPHRASE",
        "PULUMI_HOME",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION",
    }
    assert "unset PULUMI_BACKEND_URL\n" in env.exports(found)


def test_a_real_stack_with_the_operators_engine_gets_no_language_host_and_no_stand_in(where, tmp_path):
    own = tmp_path / "own" / "pulumi"
    own.parent.mkdir()
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    shell = {"PATH": f"{where.engine_bin}:{where.stand_ins}:{where.engine_bin.parent}/bin-old:{own.parent}:/usr/bin"}

    assert env.real_environment(where, shell)["PATH"] == (
        f"{where.checkout}/.venv/bin:{where.monitoring_bin}:{own.parent}:/usr/bin"
    )


def test_what_the_operator_has_set_stays_for_a_real_stack(where):
    own = {"PULUMI_BACKEND_URL": "s3://states", "PULUMI_CONFIG_PASSPHRASE": "mine", "PULUMI_HOME": "/mine/.pulumi"}

    assert not set(own) & set(env.real_environment(where, {"PATH": "/bin", **own}))


def test_a_real_stack_gets_no_key_of_the_sandboxes_controller(where):
    of_the_sandbox = dict(zip(env.API, (env.SANDBOX_API, "key"), strict=True))
    own = dict(zip(env.API, ("https://controller.example", "mine"), strict=True))

    assert env.SANDBOX_API.endswith(f":{CONTROLLER_PORT}")
    assert env.real_environment(where, {"PATH": "/bin", **of_the_sandbox}).items() >= dict.fromkeys(env.API).items()
    assert not set(own) & set(env.real_environment(where, {"PATH": "/bin", **own}))


KEY = '{"client": "local", "key": "a key", "url": %s}'


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ((0, KEY % '"http://127.0.0.1:1"'), {env.API[0]: "http://127.0.0.1:1", env.API[1]: "a key"}),
        ((0, KEY % "null"), {}),  # the sandbox runs without a controller
        ((1, "gpu-fleet key: there is no stack local"), {}),
    ],
)
def test_address_and_key_of_the_controller_are_there_while_it_runs(where, answer, found):
    status, said = answer
    python = where.venv / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        f"#!/bin/sh\n[ \"$*\" = '-m cli key local --stack local --json' ] || exit 9\necho '{said}'\nexit {status}\n"
    )
    python.chmod(0o755)
    assert env.controller(where, {"PATH": "/bin"}) == {}, "no sandbox runs"

    where.control_socket.parent.mkdir(parents=True)
    where.control_socket.touch()

    assert env.controller(where, {"PATH": "/bin"}) == found


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=30))
def test_a_shell_takes_any_value_back_exactly(value):
    script = env.exports({"GPU_FLEET_TEST": value}) + 'printf %s "$GPU_FLEET_TEST"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode() == value
