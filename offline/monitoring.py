"""Prometheus, Alertmanager, vmagent and a Kubernetes API server, built from pinned Go modules into the cache.

The sandbox runs them, and vmagent travels in the kit to every host that reports. The tests use promtool, too. An own
installation is not looked for: what judges, ships and accepts must be the versions that were tested.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from offline import golang
from offline.golang import Program
from tools.machine.paths import Paths
from tools.machine.steps import run, step

BYTES = 6_000_000_000  # with the module and build caches of Go
COMMON = "github.com/prometheus/common/version.Version"
KUBERNETES = ("k8s.io/component-base/version.gitVersion", "v1.37.2")
PROMETHEUS = "github.com/prometheus/prometheus"
PLUGINS = "package plugins\n"
# By module: programs in the order in which they are built, the version that each module's go.mod pins.
PROGRAMS: dict[str, dict[str, Program]] = {
    "prometheus": {
        "prometheus": Program(f"{PROMETHEUS}/cmd/prometheus", (COMMON, "3.5.0"), ("grpcnotrace",)),
        "promtool": Program(f"{PROMETHEUS}/cmd/promtool", (COMMON, "3.5.0"), ("grpcnotrace",)),
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
OF_TESTS = ("promtool",)
NAMES = [name for programs in PROGRAMS.values() for name in programs if name not in OF_TESTS]


def install_monitoring(paths: Paths, environ: Mapping[str, str], names: Sequence[str] = NAMES) -> None:
    """Build those of the programs that are missing, each a step of its own. Raises SetupError."""
    wanted = golang.missing(paths.monitoring_bin, names)
    if not wanted:
        return
    go = golang.find_go(paths, environ, "Monitoring is to be built", "nothing and run with MONITORING=off")
    for module, programs in PROGRAMS.items():
        for name, program in programs.items():
            if name in wanted:
                with step(f"{name} from source, {wanted.index(name) + 1} of {len(wanted)}"):
                    build(go, paths.monitoring_modules / module, program, paths.monitoring_bin / name, environ)


def build(go: Path, module: Path, program: Program, target: Path, environ: Mapping[str, str]) -> None:
    """Build one program; Prometheus' own without discovery of targets in clouds."""
    if not program.command.startswith(PROMETHEUS):
        golang.build(go, module, program, target, environ)
        return
    with without_plugins(go, module, environ) as fewer:
        golang.build(go, fewer, program, target, environ)


@contextlib.contextmanager
def without_plugins(go: Path, module: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield a copy of Prometheus' module that discovers targets in files and by HTTP only; the sandbox names its targets.

    Prometheus has this file generated for each build. Three quarters of the code come in by the other plugins: without
    them the program has 37 MB instead of 112.
    """
    env = dict(environ) | golang.OWN
    found = run([go, "mod", "download", "-json", PROMETHEUS], "Downloading Prometheus' module", env, module)
    with tempfile.TemporaryDirectory() as folder:
        fewer = Path(folder)
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(module / name, fewer / name)
        copy = fewer / "prometheus"
        shutil.copytree(json.loads(found)["Dir"], copy, copy_function=shutil.copyfile)
        for part in (copy, *copy.rglob("*")):
            if part.is_dir():
                part.chmod(0o755)  # modules lie in the cache as read-only
        (copy / "plugins" / "plugins.go").write_text(PLUGINS)
        run([go, "mod", "edit", f"-replace={PROMETHEUS}=./prometheus"], "Replacing Prometheus' module", env, fewer)
        yield fewer
