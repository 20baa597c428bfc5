"""README's walk for real stacks, word for word, in a shell that had the sandbox's environment before: to endpoints that
answer, through what an operator does with them, and back to nothing. Then the settings that other pages name.

An emulated cloud is the real one: its URLs are edited into the committed Pulumi.dev.yaml.
"""

import json
import os
import re
import shlex
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.clock import SystemClock
from config.dialect import read_yaml
from providers.vast.api.client import VastClient
from providers.vast.api.rate_limit import NoRateLimit
from providers.vast.instance_request import rent_body
from tests.doubles.cloud import REPO, Cloud, running_cloud
from tests.doubles.documented import WALK, commands_of, played_by
from tests.doubles.pulumi_stack import PROGRAM_FOLDERS
from tests.doubles.terminal import Terminal

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.timeout(600), pytest.mark.rotating(of=6)]

LINKED = (
    "Makefile",
    "Pulumi.yaml",
    "__main__.py",
    *(folder for folder in PROGRAM_FOLDERS if folder != "models"),  # the walk writes a model of its own
    ".venv",
)
KEYS = {
    "vastApiKey": "sandbox-account-key",
    "storeAccessKey": "sandbox",
    "storeSecretKey": "sandbox-secret-key",
}
WANDB, PASSWORD = "wandb-secret-of-mine", "registry-secret-of-mine"
READ = 'from cli.context import *; import os; read_config(open_context("dev", os.environ)); print("config is read")'
# What the operator changes in the committed file. Days of this market are minutes: no offer has those that a stack asks for.
EDITS = {
    "url: https://console.vast.ai": "url: {market}\n    hostUrl: http://market.sandbox.internal",
    "endpoint: https://fsn1.your-objectstorage.com": "endpoint: {store}\n    hostEndpoint: https://s3.sandbox.internal",
    "choose-a-name-of-your-own": "a-name-of-my-own",
    "tiny:\n      manifest: models/tiny.json": "my-model:\n      manifest: models/my-model.json\n      source: models/tiny",
    "model: tiny": "model: my-model",
    "reliability: 0.98": "reliability: 0.9",
    "downloadMbps: 500": "downloadMbps: 50\n      minDays: 0",
    "regions: [DE": "regions: [US, CA, GB, JP, DE",
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "models").mkdir(parents=True)
    for name in LINKED:
        (folder / name).symlink_to(REPO / name)
    (folder / "Pulumi.dev.yaml").write_bytes((REPO / "Pulumi.dev.yaml").read_bytes())
    (folder / "models" / "tiny.json").write_bytes((REPO / "models" / "tiny.json").read_bytes())
    (folder / "models" / "tiny").symlink_to(REPO / "models" / "tiny")
    return folder


@pytest.fixture
def terminal(pulumi_on_path: str, cloud: Cloud, checkout: Path, tmp_path: Path) -> Terminal:
    """A terminal whose editor makes EDITS, and whose docker knows the digest of any image."""
    edits = {was: now.format(market=cloud.market_url, store=cloud.store_endpoint) for was, now in EDITS.items()}
    program(
        tmp_path / "editor",
        f"""#!{shutil.which("python3")}
import sys
from pathlib import Path
file = Path(sys.argv[1])
text = file.read_text()
for was, now in {edits!r}.items():
    assert was in text, was
    text = text.replace(was, now)
file.write_text(text)
""",
    )
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin" / "docker", f"#!/bin/sh\necho sha256:{'d' * 64}\n")
    env = {"HOME": str(tmp_path), "EDITOR": str(tmp_path / "editor"), "LANG": "C.UTF-8", "TMPDIR": str(tmp_path)}
    env["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    env["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Terminal(checkout, env, tmp_path / "kept.sh")


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def walk() -> list[str]:
    """Commands of the section's first block in README.md."""
    commands = commands_of("README.md")
    first = commands.index('eval "$(make -s env STACK=dev)"')
    return commands[first : commands.index("pulumi preview && pulumi up") + 1]


def documented_settings() -> list[str]:
    """Every setting of the other pages, and every one that is piped in."""
    pages = ("docs/kubernetes.md", "docs/monitoring.md")
    return [command for page in pages for command in commands_of(page) if "pulumi config set" in command]


def come_up(terminal: Terminal, own: Path) -> None:
    """Follow the walk to endpoints."""
    terminal.run('eval "$(make -s env)"')
    terminal.typed.add("make env STACK=dev")  # as the walk's first command has it
    for command in walk():
        if command == "pulumi login":
            own.mkdir()
            terminal.run('test -z "$PULUMI_BACKEND_URL"')
            terminal.type(command, put={"login": f"login {own.as_uri()}"})
            terminal.run("export PULUMI_CONFIG_PASSPHRASE=mine PULUMI_SKIP_CONFIRMATIONS=true")
        elif setting := re.search(r"--secret gpu-fleet:(\w+)", command):
            terminal.type(command, text=KEYS[setting[1]])
        elif "path/to/model" in command:
            terminal.type(command, put={"path/to/model": "models/tiny"})
        else:
            terminal.type(command)


def rent(cloud: Cloud, label: str) -> int:
    """Rent as somebody would who dies right after."""
    client = VastClient(cloud.market_url, KEYS["vastApiKey"], NoRateLimit(), SystemClock())
    offers = client.search({"order": [["dph_total", "asc"]], "limit": 1, "type": "on-demand", "rentable": {"eq": True}})
    number = client.rent(offers[0].id, rent_body("vllm/vllm-openai:v0.32.0", 20, label, "true", 8443))
    client.close()
    return number


def operate(terminal: Terminal, cloud: Cloud) -> None:
    """Look, adopt what the state has lost, give back what nobody knows, change a secret leaf in place."""
    assert "1 known" in terminal.type("gpu-fleet sweep")
    assert "served   after" in terminal.type("gpu-fleet explain chat-0")
    assert "does not list offer 1234567" in terminal.type("gpu-fleet why-not 1234567 chat")
    [before] = cloud.rented()
    resources = json.loads(terminal.run("pulumi stack export"))["deployment"]["resources"]
    urn = next(row["urn"] for row in resources if row["type"].endswith("vast:Instance"))
    terminal.run(f"pulumi state delete --yes {shlex.quote(urn)}")
    terminal.type("gpu-fleet sweep", ends=2)
    stack = before["label"].split("/")[1]
    assert f"takes over instance {before['id']}" in terminal.type(
        "gpu-fleet adopt gpu-fleet/ID/chat-0", text="yes\n", put={"ID": stack}
    )
    assert "BEGIN CERTIFICATE" in terminal.run("pulumi stack output caCertificate")
    assert "https://" in terminal.type("make ask STACK=dev NAME=chat-0")
    terminal.type("make log STACK=dev NAME=chat-0")
    terminal.run("pulumi refresh")
    forgotten = rent(cloud, f"gpu-fleet/{stack}/chat-7")
    terminal.run("gpu-fleet sweep --destroy")
    assert [row["id"] for row in cloud.rented()] == [before["id"]] != [forgotten]
    terminal.run(
        "pulumi config set --path 'gpu-fleet:fleets.chat.registry.server' registry.example && "
        "pulumi config set --path 'gpu-fleet:fleets.chat.registry.user' me"
    )
    terminal.type("pulumi config set --secret --path 'gpu-fleet:fleets.chat.registry.password'", text=PASSWORD)
    terminal.type("pulumi config set --secret --path gpu-fleet:fleets.chat.environment.WANDB_API_KEY", text=WANDB)
    assert "1 to update" in terminal.run("pulumi preview")
    assert "1 updated" in terminal.run("pulumi up")
    exported = terminal.run("pulumi stack export")
    assert not [secret for secret in (WANDB, PASSWORD) if secret in exported + terminal.printed]
    assert WANDB in terminal.type("pulumi config --show-secrets")
    assert "chat-0" in terminal.run("pulumi stack output --show-secrets")


def settle(terminal: Terminal) -> None:
    """Type every setting that the other pages name, and what watches: none of it needs an instance."""
    for command in documented_settings():
        piped = command.endswith("gpu-fleet:exporterMarketKey")
        terminal.type(command, text=KEYS["vastApiKey"] if piped else "")
    for hook in ("alertWebhook", "watchdogWebhook"):
        terminal.type(f"pulumi config set --secret gpu-fleet:{hook}", text="https://hooks.example/token")
    assert "config is read" in terminal.run(f"python -c {shlex.quote(READ)}")
    terminal.run("export GPU_FLEET_PROMETHEUS=http://127.0.0.1:9")  # nothing answers there
    terminal.type("gpu-fleet criteria", ends=3)
    terminal.type("gpu-fleet worth", ends=3)
    assert "openai/gpt-4o-mini" in terminal.run("gpu-fleet worth --days 1 || true")
    git = "git -c user.name=me -c user.email=me@example.net"
    terminal.run(f"git init -q && git add Pulumi.dev.yaml models/*.json && {git} commit -qm models")
    listed = terminal.type("gpu-fleet store gc")
    assert "Nothing names 0 objects of bucket a-name-of-my-own" in listed  # all of it is young
    assert "cannot be removed" not in terminal.type(
        "gpu-fleet store gc --keep origin/next", put={"origin/next": "HEAD"}
    )
    assert "Removed 0 of 0 objects" in terminal.type("gpu-fleet store gc --remove")
    terminal.type("gpu-fleet dashboards out/")
    watch = "gpu-fleet exporter --stack local"
    assert "exporter: http://" in terminal.type(
        watch, put={"gpu-fleet": "timeout 15 gpu-fleet", "local": "dev --port 0"}, ends=124
    )
    terminal.run("export VAST_API_KEY=sandbox-account-key STORE_ACCESS_KEY=sandbox STORE_SECRET_KEY=sandbox-secret-key")
    watch = "gpu-fleet exporter --config Pulumi.dev.yaml"
    assert "exporter: http://" in terminal.type(
        watch, put={"gpu-fleet": "timeout 15 gpu-fleet", "yaml": "yaml --port 0"}, ends=124
    )
    terminal.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=metrics.example.net -keyout key.pem -out chain.pem -days 1"
    )
    receiver = "METRICS_KEY=... python -m monitoring.receiver --upstream http://127.0.0.1:9090 --certificate F --key F"
    files = {"--certificate F --key F": "--certificate chain.pem --key key.pem --port 0 --metrics-port 0"}
    terminal.type(receiver, put={"METRICS_KEY=...": "METRICS_KEY=0123456789abcdef timeout 8 env", **files}, ends=124)


def test_the_walk_works_after_the_sandboxs(cloud: Cloud, terminal: Terminal, checkout: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"

    come_up(terminal, own)

    assert "answered in" in terminal.printed
    [rented] = cloud.rented()
    assert rented["label"].endswith("/chat-0")
    terminal.run("! command -v pulumi-resource-kubernetes")
    assert json.loads(terminal.run("pulumi stack ls --json"))[0]["name"] == "dev"
    assert list(own.rglob("dev.json")), "the stack lies in another backend"
    operate(terminal, cloud)
    terminal.run("pulumi destroy")
    assert cloud.rented() == []

    settle(terminal)

    written = read_yaml((checkout / "Pulumi.dev.yaml").read_text())["config"]
    assert all(set(written[f"gpu-fleet:{key}"]) == {"secure"} for key in KEYS)
    assert "NO" in written["gpu-fleet:fleets"]["chat"]["regions"]
    assert terminal.typed == played_by(WALK)
