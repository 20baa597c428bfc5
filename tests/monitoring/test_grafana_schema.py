"""Grafana's own types accept the dashboards: checked by the TypeScript compiler against the release that the cluster runs."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from monitoring.dashboards.boards import BOARDS
from monitoring.dashboards.grafana import document
from monitoring.kubernetes.images import IMAGES
from tools.machine import paths

REPO = Path(__file__).resolve().parents[2]
# Enums of TypeScript are wider than the texts that stand for them in JSON.
TYPES = """
import type { Dashboard } from "@grafana/schema";
type Json<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Json<T[K]> } : T;
"""
OPTIONS = ["--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "bundler", "--module", "esnext"]

pytestmark = pytest.mark.monitoring


@pytest.fixture(scope="module")
def types() -> Path:
    where = paths.find(REPO, os.environ)
    if not where.grafana_types.is_dir():
        pytest.skip("no Grafana types here: `make setup` brings them where there is npm")
    return where.grafana_types


def without_what_the_types_leave_to_others(made: Any) -> Any:
    """Leave out the data source's own query of an annotation, and what the builder adds that only interval variables have."""
    for annotation in made["annotations"]["list"]:
        del annotation["expr"]
    for variable in made["templating"]["list"]:
        for key in [key for key in variable if key.startswith("auto")]:
            del variable[key]
    return made


def complaints(types: Path, folder: Path, boards: list[Any]) -> list[str]:
    lines = [
        f"export const board_{number}: Json<Dashboard> = {json.dumps(made)};" for number, made in enumerate(boards)
    ]
    (folder / "check.ts").write_text("\n".join([TYPES, *lines]))
    (folder / "node_modules").symlink_to(types / "node_modules")
    compiler = types / "node_modules" / ".bin" / "tsc"
    done = subprocess.run([compiler, *OPTIONS, "check.ts"], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def test_every_dashboard_is_one_in_grafanas_eyes(types: Path, tmp_path: Path) -> None:
    boards = [without_what_the_types_leave_to_others(json.loads(document(board))) for board in BOARDS]

    assert complaints(types, tmp_path, boards) == []


def test_what_is_none_is_told(types: Path, tmp_path: Path) -> None:
    made = without_what_the_types_leave_to_others(json.loads(document(BOARDS[0])))

    [told] = complaints(types, tmp_path, [made | {"refresh": 30}])

    assert "Type 'number' is not assignable to type 'string'" in told


def test_the_types_are_those_of_the_grafana_that_runs() -> None:
    lock = json.loads((REPO / "tests/monitoring/grafana_schema/package-lock.json").read_text())

    assert IMAGES["grafana"] == f"grafana/grafana:{lock['packages']['node_modules/@grafana/schema']['version']}"
