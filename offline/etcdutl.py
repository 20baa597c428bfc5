"""etcdutl, which restores etcd from a snapshot: the stand-in of k3s in emulated servers runs it."""

from __future__ import annotations

from collections.abc import Mapping

from offline import golang
from offline.golang import Program
from tools.machine.paths import Paths
from tools.machine.steps import step

BYTES = 1_000_000_000  # with the module and build caches of Go
PROGRAM = Program("go.etcd.io/etcd/etcdutl/v3")


def install_etcdutl(paths: Paths, environ: Mapping[str, str]) -> None:
    """Build it if it is missing. Raises SetupError."""
    if paths.etcdutl.is_file():
        return
    go = golang.find_go(paths, environ, "etcdutl is to be built", "nothing but Go")
    with step("etcdutl from source"):
        golang.build(go, paths.etcdutl_module, PROGRAM, paths.etcdutl, environ)
