"""Grafana's own types of a dashboard and the compiler that checks them, for the tests; from npm, if that is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from tools.machine.paths import Paths
from tools.machine.steps import run, step


def install_types(paths: Paths, environ: Mapping[str, str]) -> None:
    """Install what the lock pins. Raises SetupError; without npm nothing is done, and the test that needs it says so."""
    npm = shutil.which("npm", path=environ.get("PATH"))
    if paths.grafana_types.is_dir() or not npm:
        return
    fresh = paths.grafana_types.with_name(f"{paths.grafana_types.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for file in paths.grafana_locks:
        shutil.copy(file, fresh)
    with step("Grafana's types of dashboards"):
        run([npm, "ci", "--silent", "--no-audit", "--no-fund"], "Installing Grafana's types", dict(environ), fresh)
        fresh.rename(paths.grafana_types)
