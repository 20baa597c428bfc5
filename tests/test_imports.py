# Long because the rules of all rooms and of all outside libraries stand in one place.
"""Imports go one way and in no circle, each outside library has its place, and files stay short."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.import_graph import circles, module_graph, modules_of, room_graph

REPO = Path(__file__).resolve().parents[1]
ROOMS = (
    "bench", "bootstrap", "cli", "components", "config", "controller", "monitoring", "offline", "providers", "review",
    "sandbox", "tests", "tools", "weights",
)  # fmt: skip

# What a room may import of the others.
MAY_IMPORT = {
    "weights": {"weights"},
    "config": {"config"},
    "bootstrap": {"bootstrap", "config", "weights"},
    "providers": {"providers", "bootstrap", "config", "weights"},
    "components": {"components", "providers", "bootstrap", "monitoring", "config", "weights"},
    "controller": {"controller", "providers", "bootstrap", "config", "weights"},
    "review": {"review", "components", "providers", "bootstrap", "config", "weights"},
    "monitoring": {"monitoring", "providers", "bootstrap", "config", "weights"},
    "cli": {
        "cli",
        "components",
        "controller",
        "providers",
        "bootstrap",
        "monitoring",
        "offline",
        "review",
        "sandbox",
        "tools",
        "config",
        "weights",
    },
    "offline": {
        "offline",
        "monitoring",
        "providers.kubeconfig",
        "tools.machine",
        "tools.machine.paths",
        "tools.machine.steps",
    },
    # Only what runs in the environment of the project; set-up itself has no library.
    "tools": {"tools", "bootstrap", "config", "offline", "weights"},
    "sandbox": {"sandbox", "bootstrap", "monitoring", "weights"},
    "__main__": {"components", "providers", "bootstrap", "monitoring", "config", "weights"},
}

# Older names of commands, as schedules call them. Each runs `cli` by its name, without an import, and does nothing else.
ALIASES = (
    "providers/store/manifest.py",
    "providers/vast/__main__.py",
)
ALIAS_LINES = 8

# Where an outside library may be imported, as prefixes of paths or, with a star, patterns.
LIBRARY_PLACES = {
    "pulumi": (
        "__main__.py",
        "components/*",
        "providers/*/resource.py",
        "offline/*",
        "tests/*",
        "bench/*",
    ),
    "httpx": (
        "monitoring/prometheus.py",
        "monitoring/receiver/app.py",
        "providers/kubeconfig.py",
        "monitoring/kubernetes/marks.py",
        "providers/vast/api/client.py",
        "providers/vast/api/log_file.py",
        "providers/cluster/hetzner_api.py",
        "review/forge/http.py",
        "bootstrap/lease.py",
        "bootstrap/probe.py",
        "cli/ask.py",
        "review/standing_file.py",
        "offline/*",
        "sandbox/*",
        "tests/*",
        "bench/*",
    ),
    "genai_prices": ("config/api_prices.py",),
    "psycopg": ("controller/store/*", "tests/*", "bench/*"),
    "fastapi": ("controller/api/*", "tests/*"),
    "paramiko": ("bootstrap/connect.py", "bootstrap/ssh_host.py", "tests/*", "bench/*"),
    "boto3": (
        "providers/ledger/*",
        "providers/vast/renting/bucket_marks.py",
        "bootstrap/artifacts.py",
        "providers/store/*",
        "sandbox/*",
        "tests/*",
        "bench/*",
    ),
}
# What belongs to a library stands under the same rule.
SAME_AS = {
    "botocore": "boto3",
    "pulumi_kubernetes": "pulumi",
    "pulumi_hcloud": "pulumi",
    "psycopg_pool": "psycopg",
    "sse_starlette": "fastapi",
}

# Modules directly in these folders count as rooms of their own: they stand above or below the packages beside them.
SINGLE = ("", "controller", "providers", "providers/vast", "review", "sandbox")

LONGEST, CLOCK = 300, "bootstrap/clock.py"
ON_HOST = ("bootstrap/scripts/", "providers/cluster/server_files/")  # they run alone on a machine of ours


def python_files() -> list[Path]:
    """Every Python file that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.py"],
        cwd=REPO,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(REPO / name for name in set(listed.split("\0")) if name and (REPO / name).is_file())


@functools.cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


@functools.cache
def imported(module: ast.Module) -> set[tuple[str, int]]:
    """Return (dotted name, line) of every absolute import, also of those inside functions."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {(alias.name, node.lineno) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add((node.module, node.lineno))
    return found


def relative(file: Path) -> str:
    return file.relative_to(REPO).as_posix()


def wrong_room(path: str, name: str) -> bool:
    """Say whether a file of that path may not import that name."""
    target = name.partition(".")[0]
    if target not in ROOMS:
        return False
    room = "__main__" if path == "__main__.py" else path.partition("/")[0]
    if room in ("tests", "bench"):
        return False
    return not {target, name} & MAY_IMPORT.get(room, set())


def wrong_place(path: str, name: str) -> bool:
    """Say whether a file of that path may not import that outside library."""
    top = name.partition(".")[0]
    places = LIBRARY_PLACES.get(SAME_AS.get(top, top))
    return places is not None and not any(Path(path).match(p) or fits(path, p) for p in places)


def fits(path: str, place: str) -> bool:
    """Say whether a path lies in a place that ends with /*, at any depth, and has no other star."""
    folder = place.removesuffix("*")
    return place.endswith("/*") and "*" not in folder and path.startswith(folder)


def test_the_rules_know_right_from_wrong():
    assert wrong_room("bootstrap/converge.py", "providers.vast.api.client")
    assert wrong_room("providers/vast/create.py", "sandbox.market")
    assert wrong_room("components/fleet.py", "tests.doubles")
    assert wrong_room("monitoring/exporter.py", "components.fleet")
    assert wrong_room("monitoring/exporter/collector.py", "cli.context")
    assert wrong_room("monitoring/receiver/__main__.py", "components.fleet")
    assert wrong_room("config/fleets.py", "bootstrap.spec")
    assert wrong_room("controller/plan.py", "monitoring.prometheus")
    assert wrong_room("providers/vast/create.py", "controller.slots")
    assert not wrong_room("cli/sandbox_stack.py", "sandbox.control")
    assert not wrong_room("providers/vast/create.py", "bootstrap.converge")
    assert wrong_room("providers/vast/__main__.py", "cli.main")
    assert wrong_place("providers/vast/renting/rent.py", "pulumi.dynamic")
    assert wrong_place("providers/vast/renting/rent.py", "pulumi_kubernetes")
    assert wrong_place("providers/vast/renting/rent.py", "httpx")
    assert not wrong_place("providers/vast/resource.py", "pulumi")
    assert not wrong_place("offline/language_host/run_program.py", "pulumi")
    assert not wrong_place("components/deep/er.py", "pulumi")


def test_imports_go_one_way():
    wrong = [
        f"{relative(file)}:{line} imports {name}"
        for file in python_files()
        for name, line in imported(tree(file))
        if wrong_room(relative(file), name)
    ]
    assert wrong == []


def project_imports() -> Mapping[str, set[str]]:
    """Return module -> imported modules of the project, also those for types alone."""
    return module_graph({path: tree(REPO / path) for path in map(relative, python_files())})


def test_no_circle_between_modules():
    assert circles(project_imports()) == []


def test_no_circle_between_rooms():
    rooms = room_graph(project_imports(), modules_of(map(relative, python_files())), SINGLE)
    assert circles(rooms) == []


def test_the_root_of_the_providers_imports_none_of_the_packages_in_it():
    packages = tuple(f"providers.{name}" for name in ("cluster", "identity", "ledger", "rentals", "store", "vast"))
    root = [file for file in python_files() if file.parent == REPO / "providers"]
    names = {(relative(file), name) for file in root for name, _line in imported(tree(file))}
    assert {(path, name) for path, name in names if name.startswith(packages)} == set()


def runs_by_name(module: ast.Module) -> bool:
    """Say whether a file runs a module by its name, which no import shows."""
    return any(isinstance(node, ast.Attribute) and node.attr in ("run_module", "run_path") for node in ast.walk(module))


def test_only_aliases_run_a_module_by_its_name():
    rooms = ("providers/", "bootstrap/", "components/", "config/", "monitoring/", "weights/")
    paths = [path for path in map(relative, python_files()) if path.startswith(rooms)]
    assert {path for path in paths if runs_by_name(tree(REPO / path))} == set(ALIASES)


def test_aliases_do_nothing_themselves():
    assert [path for path in ALIASES if len((REPO / path).read_text().splitlines()) > ALIAS_LINES] == []


def test_outside_libraries_stay_in_their_place():
    wrong = [
        f"{relative(file)}:{line} imports {name}"
        for file in python_files()
        for name, line in imported(tree(file))
        if wrong_place(relative(file), name)
    ]
    assert wrong == []


def test_only_the_clock_sleeps():
    wrong = []
    for file in python_files():
        path = relative(file)
        if not path.startswith(("bootstrap/", "providers/")) or path == CLOCK or path.startswith(ON_HOST):
            continue
        for node in ast.walk(tree(file)):
            attribute = node if isinstance(node, ast.Attribute) and node.attr == "sleep" else None
            if attribute and isinstance(attribute.value, ast.Name) and attribute.value.id in ("time", "asyncio"):
                wrong.append(f"{path}:{attribute.lineno} sleeps by itself")
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                wrong += [f"{path}:{node.lineno} imports sleep" for a in node.names if a.name == "sleep"]
    assert wrong == []


def test_files_stay_short_or_say_why():
    long = []
    for file in python_files():
        lines = file.read_text().splitlines()
        if len(lines) > LONGEST and not lines[0].startswith("# Long because "):
            long.append(f"{relative(file)} has {len(lines)} lines")
    assert long == []


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in ("tests", "bench")])
def test_nothing_reads_config_or_the_environment_at_import(room):
    """Nothing at a module's top level opens a file, looks into the environment or reads stack config."""
    wrong = []
    for file in python_files():
        path = relative(file)
        if not path.startswith(f"{room}/") or path.endswith("__main__.py"):
            continue
        for statement in tree(file).body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.If):
                continue
            wrong += [
                f"{path}:{node.lineno} {ast.unparse(node)}"
                for node in ast.walk(statement)
                if isinstance(node, ast.expr) and reads_outside(node)
            ]
    assert wrong == []


def reads_outside(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ":
        return True
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func)
    return called in ("open", "os.getenv", "pulumi.Config", "Config") or called.endswith((".read_text", ".read_bytes"))
