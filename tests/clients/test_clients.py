"""Other people's clients against the emulated market: gpuhunt, dstack's and SkyPilot's code for vast.ai, unchanged.

They live in an environment of their own, because their dependencies are many: `make test-clients` makes it and runs this.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandbox.testing import RunningMarket, running_market
from tools.machine import paths

REPO = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).parent / "scripts"
PYTHON = paths.find(REPO, os.environ).clients / "bin" / "python"
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="their environment is not there: make test-clients")


def answers(market: RunningMarket, home: Path, script: str) -> Any:
    """Run a client's script with a home of its own; return what it printed as JSON."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "MARKET_URL": market.url, "MARKET_KEY": market.key}
    done = subprocess.run(
        [PYTHON, SCRIPTS / script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_gpuhunt_searches_without_a_key(tmp_path: Path) -> None:
    with running_market(time_scale=1000) as market:
        offers = answers(market, tmp_path, "gpuhunt_offers.py")

    assert {offer["gpu"] for offer in offers} == {"RTX4090", "H100"}
    assert all(0 < offer["price"] <= 10 for offer in offers)


def test_dstack_rents_watches_and_ends(tmp_path: Path) -> None:
    with running_market(time_scale=1000) as market:
        said = answers(market, tmp_path, "dstack_lifecycle.py")

        assert market.emulator.all() == []
    assert said["key"]
    assert said["shown at once"]
    assert said["statuses"][-1] == "running"
    assert said["ports"] == {"10022/tcp": True}
    assert said["gone"]
    assert isinstance(said["left behind"], int)


def test_skypilot_launches_stops_starts_and_removes(tmp_path: Path) -> None:
    with running_market(time_scale=1000) as market:
        said = answers(market, tmp_path, "skypilot_lifecycle.py")

        assert market.emulator.all() == []
    assert said["statuses"][-1] == "RUNNING"
    assert (said["label"], said["disk"]) == ("sky-head", 40)
    assert said["ssh"] == ["127.0.0.1", True]
    assert (said["stopped"], said["started"], said["left"]) == ("EXITED", "RUNNING", [])
