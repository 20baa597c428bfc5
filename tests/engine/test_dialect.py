"""Config means the same to Pulumi and to whatever reads the stack's file itself."""

import json

import pytest

from config.dialect import read_yaml
from tests.doubles.pulumi_stack import REPO, Engine

pytestmark = pytest.mark.engine

WORDS = """
regions: [DE, NO, on, off, yes, y, n, ~, Null, True, FALSE]
numbers: [0777, 0o17, 0x1F, 0b11, 1_000, 1e3, 1.5e3, +12, 0.50, .5, -0, 12345678901234567890123, "0777"]
times: [2026-01-02, 2026-01-02T03:04:05Z, 12:30:45]
keys: {7: x, on: z, NO: q, true: r}
"""


def test_pulumi_reads_what_we_read(engine: Engine) -> None:
    stack = engine.stack(REPO)
    file = stack.folder / "Pulumi.test.yaml"
    indented = "".join(f"    {line}\n" for line in WORDS.strip().splitlines())
    file.write_text(f"{file.read_text() if file.exists() else ''}\nconfig:\n  gpu-fleet:limits:\n{indented}")
    paths = {"number": "123", "zeros": "007", "fraction": "0.50", "switch": "true", "word": "NO"}
    stack.config({f"gpu-fleet:budget.{key}": value for key, value in paths.items()})

    told = json.loads(stack.call("config", "--json", "--stack", stack.name).stdout)
    ours = read_yaml(file.read_text())["config"]

    for key in ("gpu-fleet:limits", "gpu-fleet:budget"):
        assert ours[key] == told[key]["objectValue"]
