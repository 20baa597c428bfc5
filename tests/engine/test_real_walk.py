"""README's walk for real stacks, word for word, in a shell that had the sandbox's environment before.

An emulated cloud is the real one: only its URLs are edited into the committed Pulumi.dev.yaml.
"""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.dialect import read_yaml
from tests.doubles.cloud import REPO, Cloud, running_cloud

pytestmark = [pytest.mark.engine, pytest.mark.host]

LINKED = (
    "Makefile",
    "Pulumi.yaml",
    "__main__.py",
    "tools",
    "components",
    "providers",
    "bootstrap",
    "monitoring",
    ".venv",
)
KEYS = {
    "vastApiKey": "sandbox-account-key",
    "storeAccessKey": "sandbox",
    "storeSecretKey": "sandbox-secret-key",
}

READ = 'from components.desk import *; import os; read_config(open_desk("dev", os.environ)); print("config is read")'
# Each ends with 0 or, where there is nothing to tell, with a sentence and 1; the exporter is ended by its time.
COMMANDS = (
    "python -m providers.vast sweep",
    "python -m providers.vast explain chat-0 || test $? = 1",
    "python -m providers.vast why-not 1234567 chat || test $? = 1",
    "export VAST_API_KEY=sandbox-account-key STORE_ACCESS_KEY=sandbox STORE_SECRET_KEY=sandbox-secret-key",
    "timeout 8 python -m monitoring.exporter --config Pulumi.dev.yaml --port 0 || test $? = 124",
)


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


def walk() -> list[str]:
    """Commands of the section in README.md, without their comments."""
    section = (REPO / "README.md").read_text().partition("## On real vast.ai and Hetzner\n")[2].partition("\n## ")[0]
    block = section.strip("\n").partition("\n\n")[0]
    return [re.sub(r"\s{2,}#.*", "", line.strip()) for line in block.splitlines()]


def documented_settings() -> list[str]:
    """Every `pulumi config set --path` of README and docs that stands on one line, as it stands there."""
    pages = [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]
    lines = [
        line
        for page in pages
        for line in page.read_text().splitlines()
        if re.match(r"\s+pulumi config set --path", line)
    ]
    commands = [re.sub(r"\s{2,}#.*", "", line.strip()).partition(" && ")[0] for line in lines]
    found = [command for command in commands if not command.endswith("\\")]
    assert len(found) >= 5
    return found


def played(command: str, folder: Path) -> list[str]:
    """Return what a shell runs for a command of the walk: what an operator types or pipes in is added."""
    if command == "pulumi login":
        own = (folder / "own").as_uri()
        return [f'test -z "$PULUMI_BACKEND_URL" && pulumi login {own}', "export PULUMI_CONFIG_PASSPHRASE=mine"]
    if setting := re.search(r"--secret gpu-fleet:(\w+)", command):
        return [f"printf %s {shlex.quote(KEYS[setting[1]])} | {command}"]
    if command.startswith("pulumi preview"):
        assert command == "pulumi preview && pulumi up"
        return ["pulumi preview --non-interactive"]
    return [command.replace("path/to/model", "models/tiny")]


def test_the_walk_works_after_the_sandboxs(pulumi_on_path: str, cloud: Cloud, checkout: Path, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    market, store = cloud.market_url, cloud.store_endpoint
    # This market's days are minutes, so that no offer has the days left that a real stack asks for.
    editor.write_text(
        "#!/bin/sh\n"
        f"sed -i -e 's#https://console.vast.ai#{market}#' -e 's#https://fsn1.your-objectstorage.com#{store}#'"
        " -e 's#choose-a-name-of-your-own#a-name-of-my-own#' -e 's#regions: .DE#regions: [US, CA, GB, JP, DE#'"
        " -e 's#reliability: 0.98#reliability: 0.9#' -e 's#downloadMbps: 500#downloadMbps: 50\\n      minDays: 0#' \"$1\"\n"
    )
    editor.chmod(0o755)
    script = ["set -e", 'eval "$(make -s env)"']
    for command in walk():
        script += played(command, tmp_path)
    script += documented_settings()
    script += ["python -c '" + READ + "'", *COMMANDS]
    script += ["! command -v pulumi-resource-kubernetes", "echo found=$(pulumi stack ls --json)"]
    (tmp_path / "own").mkdir()
    path = os.environ["PATH"]
    env = {"HOME": str(tmp_path), "PATH": path, "EDITOR": str(editor), "LANG": "C.UTF-8"}
    env |= {"XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")}

    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=checkout,
        env=env,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "vast:Instance" in done.stdout
    assert json.loads(done.stdout.rpartition("found=")[2])[0]["name"] == "dev"
    assert "config is read" in done.stdout
    assert "exporter: http://" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert list((tmp_path / "own").rglob("dev.json")), "the stack lies in another backend"
    assert (checkout / "models" / "my-model.json").is_file()
    written = read_yaml((checkout / "Pulumi.dev.yaml").read_text())["config"]
    assert all(set(written[f"gpu-fleet:{key}"]) == {"secure"} for key in KEYS)
    assert "NO" in written["gpu-fleet:fleets"]["chat"]["regions"]
