"""Find or build the Pulumi engine: the operator's own if there is one, else from the pinned Go module."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from offline import golang
from offline.golang import Program, parse_version
from tools.machine.paths import Paths
from tools.machine.steps import SetupError, run, step

VERSION = (3, 259, 0)  # the SDK's in requirements.in
ENGINE_BYTES = 3_300_000_000  # with the module and build caches of Go
COMMAND = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_FLAG = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"


def own_pulumi(paths: Paths, environ: Mapping[str, str]) -> Path | None:
    """Return the operator's `pulumi` on PATH; one that set-up built does not count, wherever PATH has it from."""
    return golang.on_path("pulumi", environ, paths.cache / "engine")


def install_engine(paths: Paths, environ: Mapping[str, str]) -> None:
    """Check the operator's engine, or build one and lay our language host beside it."""
    own = own_pulumi(paths, environ)
    if own:
        refuse_old(own, run([own, "version"], "Asking Pulumi for its version"))
        return
    if not paths.engine_binary.is_file():
        go = golang.find_go(
            paths, environ, "There is no `pulumi` on PATH", "Pulumi (https://www.pulumi.com/docs/install/)"
        )
        program = Program(COMMAND, (VERSION_FLAG, ".".join(map(str, VERSION))))
        with step("Pulumi's engine from source, for want of `pulumi` on PATH (about 5 minutes)"):
            golang.build(go, paths.engine_module, program, paths.engine_binary, environ)
    lay_beside(paths)


def refuse_old(pulumi: Path, answer: str) -> None:
    """Raise SetupError for an engine older than the SDK; `said` is what `pulumi version` printed."""
    version = parse_version(answer)
    if version is None or version < VERSION:
        wanted = ".".join(map(str, VERSION))
        raise SetupError(
            f"{pulumi} is Pulumi {answer.strip() or 'of an unknown version'}, and gpu-fleet needs {wanted} or "
            "later: renew it, or take it off PATH to have set-up build one."
        )


def lay_beside(paths: Paths) -> None:
    """Fill the folder for PATH: engine, language host, launcher, plugins. Its name holds the digest of these, so
    checkouts never mix."""
    if paths.engine_bin.is_dir():
        return
    fresh = paths.engine_bin.with_name(f"{paths.engine_bin.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    os.link(paths.engine_binary, fresh / "pulumi")
    host, runner, watcher, launcher = paths.engine_parts
    for file in (host, runner, watcher):
        shutil.copyfile(file, fresh / file.name)
    shutil.copyfile(launcher, fresh / "pulumi-resource-pulumi-python")
    python, script = paths.venv / "bin" / "python", paths.engine_bin / host.name
    watched = f"{shlex.quote(str(python))} -P {shlex.quote(str(paths.engine_bin / watcher.name))}"
    (fresh / "pulumi-language-python").write_text(f'#!/bin/sh\nexec {watched} {shlex.quote(str(script))} "$@"\n')
    for file in paths.plugins:
        place = fresh / "plugins" / file.relative_to(paths.checkout)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    official = shlex.quote(str(paths.kubernetes_plugin))
    stand_in = fresh / paths.stand_ins.name / "pulumi-resource-kubernetes"
    stand_in.parent.mkdir()
    stand_in.write_text(
        f'#!/bin/sh\n[ ! -x {official} ] || exec {official} "$@"\n'
        f"PYTHONPATH={shlex.quote(str(paths.engine_bin / 'plugins'))} "
        f'exec {watched} -m offline.kubernetes_plugin "$@"\n'
    )
    for file in (fresh / "pulumi-resource-pulumi-python", fresh / "pulumi-language-python", stand_in):
        file.chmod(0o755)
    fresh.rename(paths.engine_bin)


def version_of(pulumi: Path) -> str:
    """Return the output of `pulumi version`, for the closing line; empty if it does not run."""
    try:
        return subprocess.run([pulumi, "version"], capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
