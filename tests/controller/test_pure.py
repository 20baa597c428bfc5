"""The rules of `controller/` and its loop have no clock, no file, no process and no network: they import nothing that has."""

import ast
from pathlib import Path

ROOM = Path(__file__).resolve().parents[2] / "controller"
PURE = {
    *("collections", "config", "contextlib", "controller", "dataclasses", "difflib", "enum", "functools", "hashlib"),
    *("hmac", "math", "pydantic", "re", "typing"),
    *("bootstrap.gpu_names", "statistics"),
}
IO = {"controller.api", "controller.store", "controller.world"}
OUTSIDE = {"__main__", "empty_attributes", "pulumi_cli", "slot_lock", "slot_stack", "slot_state"}


def test_the_rules_and_the_loop_import_nothing_that_does_io() -> None:
    files = [file for file in sorted([*ROOM.glob("*.py"), *(ROOM / "loop").glob("*.py")]) if file.stem not in OUTSIDE]
    names = {
        name
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }

    assert len(files) > 15
    assert {name if name in PURE else name.partition(".")[0] for name in names} <= PURE
    assert not {name for name in names if name.startswith(tuple(IO))}
