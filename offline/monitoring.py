"""Prometheus, Alertmanager, vmagent and a Kubernetes API server, built from pinned Go modules into the cache.

The sandbox runs them, the tests use promtool, and vmagent travels in the kit to every host that reports. An own installation
is not looked for: what judges, ships and accepts must be the versions that were tested.
"""

from __future__ import annotations

from collections.abc import Mapping

from offline import golang
from offline.golang import Program
from tools.paths import Paths
from tools.steps import step

BYTES = 8_000_000_000  # with the module and build caches of Go
COMMON = "github.com/prometheus/common/version.Version"
KUBERNETES = ("k8s.io/component-base/version.gitVersion", "v1.37.2")
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
    "kubernetes": {
        "kube-apiserver": Program("k8s.io/kubernetes/cmd/kube-apiserver", KUBERNETES),
        "kube-controller-manager": Program("k8s.io/kubernetes/cmd/kube-controller-manager", KUBERNETES),
        "etcd": Program("go.etcd.io/etcd/server/v3", ("go.etcd.io/etcd/api/v3/version.GitSHA", "sandbox")),
    },
}
NAMES = [name for programs in PROGRAMS.values() for name in programs]


def install_monitoring(paths: Paths, environ: Mapping[str, str]) -> None:
    """Build what is missing. Raises SetupError."""
    wanted = golang.missing(paths.monitoring_bin, NAMES)
    if not wanted:
        return
    go = golang.find_go(paths, environ, "Monitoring is to be built", "nothing and run with MONITORING=off")
    with step(f"{', '.join(wanted)} from source (about 12 minutes)"):
        for module, programs in PROGRAMS.items():
            for name, program in programs.items():
                if name in wanted:
                    folder = paths.monitoring_modules / module
                    golang.build(go, folder, program, paths.monitoring_bin / name, environ)
