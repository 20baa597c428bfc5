"""The official vastai client, unchanged, talks to the emulated market as it does to the live one.

Each test starts the client many times, which takes a second each, so half of them run for a commit.
"""

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
pytestmark = [
    pytest.mark.skipif(not VASTAI.exists(), reason="the official client is not installed beside this Python"),
    pytest.mark.rotating(of=4),
]


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
        assert market.emulator.get(number).intended == "stopped"
        vastai(market, tmp_path, "start", "instance", str(number))
        assert market.emulator.get(number).intended == "running"
        tomorrow = ("-c", "-s", str(int(time.time()) - 60), "-e", str(int(time.time()) + 86_400))
        charges = json.loads(vastai(market, tmp_path, "--raw", "show", "invoices-v1", *tomorrow, "-ct", "instance"))
        assert [row["source"] for row in charges["results"]] == [f"instance-{number}"]
        assert 0 <= time.time() - charges["results"][0]["start"] < 60
        none = json.loads(vastai(market, tmp_path, "--raw", "show", "invoices-v1", *tomorrow, "-ct", "volume"))
        assert none["results"] == []
        payments = json.loads(vastai(market, tmp_path, "--raw", "show", "invoices-v1", "-i", *tomorrow[1:]))
        assert [row["amount"] for row in payments["results"]] == [-market.account.credit]
        vastai(market, tmp_path, "destroy", "instance", str(number), "-y")
        assert market.emulator.all() == []
        assert json.loads(vastai(market, tmp_path, "--raw", "show", "user"))["credit"] > 0


SDK = """
import json, sys
from vastai import VastAI

url, key = sys.argv[1:]
market, answers = VastAI(api_key=key, server_url=url), {}
offers = market.search_offers(query="num_gpus=1 direct_port_count>=4", limit=3)
answers["offers"] = [one["num_gpus"] for one in offers]
create = dict(image="img:1", disk=20, ssh=True, direct=True, label="sdk")
number = market.create_instance(id=offers[0]["id"], env={"A": "B", "-p 8443:8443": "1"}, **create)["new_contract"]
answers["at once"] = market.show_instance(id=number)["label"]
answers["proxy"] = market.ssh_url(id=number)
answers["attached"] = [market.attach_ssh(instance_id=number, ssh_key="ssh-ed25519 AAAA me") for _ in range(2)]
answers["stopped"] = market.stop_instances(ids=[number])["success"]
answers["started"] = market.start_instances(ids=[number])["success"]
made = market.create_api_key(name="watch", permissions={"api": {"misc": {}, "instance_read": {}}})
watch = VastAI(api_key=made["key"], server_url=url)
answers["watched"] = [one["id"] == number for one in watch.show_instances()]
try:
    watch.destroy_instance(id=number)
except Exception as error:
    answers["refused"] = error.response.status_code
answers["recycled"] = market.recycle_instance(id=number)["success"]
answers["destroyed"] = market.destroy_instances(ids=[number])["success"]
answers["gone"] = market.show_instance(id=number)
print(json.dumps(answers))
"""


def test_the_sdk(tmp_path):
    with running_market(time_scale=1) as market:
        folders = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"), str(tmp_path))
        done = subprocess.run(
            [sys.executable, "-c", SDK, market.url, market.key],
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "VAST_URL": market.url, "VASTAI_NO_UPDATE_CHECK": "1", **folders},
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers = json.loads(done.stdout.splitlines()[-1])
        attached = answers.pop("attached")
        assert [one["success"] for one in attached] == [True, False]
        assert "already associated" in attached[1]["msg"]
        assert answers == {
            "offers": [1, 1, 1],
            "at once": "sdk",
            "proxy": "ssh://root@127.0.0.1:1",  # a market without hosts has no proxy
            "stopped": True,
            "started": True,
            "watched": [True],
            "refused": 401,
            "recycled": True,
            "destroyed": True,
            "gone": None,
        }
        assert not market.account.not_emulated
        assert market.emulator.all() == []


def test_too_low_a_bid_and_an_unknown_scope_are_said_by_the_command_line(tmp_path):
    with running_market(time_scale=1000) as market:
        [offer] = json.loads(vastai(market, tmp_path, "--raw", "search", "offers", "num_gpus=1", "--limit", "1"))
        bid = [
            str(VASTAI),
            "create",
            "instance",
            str(offer["id"]),
            "--image",
            "img:1",
            "--disk",
            "20",
            "--bid_price",
            "0.001",
        ]
        folders = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"), str(tmp_path))
        own = {"PATH": os.environ["PATH"], "VAST_URL": market.url, "VAST_API_KEY": market.key, **folders}
        done = subprocess.run(bid, capture_output=True, text=True, env=own, timeout=60, check=False)
        assert "The bid is under the minimum" in done.stderr
        assert [one.holds_gpu for one in market.emulator.all()] == [False]
        again = json.loads(vastai(market, tmp_path, "--raw", "search", "offers", "num_gpus=1", "--limit", "1"))
        assert again[0]["id"] == offer["id"]
        vastai(market, tmp_path, "change", "bid", str(market.emulator.all()[0].id))
        assert [one.holds_gpu for one in market.emulator.all()] == [True]
