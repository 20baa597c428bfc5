"""A real engine for tests: its own home, its own backend and its own copy of a program, each in a temporary folder.

    def test_x(engine, tmp_path):
        stack = engine.stack(program_folder)
        stack.config({"name": "a", "list[0].x": "1"}, secret={"key": "b"})
        done = stack.up()
        assert "created" in done.text

A call that fails raises EngineError with all that the engine printed, unless check=False.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tools import engine as tools_engine
from tools import env as tools_env
from tools import paths as tools_paths

REPO = Path(__file__).resolve().parents[2]

PROGRAM_FOLDERS = ("components", "providers", "bootstrap", "monitoring", "models")
DEADLINE_S = 280


class EngineError(AssertionError):
    """The engine ended with an error; the message is everything that it printed."""


@dataclass(frozen=True)
class Done:
    """How one call of the CLI ended; `text` is stdout and stderr together."""

    status: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout + self.stderr


@dataclass
class Stack:
    """One stack of one program folder; every call is a process of the real CLI in a process group of its own."""

    folder: Path
    name: str
    env: dict[str, str]
    _children: list[subprocess.Popen[str]] = field(default_factory=list)

    def call(self, *words: str, check: bool = True, env: Mapping[str, str] | None = None) -> Done:
        child = self.start(*words, env=env)
        try:
            stdout, stderr = child.communicate(timeout=DEADLINE_S)
        except BaseException:
            end_group(child)
            raise
        done = Done(child.returncode, stdout, stderr)
        if check and done.status:
            raise EngineError(f"pulumi {' '.join(words)}: exit status {done.status}\n{done.text}")
        return done

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the CLI and return at once, for tests that interrupt or kill it."""
        child = subprocess.Popen(
            ["pulumi", "--non-interactive", "--color", "never", *words],
            cwd=self.folder,
            env=self.env | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._children.append(child)
        return child

    def preview(self, *words: str, check: bool = True, env: Mapping[str, str] | None = None) -> Done:
        return self.call("preview", "--stack", self.name, *words, check=check, env=env)

    def up(self, *words: str, check: bool = True, env: Mapping[str, str] | None = None) -> Done:
        return self.call("up", "--stack", self.name, "--yes", "--skip-preview", *words, check=check, env=env)

    def refresh(self, *words: str, check: bool = True, env: Mapping[str, str] | None = None) -> Done:
        return self.call("refresh", "--stack", self.name, "--yes", "--skip-preview", *words, check=check, env=env)

    def destroy(self, *words: str, check: bool = True, env: Mapping[str, str] | None = None) -> Done:
        return self.call("destroy", "--stack", self.name, "--yes", "--skip-preview", *words, check=check, env=env)

    def outputs(self, show_secrets: bool = True) -> dict[str, Any]:
        words = ["--show-secrets"] if show_secrets else []
        return json.loads(self.call("stack", "output", "--stack", self.name, "--json", *words).stdout)

    def state(self) -> dict[str, Any]:
        """The whole deployment as `pulumi stack export` writes it, secrets encrypted."""
        return json.loads(self.call("stack", "export", "--stack", self.name).stdout)["deployment"]

    def resources(self) -> list[dict[str, Any]]:
        return self.state().get("resources", [])

    def config(self, plain: Mapping[str, str] | None = None, secret: Mapping[str, str] | None = None) -> None:
        """Set config values; a dotted or indexed key is a path, as with `pulumi config set --path`."""
        for flag, values in (("--plaintext", plain or {}), ("--secret", secret or {})):
            for key, value in values.items():
                self.call("config", "set", "--stack", self.name, "--path", flag, "--", key, value)

    def close(self) -> None:
        for child in self._children:
            end_group(child)


@dataclass
class Engine:
    """Makes stacks; what they need of the environment is already in `env`."""

    root: Path
    env: dict[str, str]
    _stacks: list[Stack] = field(default_factory=list)

    def stack(self, program: Path, name: str = "test", project: str | None = None) -> Stack:
        """Copy a program folder (of this repo: Pulumi.yaml, __main__.py, its rooms) and make an empty stack for it.

        The copy holds no Pulumi.<stack>.yaml: a test writes its own config. `.venv` is the repo's.
        """
        folder = self.root / f"program-{len(self._stacks)}"
        if program.resolve() == REPO:
            folder.mkdir(parents=True)
            for file in ("Pulumi.yaml", "__main__.py"):
                shutil.copy(REPO / file, folder / file)
            for room in PROGRAM_FOLDERS:
                if (REPO / room).is_dir():
                    (folder / room).symlink_to(REPO / room)
        else:
            shutil.copytree(program, folder)
        if not (folder / ".venv").exists():
            (folder / ".venv").symlink_to(REPO / ".venv")
        if not (folder / "Pulumi.yaml").exists():
            (folder / "Pulumi.yaml").write_text(
                f"name: {project or 'tiny'}\nruntime: {{name: python, options: {{virtualenv: .venv}}}}\n"
            )
        stack = Stack(folder, name, self.env)
        self._stacks.append(stack)
        stack.call("stack", "init", name)
        return stack

    def close(self) -> None:
        for stack in self._stacks:
            stack.close()


def end_group(child: subprocess.Popen[str]) -> None:
    """Kill the CLI and every process of its session, and reap it."""
    for process in session_of(child.pid):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
    if child.poll() is None:
        child.kill()
    child.wait(timeout=10)
    for pipe in (child.stdout, child.stderr):
        if pipe:
            pipe.close()


def session_of(session: int) -> list[int]:
    """Return the ids of the processes in a session: plugins have process groups of their own, but stay in it."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            found.append(int(stat.parent.name))
    return found


@pytest.fixture(scope="session")
def pulumi_on_path() -> str:
    """PATH with an engine on it; skips loudly where there is none."""
    where = tools_paths.find(REPO, os.environ)
    if not tools_engine.own_pulumi(where, os.environ) and not where.engine_bin.is_dir():
        pytest.skip("no Pulumi engine here: `make setup` brings one")
    return tools_env.environment(where, os.environ)["PATH"]


@pytest.fixture
def engine(pulumi_on_path: str, tmp_path: Path) -> Iterator[Engine]:
    """An engine whose home, backend, cache of plugins and programs are this test's own."""
    backend = tmp_path / "backend"
    backend.mkdir()
    env = {
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PATH": pulumi_on_path,
        "PULUMI_BACKEND_URL": backend.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_HOME": str(tmp_path / "pulumi-home"),
        "PULUMI_RUN_PROGRAM": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    made = Engine(tmp_path, env)
    yield made
    made.close()
