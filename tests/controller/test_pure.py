"""The rules of `controller/` have no clock, no file, no process and no network: they import nothing that has."""

import ast
from pathlib import Path

ROOM = Path(__file__).resolve().parents[2] / "controller"
# What does I/O comes beside the rules, and is left out here by its name then.
PURE = {
    *(
        "collections",
        "config",
        "controller",
        "dataclasses",
        "difflib",
        "enum",
        "hashlib",
        "hmac",
        "math",
        "pydantic",
        "re",
    ),
    *("bootstrap.gpu_names", "statistics"),
}
IO = {"controller.api", "controller.store"}


def test_the_rules_import_nothing_that_does_io() -> None:
    files = sorted(ROOM.glob("*.py"))
    names = {
        name
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }

    assert len(files) > 10
    assert {name if name in PURE else name.partition(".")[0] for name in names} <= PURE
    assert not {name for name in names if name.startswith(tuple(IO))}
