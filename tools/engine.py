"""The Pulumi engine: the operator's own where there is one, else built from the pinned Go module."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.paths import Paths
from tools.steps import SetupError, run, step

VERSION = (3, 259, 0)  # the SDK's in requirements.in
GO_VERSION = (1, 26)
ENGINE_BYTES = 3_300_000_000  # with the module and build caches of Go
COMMAND = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_FLAG = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"


def own_pulumi(paths: Paths, environ: Mapping[str, str]) -> Path | None:
    """Return the operator's `pulumi` on PATH; one that set-up built does not count, wherever PATH has it from."""
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        found = shutil.which("pulumi", path=folder) if folder else None
        if found and not Path(found).resolve().is_relative_to((paths.cache / "engine").resolve()):
            return Path(found)
    return None


def install_engine(paths: Paths, environ: Mapping[str, str]) -> None:
    """Check the operator's engine, or build one and lay our language host beside it."""
    own = own_pulumi(paths, environ)
    if own:
        refuse_old(own, run([own, "version"], "Asking Pulumi for its version"))
        return
    if not paths.engine_binary.is_file():
        go = find_go(environ)
        with step("Pulumi's engine from source, for want of `pulumi` on PATH (about 5 minutes)"):
            build(paths, go, environ)
    lay_beside(paths)


def refuse_old(pulumi: Path, said: str) -> None:
    """Raise SetupError for an engine older than the SDK; `said` is what `pulumi version` printed."""
    version = parse_version(said)
    if version is None or version < VERSION:
        wanted = ".".join(map(str, VERSION))
        raise SetupError(
            f"{pulumi} is Pulumi {said.strip() or 'of an unknown version'}, and gpu-fleet needs {wanted} or "
            "later: renew it, or take it off PATH to have set-up build one."
        )


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Read `v3.259.0` or `3.260.1-dev+x`; None where there is no such number.

    >>> parse_version("v3.259.0")
    (3, 259, 0)
    """
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def find_go(environ: Mapping[str, str]) -> Path:
    """Return a Go that can build the engine, from PATH or its usual place; SetupError otherwise."""
    wanted = ".".join(map(str, GO_VERSION))
    advice = "install Pulumi (https://www.pulumi.com/docs/install/), or Go " + wanted + " or later to have it built."
    found = shutil.which("go", path=environ.get("PATH")) or shutil.which("go", path="/usr/local/go/bin")
    if not found:
        raise SetupError(f"There is no `pulumi` on PATH and no Go to build it with: {advice}")
    said = run([found, "env", "GOVERSION"], "Asking Go for its version", dict(environ) | {"GOTOOLCHAIN": "local"})
    version = parse_version(said)
    if version is None or version[:2] < GO_VERSION:
        raise SetupError(f"There is no `pulumi` on PATH and {found} is {said.strip()}, too old to build it: {advice}")
    return Path(found)


def build(paths: Paths, go: Path, environ: Mapping[str, str]) -> None:
    """Build the engine under another name and rename it when it is whole."""
    target = paths.engine_binary
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob("pulumi.*"):  # of a set-up that was killed; this one holds the lock
        left.unlink()
    fresh = target.with_name(f"pulumi.{os.getpid()}")
    version = ".".join(map(str, VERSION))
    flags = ["-trimpath", "-mod=readonly", "-ldflags", f"-s -w -X {VERSION_FLAG}={version}"]
    env = dict(environ) | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    try:
        run([go, "build", *flags, "-o", fresh, COMMAND], "Building Pulumi", env, paths.engine_module)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def lay_beside(paths: Paths) -> None:
    """Fill the folder for PATH: engine, language host, launcher. Its name holds the digest of these, so checkouts
    never mix."""
    if paths.engine_bin.is_dir():
        return
    fresh = paths.engine_bin.with_name(f"{paths.engine_bin.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    os.link(paths.engine_binary, fresh / "pulumi")
    host, runner, launcher = paths.engine_parts
    shutil.copyfile(host, fresh / host.name)
    shutil.copyfile(runner, fresh / runner.name)
    shutil.copyfile(launcher, fresh / "pulumi-resource-pulumi-python")
    python, script = paths.venv / "bin" / "python", paths.engine_bin / host.name
    (fresh / "pulumi-language-python").write_text(
        f'#!/bin/sh\nexec {shlex.quote(str(python))} -P {shlex.quote(str(script))} "$@"\n'
    )
    for name in ("pulumi-resource-pulumi-python", "pulumi-language-python"):
        (fresh / name).chmod(0o755)
    fresh.rename(paths.engine_bin)


def version_of(pulumi: Path) -> str:
    """Return what `pulumi version` prints, for the closing line; empty where it does not run."""
    try:
        return subprocess.run([pulumi, "version"], capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
