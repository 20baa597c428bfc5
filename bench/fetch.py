"""Weights onto a host: our fetch, which checks every byte, over the best raw tool, which checks none.

Both write to the same disk from the same store, in turns, and the better of two runs counts for each. The fetch is the
script that hosts run, with presigned URLs; through a line it is the sandbox's forwarder that limits both. What a cut costs:
the script is killed at half, started again, and all bytes that it fetched in both runs are counted.
"""

import functools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from bench._store import MIB, Shelf, empty, print_line, raw_downloads, shelf, timed
from bootstrap.download import fetch_settings
from bootstrap.remote_scripts import program
from weights.manifest import PART_BYTES, Manifest

GIB = 2**30
RUNS = 2
SIZES = ((1, GIB), (4, GIB), (1, 4 * GIB), (4, 4 * GIB))
LINES = ((1000.0, 4, GIB), (1000.0, 1, GIB), (1000.0, 4, 4 * GIB), (100.0, 4, GIB // 4), (100.0, 1, GIB))
HOSTS = 4


def main() -> None:
    """Measure and print."""
    with shelf() as here:
        models: dict[tuple[int, int], Manifest] = {}
        for files, total in sorted({(files, total) for files, total in SIZES} | {(f, t) for _, f, t in LINES}):
            manifest, source = here.model(f"m{files}x{total // MIB}", files, total)
            here.upload(manifest, source)
            empty(source)
            models[files, total] = manifest
        for files, total in SIZES:
            over_best_raw(here, models[files, total], None, f"{total // GIB} GiB in {files}, loopback", 0.9)
        for mbps, files, total in LINES:
            what = f"{total // MIB} MiB in {files}, {mbps:.0f} Mb/s"
            over_best_raw(here, models[files, total], mbps, what, 0.95)
        hosts_at_once(here, models[4, GIB])
        cut(here, models[1, GIB])
        memory(here, models[4, GIB])


def over_best_raw(here: Shelf, manifest: Manifest, mbps: float | None, what: str, goal: float) -> None:
    """Print the rate of our fetch over that of the best raw tool."""
    with here.line(mbps) as endpoint, here.target() as target:
        seconds: dict[str, float] = {}

        def run(tool: str, measure: Callable[[], float]) -> None:
            seconds[tool] = min(seconds.get(tool, float("inf")), measure())
            empty(target)

        def raw(tool: str) -> float:
            return timed(raw_downloads(here, manifest, endpoint, target, mbps is None)[tool])

        for _run in range(RUNS if mbps is None else 1):
            run("ours", lambda: timed(*ours(here, manifest, endpoint, target)))
            for tool in raw_downloads(here, manifest, endpoint, target, mbps is None):
                run(tool, functools.partial(raw, tool))
    speeds = ", ".join(f"{tool} {manifest.total_bytes / each / 1e6:.0f} MB/s" for tool, each in seconds.items())
    print_line(f"{what}: {speeds}")
    best = min(each for tool, each in seconds.items() if tool != "ours")
    figure(f"verified fetch over the best raw tool, {what}", best / seconds["ours"], "ratio", goal, "more")


def ours(here: Shelf, manifest: Manifest, endpoint: str, target: Path) -> tuple[list[str], bytes]:
    """Return the command of our fetch and what it gets on stdin, as `bootstrap.download` would send it."""
    urls = here.urls(manifest, endpoint)
    order = {
        "target": str(target / "model"),
        "files": [{**file.model_dump(mode="json"), "url": url} for file, url in zip(manifest.files, urls, strict=True)],
        "part_bytes": PART_BYTES,
        **fetch_settings(0, 90),
    }
    return ["python3", "-S", "-"], program("fetch.py", order).encode()


def hosts_at_once(here: Shelf, manifest: Manifest) -> None:
    """Print what four hosts get together over what one gets alone; the store and all hosts share this machine's cores."""
    alone = together(here, manifest, 1)
    four = together(here, manifest, HOSTS)
    print_line(f"one host {alone / 1e6:.0f} MB/s; {HOSTS} hosts {four / 1e6:.0f} MB/s together")
    figure(f"{HOSTS} hosts' fetches together over one's", four / alone, "ratio", 1.0, "more")


def together(here: Shelf, manifest: Manifest, hosts: int) -> float:
    """Return the bytes a second of so many fetches at once."""
    with here.target() as target:
        places = [target / str(number) for number in range(hosts)]
        threads = []
        for place in places:
            place.mkdir()
            command, stdin = ours(here, manifest, here.store.endpoint, place)
            threads.append(threading.Thread(target=timed, args=(command, stdin)))
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return hosts * manifest.total_bytes / (time.perf_counter() - began)


def cut(here: Shelf, manifest: Manifest) -> None:
    """Print which share of the bytes came twice after a kill at half."""
    with here.line(1000.0) as endpoint, here.target() as target:
        command, stdin = ours(here, manifest, endpoint, target)
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if child.stdin is None:
            raise SystemExit("the fetch has no stdin")
        child.stdin.write(stdin)
        child.stdin.close()
        while allocated(target) < manifest.total_bytes / 2:
            if child.poll() is not None:
                raise SystemExit("the fetch ended before it could be killed")
            time.sleep(0.01)
        child.kill()
        child.wait()
        came = allocated(target)
        done = subprocess.run(command, input=stdin, capture_output=True, check=True)
    again = json.loads(done.stdout)["bytes"] + came - manifest.total_bytes
    print_line(f"killed at {came / MIB:.0f} MiB of {manifest.total_bytes / MIB:.0f}; {again / MIB:.1f} MiB came twice")
    figure("bytes fetched again after a kill at half", 100 * again / manifest.total_bytes, "%", 2)


def memory(here: Shelf, manifest: Manifest) -> None:
    """Print the most memory that a fetch had, asked of the kernel by a parent of its own."""
    with here.target() as target:
        command, stdin = ours(here, manifest, here.store.endpoint, target)
        watch = (
            "import resource,subprocess,sys; subprocess.run(sys.argv[1:], check=True, stdout=2);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-c", watch, *command], input=stdin, capture_output=True, check=True)
    figure("memory of a fetch on the host, at its peak", int(done.stdout) / 1000, "MB", 256)


def allocated(folder: Path) -> int:
    """Return how many bytes lie in the files of a folder; what was not written takes no room."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*.bin"))


if __name__ == "__main__":
    main()
