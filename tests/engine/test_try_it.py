"""README's "Try it" and "Ask for an instance" and docs/sandbox.md, word for word.

Up, a completion, an instance asked for and given back, one more instance, a reboot, and down.

The sandbox's ports are the committed ones, so that nothing else of the kind may run on this machine.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.settings import MARKET_PORT
from tests.doubles.cloud import REPO
from tests.doubles.documented import TRIED, commands_of, played_by
from tests.doubles.terminal import Terminal

pytestmark = [
    pytest.mark.engine,
    pytest.mark.host,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("committed ports"),
]

LIGHT = "VLLM=double MONITORING=off"  # docs/sandbox.md: the real vLLM and what watches are left out


@pytest.fixture
def terminal(pulumi_on_path: str, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal in a copy of this checkout with git's memory and state of its own."""
    if os.getuid() != 0:
        pytest.skip("emulated hosts are tested as root")
    with socket.socket() as taken:
        if taken.connect_ex(("127.0.0.1", MARKET_PORT)) == 0:
            pytest.skip(f"port {MARKET_PORT} is taken: another sandbox runs on this machine")
    checkout = tmp_path / "checkout"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (REPO / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPO / name, checkout / name)
    (checkout / ".venv").symlink_to((REPO / ".venv").resolve())
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI", "GPU_FLEET", "PYTEST"))}
    env = {**kept, "HOME": str(tmp_path), "XDG_CACHE_HOME": cache, "XDG_STATE_HOME": str(tmp_path / "state")}
    made = Terminal(checkout, env, tmp_path / "kept.sh")
    made.run(
        "git init --quiet && git add --all && git -c user.name=me -c user.email=me@example.net commit --quiet -m A"
    )
    yield made
    made.run(f"make down {LIGHT}")


def asks_for_an_instance_and_gives_it_back(terminal: Terminal) -> None:
    ask, follow, give_back, explain = [
        one for one in commands_of("README.md") if "GPU_FLEET_API_" in one or one.endswith(" burst-s0")
    ]
    key = terminal.type("gpu-fleet key NAME", put={"NAME": "local"}).strip()
    terminal.run(f'test "$GPU_FLEET_API_KEY" = {key}')
    terminal.type(ask)
    assert "event: ready" in terminal.type(follow)
    assert "burst-s0" in terminal.run("gpu-fleet status --stack local")
    assert '"controller": {' in terminal.run("gpu-fleet status --json --stack local")
    assert '"status":"ended"' in terminal.type(give_back)
    terminal.run(
        "for n in $(seq 120); do gpu-fleet sandbox status | grep -q burst-s0 || break; sleep 1; done; test $n != 120"
    )
    terminal.run(  # the ledger learns of the end after the market does
        "for n in $(seq 60); do gpu-fleet explain burst-s0 | grep -q '  gone: ' && break; sleep 1; done; test $n != 60"
    )
    told = terminal.type(explain)
    assert "  rent: " in told
    assert "  gone: " in told


def test_everything_comes_up_answers_and_goes(terminal: Terminal) -> None:
    asked = next(one for one in commands_of("docs/sandbox.md") if one.startswith("curl "))
    assert "sandbox and stack `local`" in terminal.type("make help")
    terminal.type("make setup", put={"make setup": f"make setup {LIGHT}"})
    terminal.type("make up", put={"make up": f"make up {LIGHT}"})
    terminal.typed |= {"make up VLLM=double", "make up MONITORING=off", "make env"}  # as LIGHT and the eval have it
    assert "https://" in terminal.type('make ask PROMPT="Hello"')
    terminal.type("make log NAME=chat-0")
    terminal.type('eval "$(make -s env)"')
    terminal.run("export PULUMI_SKIP_CONFIRMATIONS=true GPU_FLEET_KUBERNETES=off")
    assert '"choices"' in terminal.type(asked)
    asks_for_an_instance_and_gives_it_back(terminal)
    terminal.type("pulumi config set --path 'gpu-fleet:fleets.chat.replicas' 2 && pulumi up")
    assert "chat-1" in terminal.type("gpu-fleet sandbox status")
    terminal.type("gpu-fleet sandbox fault host-reboots")
    # Seconds later one of the two is closed.
    terminal.run(
        "for n in $(seq 60); do make -s ask NAME=chat-0 && make -s ask NAME=chat-1 || break; done; test $n != 60"
    )
    terminal.type("pulumi up --refresh")
    terminal.type("git checkout Pulumi.local.yaml")
    assert "0 instances, $0.00 an hour" in terminal.type("make down", put={"make down": f"make down {LIGHT}"})
    assert terminal.typed == played_by(TRIED)
