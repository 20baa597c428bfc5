"""actionlint, which reads workflows as GitHub does, and act, which runs them without GitHub. Only the tests call them."""

from __future__ import annotations

from collections.abc import Mapping

from offline import golang
from offline.golang import Program
from tools.machine.paths import Paths
from tools.machine.steps import step

BYTES = 1_000_000_000  # with the module and build caches of Go
# By module, in the order in which they are built; go.mod pins each. act has its version from a file of its module.
PROGRAMS = {
    "actionlint": Program(
        "github.com/rhysd/actionlint/cmd/actionlint", ("github.com/rhysd/actionlint.version", "1.7.12")
    ),
    "act": Program("github.com/nektos/act"),
}


def install_workflow_tools(paths: Paths, environ: Mapping[str, str]) -> None:
    """Build those of the programs that are missing. Raises SetupError."""
    wanted = golang.missing(paths.workflows_bin, tuple(PROGRAMS))
    if not wanted:
        return
    go = golang.find_go(paths, environ, "The tests of workflows need actionlint and act", "nothing but Go")
    for name in wanted:
        with step(f"{name} from source, for the tests of workflows"):
            golang.build(go, paths.workflows_modules / name, PROGRAMS[name], paths.workflows_bin / name, environ)
