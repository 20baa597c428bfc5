"""The environment in which Pulumi runs this program: printed for a shell, or given to one command.

    eval "$(make -s env)"                    in a shell, for the sandbox's stack
    eval "$(make -s env STACK=dev)"          in a shell, for a real stack
    python3 -m tools.env -- pulumi stack     one command
    python3 -m tools.env --without-engine -- pytest     one that needs no engine

Variables that are set already win, so that Pulumi uses an operator's own backend, passphrase and engine. A real stack gets
nothing of the sandbox: no backend, no passphrase, no stand-in for a plugin. It loses the variables that the sandbox's
environment left in a shell.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from offline import engine
from tools.machine import paths
from tools.machine.steps import complete

CHECKOUT = Path(__file__).resolve().parent.parent
SANDBOX_STACK = "local"
SANDBOX_PASSPHRASE = "sandbox"  # public by design: the sandbox stack's secrets open nothing outside this machine

PARALLEL = "64"  # waiting takes no processor, and an instance that comes online mostly waits

SANDBOX_API = "http://127.0.0.1:18809"  # where the sandbox's controller answers
SANDBOX_CLIENT = "local"  # of the sandbox's stack
API = ("GPU_FLEET_API_URL", "GPU_FLEET_API_KEY")

OWN = ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


def environment(where: paths.Paths, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to set for the sandbox's stack, in the order in which they are printed."""
    own = engine.own_pulumi(where, environ)
    wanted = _common(where, environ, [] if own else [where.engine_bin, where.stand_ins], [where.node_bin])
    if not environ.get("PULUMI_BACKEND_URL"):
        wanted["PULUMI_BACKEND_URL"] = where.backend_url
    if not environ.get("PULUMI_CONFIG_PASSPHRASE") and not environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        wanted["PULUMI_CONFIG_PASSPHRASE"] = SANDBOX_PASSPHRASE
    if not own:
        wanted["PULUMI_HOME"] = environ.get("PULUMI_HOME") or str(where.pulumi_home)
        wanted["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    return wanted


def real_environment(where: paths.Paths, environ: Mapping[str, str]) -> dict[str, str | None]:
    """Return the variables to set for a stack that rents on a real market; None: the variable is taken out."""
    own = engine.own_pulumi(where, environ)
    built = (where.cache / "engine", where.cache / "node")
    parts = environ.get("PATH", os.defpath).split(os.pathsep)
    bare = os.pathsep.join(part for part in parts if not any(Path(part).is_relative_to(one) for one in built))
    # An engine that set-up built has no language host of its own; plugins it downloads, as any other.
    wanted: dict[str, str | None] = {}
    wanted.update(_common(where, {**environ, "PATH": bare}, [] if own else [where.engine_bin]))
    left = {"PULUMI_BACKEND_URL": where.backend_url, "PULUMI_CONFIG_PASSPHRASE": SANDBOX_PASSPHRASE}
    wanted.update({name: None for name, value in left.items() if environ.get(name) == value})
    if environ.get(API[0]) == SANDBOX_API:
        wanted.update(dict.fromkeys(API))
    if environ.get("PULUMI_HOME") == str(where.pulumi_home):
        wanted.update({"PULUMI_HOME": None, "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": None})
    return wanted


def _common(
    where: paths.Paths, environ: Mapping[str, str], engine_folders: list[Path], node_folders: Sequence[Path] = ()
) -> dict[str, str]:
    # Monitoring's folder may come later: a sandbox that runs by then finds the programs there.
    front = [where.checkout / ".venv" / "bin", *engine_folders, where.monitoring_bin, *node_folders]
    behind = [part for part in environ.get("PATH", os.defpath).split(os.pathsep) if Path(part) not in front]
    return {
        "PATH": os.pathsep.join([*map(str, front), *behind]),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # This project uses no plugin of pydantic, which reads each installed package's metadata to look for some.
        "PYDANTIC_DISABLE_PLUGINS": "__all__",
        # By default four times the processors of this machine: 16 instances on a small one come online in two halves.
        "PULUMI_PARALLEL": environ.get("PULUMI_PARALLEL") or PARALLEL,
        # Refresh and destroy then run the program too and take the account's keys from config, not old state.
        "PULUMI_RUN_PROGRAM": "true",
    }


def sandbox_environment(where: paths.Paths, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment for the sandbox's stack, whatever backend and passphrase the operator has set.

    The sandbox's state has no business in a real backend, and its committed salt opens with its passphrase only.
    """
    bare = {name: value for name, value in environ.items() if name not in OWN}
    return bare | environment(where, bare)


def controller(where: paths.Paths, environ: Mapping[str, str]) -> dict[str, str]:
    """Return address and key of the sandbox's controller; empty if no sandbox runs, or if its stack has no such client."""
    if not where.control_socket.exists():
        return {}
    command = ["-m", "cli", "key", SANDBOX_CLIENT, "--stack", SANDBOX_STACK, "--json"]
    done = subprocess.run(
        [where.venv / "bin" / "python", *command],
        cwd=where.checkout,
        env=sandbox_environment(where, environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {}
    found = json.loads(done.stdout)
    return dict(zip(API, (found["url"], found["key"]), strict=True)) if found["url"] else {}


def exports(variables: Mapping[str, str | None]) -> str:
    """Write the variables as lines for a POSIX shell; None takes a variable out."""
    return "".join(
        f"unset {name}\n" if value is None else f"export {name}={shlex.quote(value)}\n"
        for name, value in variables.items()
    )


def main(arguments: list[str]) -> int:
    """Print the exports, or become the command after `--`; 1 and a sentence where set-up has not run.

    `--stack NAME` says for which stack: `local` is the sandbox's and gets its backend and passphrase, any other is real.
    """
    where = paths.find(CHECKOUT, os.environ)
    split = arguments.index("--") if "--" in arguments[:-1] else len(arguments)
    options, command = arguments[:split], arguments[split + 1 :]
    engine_there = engine.own_pulumi(where, os.environ) or where.engine_bin.is_dir()
    if not complete(where.venv) or not (engine_there or "--without-engine" in options):
        print("Set-up has not run for this checkout: run `make setup` first.", file=sys.stderr)
        return 1
    where.backend.mkdir(parents=True, exist_ok=True, mode=0o700)
    stack = options[options.index("--stack") + 1] if "--stack" in options[:-1] else ""
    real = real_environment(where, os.environ) if stack not in ("", SANDBOX_STACK) else None
    if not command:
        print(exports(real or {**environment(where, os.environ), **controller(where, os.environ)}), end="")
        return 0
    if real is not None:
        enter({name: value for name, value in {**os.environ, **real}.items() if value is not None})
    elif stack:
        enter(sandbox_environment(where, os.environ))
    else:
        enter(dict(os.environ) | environment(where, os.environ))
    return become(command)


def enter(environ: Mapping[str, str]) -> None:
    """Make this process's environment exactly that one."""
    os.environ.clear()
    os.environ.update(environ)


def become(command: list[str]) -> NoReturn:
    """Replace this process by the command, so that its signals and its exit status are the command's own."""
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
