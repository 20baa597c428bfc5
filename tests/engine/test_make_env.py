"""`make -s env` as an operator uses it: evaluated by a shell, after which `pulumi` and the environment's tools answer."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from offline.engine import VERSION
from offline.golang import parse_version

pytestmark = pytest.mark.engine

REPO = Path(__file__).resolve().parents[2]


def bare(state: Path) -> dict[str, str]:
    """This process's environment less Pulumi's variables, with a state folder of the test's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    return kept | {"XDG_STATE_HOME": str(state)}


def test_after_eval_the_shell_has_an_engine_of_the_right_version(pulumi_on_path, tmp_path):
    script = 'eval "$(make -s env)" && pulumi version && command -v python && pulumi stack ls --json'
    env = bare(tmp_path)
    done = subprocess.run(["sh", "-c", script], cwd=REPO, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    version, python, stacks = done.stdout.split("\n", 2)
    installed = parse_version(version)
    assert installed is not None
    assert installed >= VERSION
    assert python == f"{REPO}/.venv/bin/python"
    assert stacks.strip() == "[]"


def test_every_line_is_an_export(pulumi_on_path, tmp_path):
    env = bare(tmp_path)
    done = subprocess.run(["make", "-s", "env"], cwd=REPO, env=env, capture_output=True, text=True, check=True)
    assert all(re.match(r"export [A-Z_]+=", line) for line in done.stdout.splitlines())


def test_a_checkout_without_set_up_is_told_what_to_run(pulumi_on_path, tmp_path):
    env = bare(tmp_path) | {"XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        ["make", "-s", "env", f"PYTHON={os.path.realpath(REPO / '.venv/bin/python')}"],
        cwd=REPO,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "make setup" in done.stderr
    assert done.stdout == ""
