"""Weights from a folder into the bucket: the manifest's hashing over one core of openssl times cores, and our upload, which
proves every part, over the best raw tool, which proves none.

A manifest hashes each byte of a large file twice, for the file and for its part, so half of what the cores can do is the
most there is; files of one part are hashed once.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from bench._store import BUCKET, Shelf, empty, print_line, rclone_options, shelf, timed
from weights.manifest import Manifest, of_folder

GIB = 2**30
RUNS = 2
SIZES = ((1, GIB), (4, GIB))


def main() -> None:
    """Measure and print."""
    with shelf() as here:
        for files, total in SIZES:
            manifest, source = here.model(f"m{files}", files, total)
            what = f"{total // GIB} GiB in {files}"
            hashing(source, total, what)
            uploading(here, manifest, source, what)
            empty(source)


def hashing(source: Path, total: int, what: str) -> None:
    """Print the manifest's rate over that of openssl on one core, times the cores."""
    seconds = []
    for _run in range(RUNS):
        began = time.perf_counter()
        of_folder("bench", source)
        seconds.append(time.perf_counter() - began)
    alone = min(timed(["openssl", "dgst", "-sha256", *map(str, source.iterdir())]) for _run in range(RUNS))
    cores = os.cpu_count() or 1
    print_line(
        f"{what}: manifest {total / min(seconds) / 1e6:.0f} MB/s; openssl {total / alone / 1e6:.0f} MB/s on each of {cores}"
    )
    figure(f"manifest over openssl times cores, {what}", alone / min(seconds) / cores, "ratio", 0.9, "more")


def uploading(here: Shelf, manifest: Manifest, source: Path, what: str) -> None:
    """Print the rate of our upload over that of the best raw tool; the bucket has none of the blobs before each."""
    seconds: dict[str, float] = {}
    for _run in range(RUNS):
        began = time.perf_counter()
        here.upload(manifest, source)
        seconds["ours"] = min(seconds.get("ours", float("inf")), time.perf_counter() - began)
        forget(here)
        for tool, command in commands(here, source).items():
            seconds[tool] = min(seconds.get(tool, float("inf")), timed(command))
            forget(here)
    print_line(
        f"{what}: "
        + ", ".join(f"{tool} {manifest.total_bytes / each / 1e6:.0f} MB/s" for tool, each in seconds.items())
    )
    best = min(each for tool, each in seconds.items() if tool != "ours")
    figure(f"verified upload over the best raw tool, {what}", best / seconds["ours"], "ratio", 0.9, "more")


def commands(here: Shelf, source: Path) -> dict[str, list[str]]:
    """Return command lines by tool that bring the folder into the bucket."""
    endpoint = here.store.endpoint
    return {
        "rclone": [str(here.tools / "rclone"), "copy", str(source), f":s3:{BUCKET}/raw", *rclone_options(endpoint)],
        "s5cmd": [str(here.tools / "s5cmd"), "--endpoint-url", endpoint, "cp", f"{source}/*", f"s3://{BUCKET}/raw/"],
    }


def forget(here: Shelf) -> None:
    """Delete everything in the bucket."""
    s3 = here.client()
    for row in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=row["Key"])


if __name__ == "__main__":
    main()
