"""The file system of Hetzner's emulated servers: Debian 12 with cloud-init, made by mmdebstrap on request."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tools import packages
from tools.machine.paths import Paths
from tools.machine.steps import SetupError, run, step

SUITE = "bookworm"
BYTES = 1_500_000_000  # while it is made
# Files that an image of Debian's own has no use for: lists that go stale, and keys that each server makes for itself.
LEFT_OUT = ("etc/ssh/ssh_host_*", "var/lib/apt/lists/*_*", "var/cache/apt/archives/*.deb")


def install_image(paths: Paths, environ: Mapping[str, str]) -> None:
    """Make it if it is missing. Raises SetupError; only root can, and only root can run such servers."""
    if paths.hetzner_image.is_dir():
        return
    if os.geteuid() != 0:
        raise SetupError("Hetzner's emulated servers need root, on this machine and for making their file system.")
    if shutil.which("mmdebstrap", path=packages.SYSTEM_PATH) is None:
        packages.install(["mmdebstrap"], dict(environ), "it makes the file system of emulated servers")
    fresh = paths.hetzner_image.with_name(f"{paths.hetzner_image.name}.{os.getpid()}")
    for left in paths.hetzner_image.parent.glob(f"{paths.hetzner_image.name}.*"):  # of a set-up that was killed
        shutil.rmtree(left)
    fresh.parent.mkdir(parents=True, exist_ok=True)
    wanted = ",".join(paths.hetzner_packages.read_text().split())
    with step("Debian 12 with cloud-init, for Hetzner's emulated servers (1 to 9 minutes)"):
        try:
            command: list[str | Path] = [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                f"--include={wanted}",
                SUITE,
                fresh,
            ]
            run(command, "Making the file system", dict(environ) | {"PATH": packages.SYSTEM_PATH})
            for file in (found for pattern in LEFT_OUT for found in fresh.glob(pattern)):
                file.unlink()
            (fresh / "etc" / "apt" / "sources.list").write_text("")  # a server reaches no mirror
            fresh.rename(paths.hetzner_image)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
