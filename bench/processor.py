"""Processor seconds of one `pulumi up` of one instance, from nothing, and of one that has nothing to do.

Counted are the engine, its language host, the program, the providers and everything that they start; the emulated cloud is
not. With a preview, as an operator runs it, and without one. A checkout's first command compiles the modules of program and
providers to bytecode, once for all later ones: a stack that is not counted runs first.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._cloud import running_cloud
from bench._figures import figure
from tests.doubles.pulumi_stack import Stack

TIME_SCALE = 60.0
GOAL_S = 2.5
COUNTER = Path(__file__).with_name("_processor.py")


def main() -> None:
    """Measure and print."""
    with running_cloud(TIME_SCALE) as cloud:
        with cloud.stack(replicas=1) as stack:
            stack.up()
        with cloud.stack(replicas=1) as stack:
            figure("processor of pulumi up, 1 instance from nothing", used(stack, "--skip-preview"), "s", GOAL_S)
            figure("processor of pulumi up, nothing to do", used(stack, "--skip-preview"), "s", GOAL_S)
        with cloud.stack(replicas=1) as stack:
            figure("processor of pulumi up with its preview, 1 instance from nothing", used(stack), "s", 2 * GOAL_S)


def used(stack: Stack, *words: str) -> float:
    """Return the processor seconds of one `pulumi up`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "seconds"
        up = ["pulumi", "--non-interactive", "--color", "never", "up", "--yes", "--stack", stack.name, *words]
        done = subprocess.run(
            [sys.executable, str(COUNTER), str(file), *up],
            cwd=stack.folder,
            env=stack.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=stack.deadline,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"the update failed:\n{done.stdout}{done.stderr}")
        return float(file.read_text())


if __name__ == "__main__":
    main()
