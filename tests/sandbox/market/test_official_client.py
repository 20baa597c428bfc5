"""The official vastai client, unchanged, talks to the emulated market as it does to the live one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox.testing import RunningMarket, running_market

VASTAI = Path(sys.executable).parent / "vastai"
pytestmark = pytest.mark.skipif(not VASTAI.exists(), reason="the official client is not installed beside this Python")


def vastai(market: RunningMarket, home: Path, *words: str) -> str:
    """Run the client with a configuration of its own; return stdout, and fail where it wrote to stderr."""
    folders = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"), str(home))
    environment = {
        "PATH": os.environ["PATH"],
        "VAST_URL": market.url,
        "VAST_API_KEY": market.key,
        "VASTAI_NO_UPDATE_CHECK": "1",
        **folders,
    }
    done = subprocess.run(
        [VASTAI, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    # The client exits with 0 after errors too and says them on stderr, where a progress line leaves control codes.
    assert (done.returncode, done.stderr.replace("\x1b[K", "").strip()) == (0, ""), done
    return done.stdout


def test_search_create_show_label_logs_destroy(tmp_path):
    with running_market(time_scale=1000) as market:
        query = "gpu_name=RTX_4090 num_gpus=1 gpu_ram>=20 dph_total<=0.8 direct_port_count>=2 geolocation in [US,CA,DE]"
        offers = json.loads(vastai(market, tmp_path, "--raw", "search", "offers", query, "-o", "dph+", "--limit", "5"))
        prices = [offer["dph_total"] for offer in offers]
        assert 1 <= len(offers) <= 5
        assert prices == sorted(prices)
        assert "RTX_4090" in vastai(market, tmp_path, "search", "offers", query)

        create = ("create", "instance", str(offers[0]["id"]), "--image", "img:1", "--disk", "20", "--ssh", "--direct")
        more = ("--env", "-p 8443:8443 -e A=B", "--label", "first", "--cancel-unavail", "--raw")
        number = json.loads(vastai(market, tmp_path, *create, *more))["new_contract"]

        deadline = time.monotonic() + 30
        while (found := json.loads(vastai(market, tmp_path, "--raw", "show", "instance", str(number)))) and (
            found["actual_status"] != "running"
        ):
            assert time.monotonic() < deadline
        assert set(found["ports"]) == {"22/tcp", "8443/tcp"}
        assert vastai(market, tmp_path, "show", "instances", "--quiet").split() == [str(number)]
        assert "4090" in vastai(market, tmp_path, "show", "instances")
        assert vastai(market, tmp_path, "ssh-url", str(number)).startswith("ssh://root@127.0.0.1")

        vastai(market, tmp_path, "label", "instance", str(number), "second")
        listed = json.loads(vastai(market, tmp_path, "--raw", "show", "instances", "--label", "second"))
        assert [one["id"] for one in listed] == [number]
        assert "gpu-fleet host key SHA256:" in vastai(market, tmp_path, "logs", str(number))
        vastai(market, tmp_path, "stop", "instance", str(number))
        assert market.books.get(number).intended == "stopped"
        vastai(market, tmp_path, "start", "instance", str(number))
        assert market.books.get(number).intended == "running"
        vastai(market, tmp_path, "destroy", "instance", str(number), "-y")
        assert market.books.all() == []
        assert json.loads(vastai(market, tmp_path, "--raw", "show", "user"))["credit"] > 0
