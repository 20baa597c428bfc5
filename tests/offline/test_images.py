"""Images are built by buildah, which leaves nothing mounted behind."""

import os
from pathlib import Path

import pytest

from offline.images import Builder
from tools.machine.steps import SetupError

BUILDAH = """#!/bin/sh
echo "$*" >>{calls}
case "$*" in *" bud "*) exit {status};; esac
"""


@pytest.mark.parametrize("status", [0, 1])
def test_what_a_build_left_is_removed_whether_it_ended_well_or_not(tmp_path: Path, status: int) -> None:
    calls, program = tmp_path / "calls", tmp_path / "buildah"
    program.write_text(BUILDAH.format(calls=calls, status=status))
    program.chmod(0o755)
    builder = Builder(tmp_path / "store", {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"})

    if status:
        with pytest.raises(SetupError):
            builder.build(tmp_path, "FROM scratch", "registry.local/try:1")
    else:
        builder.build(tmp_path, "FROM scratch", "registry.local/try:1")

    build, removal = calls.read_text().splitlines()
    assert " bud " in build
    assert removal.endswith("rm --all")
