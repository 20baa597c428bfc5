"""The files that the kit brings to a host for its metrics: all of them exist, and together they import."""

import subprocess
import sys
from pathlib import Path

from components.metrics_kit import libraries


def test_the_agent_imports_from_the_files_of_the_kit_alone(tmp_path: Path) -> None:
    for name, source in libraries().items():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())

    done = subprocess.run(
        [sys.executable, "-S", "-c", "import monitoring.agent.__main__"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
