"""Pulumi's `hcloud` plugin, bridged from Hetzner's own Terraform module on request, where releases cannot be downloaded.

Its module is published for no release of the bridge, and Hetzner's newest one is refused: the pinned 1.60.1 is older than the
SDK's 1.66.1, and lacks what a cluster of one node does not use. It takes about 5 minutes of a processor to build, so set-up
does not by itself: python3 -m tools.setup --parts hcloud-plugin

go.mod pins every version. go.sum in the checkout has the two sums that the checksum database lacks; it tells all others,
and Go verifies each module against them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from offline import golang
from offline.golang import Program
from tools.machine.paths import Paths
from tools.machine.steps import run, step

VERSION = "1.39.1"  # of the SDK in requirements.in, which asks for its own version
EMBEDDED = ("schema.json", "bridge-metadata.json")
BYTES = 4_000_000_000  # with the module and build caches of Go


def install_plugin(paths: Paths, environ: Mapping[str, str]) -> None:
    """Build it if it is missing: first without a schema, then with the files that it writes itself. Raises SetupError."""
    if paths.hcloud_plugin.is_file():
        return
    go = golang.find_go(paths, environ, "The hcloud plugin is to be built", "Pulumi's own release of it on PATH")
    with step("Pulumi's hcloud plugin from source (about 5 minutes)"), tempfile.TemporaryDirectory() as folder:
        module = Path(folder)
        for file in paths.hcloud_plugin_parts:
            shutil.copy(file, module)
        for name in EMBEDDED:
            (module / name).write_text("{}")
        sums = dict(environ) | golang.OWN
        run([go, "list", "-mod=mod", "-deps", "."], "Downloading the plugin's modules", sums, module)
        program, first = Program(".", ("main.version", VERSION)), module / "first"
        golang.build(go, module, program, first, environ)
        run(
            [first, "schema", "--out", "generated", "--skip-docs", "--skip-examples"],
            "Writing its schema and metadata",
            cwd=module,
        )
        for name in EMBEDDED:
            shutil.copyfile(module / "generated" / name, module / name)
        golang.build(go, module, program, paths.hcloud_plugin, environ)
