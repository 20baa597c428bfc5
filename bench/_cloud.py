"""What the figures of whole stacks share: a sandbox in this process, the real engine beside it, and nothing left after."""

import contextlib
import itertools
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.daemon import Sandbox
from sandbox.settings import Settings, Vllm, folders
from tests.doubles.pulumi_stack import REPO, Engine, Stack, environment, path_with_engine, sandbox_config

LONGEST_CALL_S = 900  # 32 instances at the market's real pace


@dataclass
class Cloud:
    """A running sandbox, and an engine whose stacks rent in it."""

    sandbox: Sandbox
    engine: Engine
    time_scale: float
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextlib.contextmanager
    def stack(self, **fleet: Any) -> Iterator[Stack]:
        """Make a stack of one fleet, `chat`, with these keys of it; destroyed at the end, whatever happened within."""
        status = self.sandbox.status()
        stack = self.engine.stack(REPO, f"bench-{next(self._numbers)}")
        stack.deadline = LONGEST_CALL_S
        stack.write_config(
            sandbox_config(status["market"]["url"], self.time_scale, status["store"]["endpoint"], **fleet)
        )
        try:
            yield stack
        finally:
            stack.destroy(check=sys.exc_info()[0] is None)
        if left := self.sandbox.status()["market"]["instances"]:
            raise SystemExit(f"still rented after the stack was destroyed: {left}")


@contextlib.contextmanager
def running_cloud(time_scale: float, vllm: Vllm = "double", machines: int = 360) -> Iterator[Cloud]:
    """Run sandbox and engine until the block ends; then every host, process and file of theirs is gone."""
    path = path_with_engine(os.environ)
    if path is None:
        raise SystemExit("There is no Pulumi engine here: `make setup` brings one.")
    with tempfile.TemporaryDirectory(prefix="gpu-fleet-bench-") as name:
        folder = Path(name)
        (folder / "state").mkdir()
        (folder / "tmp").mkdir()
        # Its own folder for temporary files, because the turns for the market's thresholds are drawn there: those of
        # other stacks on this machine must not count.
        engine = Engine(folder, environment(folder, path) | {"TMPDIR": str(folder / "tmp")})
        settings = Settings(
            folder / "state", folders(os.environ)[1], vllm=vllm, time_scale=time_scale, machines=machines
        )
        sandbox = Sandbox(settings)
        sandbox.start()
        try:
            yield Cloud(sandbox, engine, time_scale)
        finally:
            engine.close()
            sandbox.stop()


def instances(stack: Stack) -> list[dict[str, Any]]:
    """Return the outputs of the stack's instances, inputs among them, as the state has them."""
    return [row["outputs"] for row in stack.resources() if row["type"] == "pulumi-python:dynamic/vast:Instance"]
