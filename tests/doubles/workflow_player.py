"""Plays a workflow of .github/workflows with act: no network, no container, and doubles in place of actions and programs.

player = Player(folder, act)                 # a repository `fleet` with an edit as pull request 7, merged as its merge ref
run = player.play("review", "pull_request_target", player.opened())
run.status, run.called, run.artifacts        # `called`: what the doubles of programs were called with

The repository holds the real workflows and tools/artifacts.py. What would set up, review, apply or test is a double that
notes its words and its environment, and ends as it was told. GITHUB_TOKEN is not noted: act gives it to every step, and
GitHub only to those that ask.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.dialect import read_yaml
from tests.doubles.artifact_forge import REPOSITORY

REPO = Path(__file__).resolve().parents[2]
USES = re.compile(r"uses: ([\w.-]+/[\w.-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)")
# What runs in place of each action. Inputs that no double knows make act fail, so a wrong word of an input is found.
ACTIONS: Mapping[str, tuple[Sequence[str], str]] = {
    "actions/checkout": (
        ("persist-credentials", "fetch-depth"),
        'git clone --quiet "$ORIGIN" . && git checkout --quiet --detach "$CHECKED_OUT"',
    ),
    "actions/upload-artifact": (
        ("name", "path", "if-no-files-found", "retention-days"),
        'mkdir -p "$OUT/artifacts/$INPUT_NAME" && cp "$INPUT_PATH" "$OUT/artifacts/$INPUT_NAME/"',
    ),
    "pulumi/actions": (("pulumi-version",), 'echo "pulumi $INPUT_PULUMI_VERSION" >> "$OUT/called"'),
}
# Notes how it was called and which secrets it sees, says what it was told to say, and ends so.
PROGRAM = """#!/bin/sh
echo "{name} $*" >> "$OUT/called"
for one in VAST_REVIEW_KEY GITLAB_TOKEN PULUMI_CONFIG_PASSPHRASE PULUMI_ACCESS_TOKEN AWS_SECRET_ACCESS_KEY; do
    eval "value=\\$$one"
    if [ -n "$value" ]; then echo "$one=$value" >> "$OUT/seen-{name}"; fi
done
git rev-parse HEAD >> "$OUT/heads" 2>/dev/null
{also}
[ ! -f "$OUT/{name}.says" ] || cat "$OUT/{name}.says"
exit "$(cat "$OUT/{name}.ends" 2>/dev/null || echo 0)"
"""
SETUP = """import os, pathlib, sys
pathlib.Path(os.environ["OUT"], "called").open("a").write("setup " + " ".join(sys.argv[1:]) + "\\n")
if not pathlib.Path(".venv").exists():
    pathlib.Path(".venv/bin").mkdir(parents=True)
    pathlib.Path(".venv/bin/gpu-fleet").symlink_to(os.environ["PROGRAM"])
"""
ENV = """import os, sys
words = sys.argv[sys.argv.index("--") + 1:]
os.execv(os.environ["PROGRAM"], words)
"""
GIT = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")


@dataclass(frozen=True)
class Run:
    """How a workflow went."""

    status: int
    said: str
    out: Path

    @property
    def called(self) -> list[str]:
        """What was called, in order."""
        return self._lines("called")

    @property
    def heads(self) -> set[str]:
        """The commits that were checked out when the program ran."""
        return set(self._lines("heads"))

    def seen(self, program: str = "gpu-fleet") -> set[str]:
        """The secrets that a program had in its environment."""
        return set(self._lines(f"seen-{program}"))

    @property
    def artifacts(self) -> dict[str, str]:
        """What was uploaded, by `artifact/file`."""
        found = sorted(self.out.glob("artifacts/*/*"))
        return {str(file.relative_to(self.out / "artifacts")): file.read_text() for file in found}

    def _lines(self, name: str) -> list[str]:
        file = self.out / name
        return file.read_text().splitlines() if file.exists() else []


@dataclass
class Player:
    """A repository, its origin with a pull request, and the doubles."""

    root: Path
    act: Path
    secrets: dict[str, str] = field(default_factory=dict)
    forge: str = "http://127.0.0.1:9"
    settings: dict[str, str] = field(default_factory=dict)  # further variables of every step
    variables: dict[str, str] = field(
        default_factory=lambda: {"GPU_FLEET_STACKS": '["dev"]', "PULUMI_BACKEND_URL": "file:///state"}
    )
    deadline: float = 120.0
    base: str = ""
    head: str = ""
    merged: str = ""  # a commit of main with an edit of config alone

    def __post_init__(self) -> None:
        self.repository, self.origin = self.root / "fleet", self.root / "origin.git"
        for folder in ("home/.config/act", "bin", "out", "fleet"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "home/.config/act/actrc").touch()  # else act asks which images to take
        self._programs()
        self._repository()

    def _programs(self) -> None:
        for name, also in {"gpu-fleet": self._leaves(), "apt-get": "", "make": ""}.items():
            file = self.root / "bin" / name
            file.write_text(PROGRAM.format(name=name, also=also))
            file.chmod(0o755)

    def _leaves(self) -> str:
        """An apply writes the record of what runs, as the real one does."""
        return 'case "$*" in apply*standing.json*) echo "{}" > standing.json ;; esac'

    def _git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", *GIT, *words],
            cwd=self.repository,
            env=self._environment(),
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def _repository(self) -> None:
        git = self._git
        shutil.copytree(REPO / ".github", self.repository / ".github")
        tools = self.repository / "tools"
        tools.mkdir()
        for name in ("artifacts.py", "gitlab_artifacts.py"):
            shutil.copy(REPO / "tools" / name, tools / name)
        files = {"tools/__init__.py": "", "tools/setup.py": SETUP, "tools/env.py": ENV, "Pulumi.dev.yaml": "a: 1\n"}
        files |= {".ci/run": (self.root / "bin/make").read_text(), "docs/benchmarks.md": "# Benchmarks\n"}
        for name, text in files.items():
            (self.repository / name).parent.mkdir(exist_ok=True)
            (self.repository / name).write_text(text)
        (self.repository / ".ci/run").chmod(0o755)
        git("init", "--quiet", "--bare", str(self.origin))
        git("init", "--quiet", ".")
        git("remote", "add", "origin", str(self.origin))
        git("add", "--all")
        git("commit", "--quiet", "-m", "base")
        self.base = git("rev-parse", "HEAD")
        git("push", "--quiet", "origin", "HEAD:refs/heads/main")
        (self.repository / "Pulumi.dev.yaml").write_text("a: 2\n")
        git("commit", "--quiet", "--all", "-m", "merged")
        self.merged = git("rev-parse", "HEAD")
        git("push", "--quiet", "origin", "HEAD:refs/heads/merged")
        git("checkout", "--quiet", "--detach", self.base)
        # The pull request's own set-up and workflow must never run.
        for name in ("tools/setup.py", ".ci/run"):
            (self.repository / name).write_text("import sys; sys.exit('the head was run')\n")
        (self.repository / "Pulumi.dev.yaml").write_text("a: 3\n")
        git("checkout", "--quiet", "-b", "edit")
        git("commit", "--quiet", "--all", "-m", "edit")
        self.head = git("rev-parse", "HEAD")
        git("checkout", "--quiet", "--detach", self.base)
        git("merge", "--quiet", "--no-ff", "-m", "merge", "edit")
        git("push", "--quiet", "origin", "HEAD:refs/pull/7/merge", "HEAD:refs/merge-requests/7/merge")
        git("checkout", "--quiet", "--detach", self.base)

    def opened(self) -> dict[str, Any]:
        """Return the event of pull request 7."""
        pull = {"number": 7, "head": {"sha": self.head}, "base": {"ref": "main"}}
        return {"action": "opened", "pull_request": pull, "repository": {"full_name": REPOSITORY}}

    def told(self, program: str, says: str = "", ends: int = 0) -> None:
        """Let a double print that and end so."""
        (self.root / "out" / f"{program}.says").write_text(says)
        (self.root / "out" / f"{program}.ends").write_text(str(ends))

    def play(self, workflow: str, event: str, payload: Mapping[str, Any], commit: str = "") -> Run:
        """Run every job of a workflow; the event's commit is the base if none is named."""
        self._git("checkout", "--quiet", "--force", "-B", "main", commit or self.base)  # act's GITHUB_SHA and ref
        file = self._without_container(self.repository / ".github/workflows" / f"{workflow}.yml")
        words = [str(self.act), event, "-C", str(self.repository), "-W", str(file), "--no-skip-checkout"]
        words += ["-P", "ubuntu-24.04=-self-hosted", "--no-cache-server", "-e", str(self._written(payload))]
        for name, text in self._actions(file):
            words += ["--local-repository", f"{name}={text}"]
        settings = {
            "ORIGIN": str(self.origin),
            "OUT": str(self.root / "out"),
            "PROGRAM": str(self.root / "bin/gpu-fleet"),
        }
        settings |= {
            "CHECKED_OUT": commit or self.base,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": self.forge,
        }
        for name, value in {**settings, **self.settings}.items():
            words += ["--env", f"{name}={value}"]
        file_of_secrets = self.root / "secrets"  # act hands its own environment to each step
        file_of_secrets.write_text("".join(f"{name}={value}\n" for name, value in self.secrets.items()))
        words += ["--secret-file", str(file_of_secrets)]
        for name, value in self.variables.items():
            words += ["--var", f"{name}={value}"]
        done = subprocess.run(
            words,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=self.deadline,
        )
        return Run(done.returncode, done.stdout + done.stderr, self.root / "out")

    def script(self, job: Mapping[str, Any], variables: Mapping[str, str]) -> Run:
        """Run the lines of a job of GitLab's, as its runner's shell does where there is no bash."""
        folder = self.root / "builds"
        folder.mkdir(exist_ok=True)
        lines = [*job["before_script"], *job["script"]]
        given = {"OUT": str(self.root / "out"), "PROGRAM": str(self.root / "bin/gpu-fleet"), **variables}
        done = subprocess.run(
            ["sh", "-e", "-c", "\n".join(lines)],
            cwd=folder,
            env=self._environment() | given,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Run(done.returncode, done.stdout + done.stderr, self.root / "out")

    def _environment(self) -> dict[str, str]:
        path = f"{self.root / 'bin'}:{os.environ.get('PATH', os.defpath)}"
        return {"HOME": str(self.root / "home"), "PATH": path, "LANG": "C.UTF-8"}

    def _written(self, payload: Mapping[str, Any]) -> Path:
        file = self.root / "event.json"
        file.write_text(json.dumps(payload))
        return file

    def _without_container(self, file: Path) -> Path:
        """Return the workflow for a machine without containers; the steps stay as they are."""
        text = re.sub(r"^    container:\n(?:      .*\n)+", "", file.read_text(), flags=re.MULTILINE)
        file.write_text(text)
        return file

    def _actions(self, workflow: Path) -> list[tuple[str, Path]]:
        found = []
        for name, digest, _version in USES.findall(workflow.read_text()):
            inputs, runs = ACTIONS[name]
            folder = self.root / "actions" / name
            folder.mkdir(parents=True, exist_ok=True)
            given = {f"INPUT_{one.upper().replace('-', '_')}": f"${{{{ inputs.{one} }}}}" for one in inputs}
            made = {
                "name": name,
                "description": f"a double of {name}",
                "inputs": {one: {"description": one, "default": ""} for one in inputs},
                "runs": {"using": "composite", "steps": [{"shell": "bash", "env": given, "run": runs}]},
            }
            (folder / "action.yml").write_text(json.dumps(made))
            found.append((f"{name}@{digest}", folder))
        return found


def workflows() -> dict[str, dict[str, Any]]:
    """Return the committed workflows by name."""
    return {file.stem: read_yaml(file.read_text()) for file in sorted((REPO / ".github/workflows").glob("*.yml"))}
