"""The real engine on a stack of its own: own home, own backend, own copy of a program; for tests and for bench.

    engine = Engine(folder, environment(folder, os.environ))
    stack = engine.stack(program_folder)
    stack.config({"name": "a", "list[0].x": "1"}, secret={"key": "b"})
    done = stack.up()

A call that fails raises EngineError with all that the engine printed, unless check=False.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from config.dialect import read_yaml
from offline import engine as offline_engine
from tools import env as tools_env
from tools.machine import paths as tools_paths

REPO = Path(__file__).resolve().parents[2]

WATCHING = ("metrics", "metricsKey", "kubernetes", "exporterMarketKey")  # keys that bring monitoring into a stack
PROGRAM_FOLDERS = (
    *(
        "cli",
        "components",
        "config",
        "controller",
        "providers",
        "bootstrap",
        "monitoring",
        "weights",
        "models",
        "review",
    ),
    *("tools", "offline", "sandbox"),  # of commands such as `gpu-fleet status`
)
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
        """Return stdout and stderr together."""
        return self.stdout + self.stderr


@dataclass
class Stack:
    """One stack of one program folder; every call is a process of the real CLI in a process group of its own."""

    folder: Path
    name: str
    env: dict[str, str]
    deadline: float = DEADLINE_S  # of one call, in seconds
    _children: list[subprocess.Popen[str]] = field(default_factory=list)

    def call(self, *words: str, check: bool = True, env: Mapping[str, str] | None = None) -> Done:
        """Run the CLI to its end."""
        child = self.start(*words, env=env)
        try:
            stdout, stderr = child.communicate(timeout=self.deadline)
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
        """Run `pulumi preview`."""
        return self.call("preview", "--stack", self.name, *words, check=check, env=env)

    def up(self, *words: str, check: bool = True, env: Mapping[str, str] | None = None) -> Done:
        """Run `pulumi up`."""
        return self.call("up", "--stack", self.name, "--yes", "--skip-preview", *words, check=check, env=env)

    def refresh(self, *words: str, check: bool = True, env: Mapping[str, str] | None = None) -> Done:
        """Run `pulumi refresh`."""
        return self.call("refresh", "--stack", self.name, "--yes", "--skip-preview", *words, check=check, env=env)

    def destroy(self, *words: str, check: bool = True, env: Mapping[str, str] | None = None) -> Done:
        """Run `pulumi destroy`."""
        return self.call("destroy", "--stack", self.name, "--yes", "--skip-preview", *words, check=check, env=env)

    def outputs(self, show_secrets: bool = True) -> dict[str, Any]:
        """Return the stack's outputs."""
        words = ["--show-secrets"] if show_secrets else []
        return dict(json.loads(self.call("stack", "output", "--stack", self.name, "--json", *words).stdout))

    def state(self) -> dict[str, Any]:
        """The whole deployment as `pulumi stack export` writes it, secrets encrypted."""
        return dict(json.loads(self.call("stack", "export", "--stack", self.name).stdout)["deployment"])

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources in state."""
        return list(self.state().get("resources", []))

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the stack's config file anew, as an edit in a pull request would; the salt of its secrets stays."""
        file = self.folder / f"Pulumi.{self.name}.yaml"
        kept = read_yaml(file.read_text()) if file.exists() else {}
        file.write_text(yaml.safe_dump({**kept, "config": dict(config)}))

    def read_config(self) -> dict[str, Any]:
        """Return the values of the stack's config file by key."""
        return dict(read_yaml((self.folder / f"Pulumi.{self.name}.yaml").read_text()).get("config") or {})

    def config(self, plain: Mapping[str, str] | None = None, secret: Mapping[str, str] | None = None) -> None:
        """Set config values; a dotted or indexed key is a path, as with `pulumi config set --path`."""
        for flag, values in (("--plaintext", plain or {}), ("--secret", secret or {})):
            for key, value in values.items():
                self.call("config", "set", "--stack", self.name, "--path", flag, "--", key, value)

    def close(self) -> None:
        """End what still runs."""
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
        """End what still runs."""
        for stack in self._stacks:
            stack.close()


def sandbox_config(market_url: str, time_scale: float, store_endpoint: str, **fleet: Any) -> dict[str, Any]:
    """Return a stack's config for a sandbox at these addresses: that of stack `local`, with a bucket of its own.

    It has one fleet, `chat`, of one instance; `fleet` replaces keys of that one.
    """
    config = dict(read_yaml((REPO / "Pulumi.local.yaml").read_text())["config"])
    config["gpu-fleet:market"] |= {"url": market_url, "timeScale": time_scale}
    config["gpu-fleet:store"] |= {"endpoint": store_endpoint, "bucket": f"test-{secrets.token_hex(6)}"}
    config["gpu-fleet:fleets"] = {"chat": config["gpu-fleet:fleets"]["chat"] | fleet}
    # Two processes more on each of many hosts, a cluster, who asks for instances, and a budget that is meant for the pace of
    # the stack `local`: who wants them adds them.
    for key in (*WATCHING, "clients", "budget"):
        config.pop(f"gpu-fleet:{key}")
    return config


def watching_config(kubeconfig: str, **kubernetes: Any) -> dict[str, Any]:
    """Return what `sandbox_config` leaves out, with the way to another cluster; `kubernetes` replaces keys of that."""
    local = read_yaml((REPO / "Pulumi.local.yaml").read_text())["config"]
    config = {f"gpu-fleet:{key}": local[f"gpu-fleet:{key}"] for key in WATCHING}
    # The controller of the stack `local` is none of a test's cluster.
    config["gpu-fleet:kubernetes"] |= {"kubeconfig": kubeconfig, "controllerAddress": "", **kubernetes}
    return config


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


def path_with_engine(environ: Mapping[str, str]) -> str | None:
    """Return a PATH with an engine on it, None where there is none: `make setup` brings one."""
    where = tools_paths.find(REPO, environ)
    if not offline_engine.own_pulumi(where, environ) and not where.engine_bin.is_dir():
        return None
    return tools_env.environment(where, environ)["PATH"]


def environment(folder: Path, path: str) -> dict[str, str]:
    """Return an environment in which the engine keeps everything below `folder`."""
    backend = folder / "backend"
    backend.mkdir(parents=True)
    return {
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PATH": path,
        "PULUMI_BACKEND_URL": tools_paths.backend_url(backend),
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_HOME": str(folder / "pulumi-home"),
        "PULUMI_PARALLEL": tools_env.PARALLEL,
        "PULUMI_RUN_PROGRAM": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PYDANTIC_DISABLE_PLUGINS": "__all__",  # as in tools/env.py
        # What processes of one account share on a computer: the rents of other tests are none of this one's.
        "TMPDIR": str(folder),
    }
