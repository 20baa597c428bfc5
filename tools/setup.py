"""Set-up: bring the missing parts, say what it does and how long it took, do nothing if nothing is missing.

    python3 -m tools.setup [--vllm real|double] [--monitoring on|off] [--tests on|off] [--parts packages,venv,...]

Run by the system's python3 (3.11 or later) with the standard library only. It may be interrupted and run again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from offline import (
    controller_images,
    engine,
    etcdutl,
    golang,
    images,
    monitoring,
    node,
    official_hcloud_plugin,
    official_kubernetes_plugin,
    workflows,
)
from tools import debian_image, environments, grafana, packages
from tools.machine import paths
from tools.machine.steps import SetupError, alone, complete, refuse_full_disk, run, step

PYTHON = (3, 11)
PARTS = ("packages", "venv", "engine", "monitoring", "vllm", "model")
# In no default: see offline/official_*_plugin.py, tools/debian_image.py, docs/node.md, and `make test-clients`.
ON_REQUEST = ("hcloud-plugin", "kubernetes-plugin", "hetzner", "node", "controller-image", "clients")
CHECKS = "test-venv"  # what `make check` needs besides the environment and the model
OF_TESTS = (CHECKS, "workflows", "promtool", "types", "browser")  # what only `make test` needs
CHECKOUT = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    """Run the parts asked for in their order; 0 when all is there, 1 after one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.setup", description=__doc__.splitlines()[0])
    parser.add_argument("--vllm", choices=("real", "double"), default="double", help="which vLLM emulated hosts run")
    parser.add_argument("--monitoring", choices=("on", "off"), default="on", help="whether Prometheus & co. are built")
    parser.add_argument("--tests", choices=("on", "off"), default="off", help="whether what only tests need is brought")
    parser.add_argument(
        "--parts", default=",".join(PARTS), help=f"of: %(default)s; on request: {', '.join((*OF_TESTS, *ON_REQUEST))}"
    )
    options = parser.parse_args(arguments)
    wanted = {*options.parts.split(","), *(OF_TESTS if options.tests == "on" else ())}
    wanted -= {"vllm"} if options.vllm == "double" else set()
    wanted -= {"monitoring", "promtool", "types", "browser"} if options.monitoring == "off" else set()
    if unknown := wanted - {*PARTS, *OF_TESTS, *ON_REQUEST}:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    try:
        set_up(paths.find(CHECKOUT, os.environ), wanted)
    except SetupError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up: interrupted; run it again to go on.", file=sys.stderr)
        return 130
    return 0


def set_up(where: paths.Paths, wanted: set[str]) -> None:
    """Do each wanted part under the cache's lock; every part returns at once if its work is done."""
    if sys.version_info[:2] < PYTHON:
        raise SetupError(f"Python {sys.version.split()[0]} is too old; this project needs 3.11 or later as python3.")
    environ = os.environ
    first: dict[str, Callable[[], None]] = {
        "packages": lambda: packages.install_packages(dict(environ)),
        "venv": lambda: environments.install_venv(where),
        CHECKS: lambda: environments.install_test_requirements(where),
        "model": lambda: make_model(where),
    }
    builds: dict[str, Callable[[], None]] = {
        "engine": lambda: engine.install_engine(where, environ),
        "monitoring": lambda: monitoring.install_monitoring(where, environ),
        "workflows": lambda: workflows.install_workflow_tools(where, environ),
        "promtool": lambda: monitoring.install_monitoring(where, environ, monitoring.OF_TESTS),
        "hcloud-plugin": lambda: official_hcloud_plugin.install_plugin(where, environ),
        "kubernetes-plugin": lambda: official_kubernetes_plugin.install_plugin(where, environ),
        "hetzner": lambda: install_hetzner(where, environ),
        "clients": lambda: environments.install_clients(where),
        "node": lambda: install_node(where, environ),
        "controller-image": lambda: install_controller_image(where, environ),
        "types": lambda: grafana.install_types(where, environ),
        "browser": lambda: packages.install_browser(dict(environ)),
    }
    with alone(where.cache):
        refuse_full_disk(where.cache, missing_bytes(where, wanted), "What is missing")
        bring(first, wanted)
        with ThreadPoolExecutor(1) as beside:
            # Downloads while the processors build: the two do not wait for each other's resource.
            vllm = beside.submit(environments.install_vllm, where) if "vllm" in wanted else None
            bring(builds, wanted)
            if vllm:
                vllm.result()


def install_node(where: paths.Paths, environ: Mapping[str, str]) -> None:
    """Bring the packages, the programs and the images of a Kubernetes node."""
    packages.install_node_packages(dict(environ))
    monitoring.install_monitoring(where, environ)  # its API server, and the programs of which images are made
    node.install_node(where, environ)
    images.make_images(where, environ)


def install_controller_image(where: paths.Paths, environ: Mapping[str, str]) -> None:
    """Bring the images of the controller's pods, and the parts that go into them."""
    packages.install_node_packages(dict(environ))  # the builder of images
    environments.install_venv(where)  # its PostgreSQL
    engine.install_engine(where, environ)
    controller_images.make_controller_images(where, environ)


def bring(parts: Mapping[str, Callable[[], None]], wanted: set[str]) -> None:
    """Do the wanted ones of some parts, in their order."""
    for name, install in parts.items():
        if name in wanted:
            install()


def missing_bytes(where: paths.Paths, wanted: set[str]) -> int:
    """Sum the bytes that the missing parts take on disk, with those needed only while set-up makes them."""
    # Asked only of wanted parts: a checkout without their files has none of the others.
    sizes: dict[str, tuple[Callable[[], bool], int]] = {
        "venv": (lambda: complete(where.venv), environments.VENV_BYTES),
        "vllm": (lambda: complete(where.vllm), environments.VLLM_BYTES),
        "engine": (
            lambda: where.engine_binary.is_file() or bool(engine.own_pulumi(where, os.environ)),
            engine.ENGINE_BYTES,
        ),
        "monitoring": (lambda: not golang.missing(where.monitoring_bin, monitoring.NAMES), monitoring.BYTES),
        "workflows": (lambda: not golang.missing(where.workflows_bin, tuple(workflows.PROGRAMS)), workflows.BYTES),
        "clients": (lambda: complete(where.clients), environments.CLIENTS_BYTES),
        "hcloud-plugin": (lambda: where.hcloud_plugin.is_file(), official_hcloud_plugin.BYTES),  # noqa: PLW0108 -- its path is found late
        "kubernetes-plugin": (lambda: where.kubernetes_plugin.is_file(), official_kubernetes_plugin.BYTES),  # noqa: PLW0108 -- as above
        "node": (lambda: not golang.missing(where.node_bin, node.NAMES), node.BYTES),
        "controller-image": (lambda: (where.controller_images / "complete").is_file(), controller_images.BYTES),  # noqa: PLW0108 -- as above
        "hetzner": (
            lambda: where.hetzner_image.is_dir() and where.etcdutl.is_file(),
            debian_image.BYTES + etcdutl.BYTES,
        ),
    }
    return sum(size for part, (is_there, size) in sizes.items() if part in wanted and not is_there())


def install_hetzner(where: paths.Paths, environ: Mapping[str, str]) -> None:
    """Bring what emulated servers of Hetzner need: their file system, and what their stand-in of k3s restores etcd with."""
    debian_image.install_image(where, environ)
    etcdutl.install_etcdutl(where, environ)


def make_model(where: paths.Paths) -> None:
    """Make the tiny model that the sandbox serves; the same bytes on every machine, so its manifest is committed."""
    folder = where.checkout / "models" / "tiny"
    manifest = folder.with_suffix(".json")
    if manifest.is_file() and whole(folder, json.loads(manifest.read_text())):
        return
    with step("the sandbox's tiny model"):
        run(
            [where.venv / "bin" / "python", "-m", "sandbox.model", folder],
            "Making the model",
            cwd=where.checkout,
        )


def whole(folder: Path, manifest: dict[str, Any]) -> bool:
    """Say whether every file of a manifest lies in the folder with its digest; meant for a model of some 100 KB."""
    return all(
        (folder / file["path"]).is_file()
        and hashlib.sha256((folder / file["path"]).read_bytes()).hexdigest() == file["sha256"]
        for file in manifest["files"]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
