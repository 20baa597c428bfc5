"""A real Prometheus that holds what a test gives it: samples in a text."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from monitoring.prometheus import Prometheus
from sandbox.services.ports import choose
from sandbox.services.programs import Program


def longest_gap(prometheus: Prometheus, selector: str, since: float) -> float:
    """Return for how many seconds at most a series says nothing, from `since` (unix seconds) until now."""
    now = time.time()
    found = prometheus.query(f"{selector}[{int(now - since) + 1}s]")
    times = [since, *(at for series in found[:1] for at, _ in series.points), now]
    return max(after - before for before, after in pairwise(times))


@contextmanager
def with_series(folder: Path, openmetrics: str) -> Iterator[str]:
    """Give the URL of a Prometheus that holds these samples (OpenMetrics text with timestamps)."""

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "samples.txt").write_text(openmetrics + "# EOF\n")
    words = ["promtool", "tsdb", "create-blocks-from", "openmetrics", f"{folder}/samples.txt", f"{folder}/data"]
    subprocess.run(words, check=True, capture_output=True)
    (folder / "prometheus.yml").write_text("global: {}\n")
    port = choose(1)[0]
    arguments = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=100y",
        "--log.level=warn",
    ]
    program = Program("prometheus", arguments, port, "/-/ready", folder)
    program.start()
    try:
        program.wait()
        yield program.url
    finally:
        program.stop()
