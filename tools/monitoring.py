"""Prometheus, promtool, Alertmanager and vmagent: built from their pinned Go modules into one folder of the cache.

The sandbox runs the first three, the tests use promtool, and vmagent travels in the kit to every host that reports. An own
installation is not looked for: what judges and what ships must be the versions that were tested.
"""

from __future__ import annotations

from collections.abc import Mapping

from tools import golang
from tools.golang import Program
from tools.paths import Paths
from tools.steps import step

BYTES = 4_500_000_000  # with the module and build caches of Go
COMMON = "github.com/prometheus/common/version.Version"
# By module: programs in the order in which they are built, the version that each module's go.mod pins.
PROGRAMS: dict[str, dict[str, Program]] = {
    "prometheus": {
        "prometheus": Program("github.com/prometheus/prometheus/cmd/prometheus", (COMMON, "3.5.0")),
        "promtool": Program("github.com/prometheus/prometheus/cmd/promtool", (COMMON, "3.5.0")),
    },
    "alertmanager": {
        "alertmanager": Program("github.com/prometheus/alertmanager/cmd/alertmanager", (COMMON, "0.28.1")),
    },
    "victoriametrics": {
        "vmagent": Program(
            "github.com/VictoriaMetrics/VictoriaMetrics/app/vmagent",
            ("github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version", "vmagent-1.131.0"),
        ),
    },
}
NAMES = [name for programs in PROGRAMS.values() for name in programs]


def install_monitoring(paths: Paths, environ: Mapping[str, str]) -> None:
    """Build what is missing. Raises SetupError."""
    wanted = golang.missing(paths.monitoring_bin, NAMES)
    if not wanted:
        return
    go = golang.find_go(environ, "Monitoring is to be built", "nothing and run with MONITORING=off")
    with step(f"{', '.join(wanted)} from source (about 5 minutes)"):
        for module, programs in PROGRAMS.items():
            for name, program in programs.items():
                if name in wanted:
                    folder = paths.monitoring_modules / module
                    golang.build(go, folder, program, paths.monitoring_bin / name, environ)
