"""Pulumi's own `kubernetes` plugin, built from its Go module on request: it then takes the stand-in's place.

Its module is published for a commit and no release, and it takes 12 minutes of two processors to build, so set-up does not
by itself: python3 -m tools.setup --parts kubernetes-plugin
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from offline import golang
from offline.golang import Program
from tools.machine.paths import Paths
from tools.machine.steps import run, step

MODULE = "github.com/pulumi/pulumi-kubernetes/provider/v4"
VERSION = "4.25.0-dev.20260115"  # the commit lies between 4.24 and 4.25; hosts of plugins want a number
SCHEMA = "cmd/pulumi-resource-kubernetes/schema.json"
BYTES = 6_000_000_000  # with the module and build caches of Go


def install_plugin(paths: Paths, environ: Mapping[str, str]) -> None:
    """Build it if it is missing. Raises SetupError."""
    if paths.kubernetes_plugin.is_file():
        return
    go = golang.find_go(paths, environ, "The kubernetes plugin is to be built", "Pulumi's own release of it on PATH")
    with step("Pulumi's kubernetes plugin from source (about 12 minutes)"), tempfile.TemporaryDirectory() as folder:
        module = Path(folder)
        for file in paths.kubernetes_plugin_parts:
            shutil.copy(file, module)
        found = run(
            [go, "mod", "download", "-json", MODULE],
            "Downloading the plugin's module",
            dict(environ) | golang.OWN,
            module,
        )
        shutil.copyfile(Path(json.loads(found)["Dir"]) / SCHEMA, module / "schema.json")
        program = Program(".", ("main.version", VERSION))
        golang.build(go, module, program, paths.kubernetes_plugin, environ)
