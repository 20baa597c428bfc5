"""What the figures of weights share: an object store with random blobs, and the raw tools that they are held against.

The tools do less than we: none of them checks a digest. curl and aria2c get presigned URLs as a host does; rclone and
s5cmd need the store's keys, so they are no choice for a host and only here. So does the Run:ai streamer, which moreover
writes nothing to a disk: a host that starts again fetches everything again.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap.artifacts import Artifacts
from bootstrap.cache import cache_folder
from providers.store.blobs import Blobs
from providers.store.client import Keys, connect
from providers.store.inputs import BlobsInputs
from sandbox.hosts.forwarder import Forwarder, listen
from sandbox.hosts.pump import Line, Way
from sandbox.services.object_store import ADMIN, REGION, ObjectStore
from tools.environments import fresh_venv, pip_install
from tools.machine.paths import digest, find
from tools.machine.steps import complete, mark_complete
from weights.manifest import Manifest, blob_key, of_folder

BUCKET = "bench"
KEYS = Keys(ADMIN.access_key, ADMIN.secret_key)
CONNECTIONS = 8
MIB = 2**20
LOCK = Path(__file__).with_name("tools.txt")
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Shelf:
    """A running store; `folder` is for everything that a figure makes."""

    store: ObjectStore
    folder: Path
    tools: Path

    def model(self, name: str, files: int, total: int) -> tuple[Manifest, Path]:
        """Make a folder of files of random bytes, and its manifest."""
        place = self.folder / name
        place.mkdir()
        for number in range(files):
            with (place / f"{name}-{number}.bin").open("wb") as stream:
                for _ in range(total // files // MIB):
                    stream.write(os.urandom(MIB))
        return of_folder(name, place), place

    def upload(self, manifest: Manifest, source: Path) -> None:
        """Upload it as the program does."""
        inputs = BlobsInputs(
            endpoint=self.store.endpoint, region=REGION, bucket=BUCKET, manifest=manifest, source=source
        )
        Blobs(self.client(), inputs, lambda _line: None).upload_missing()

    def client(self) -> Any:
        """Return a client with the keys of the store."""
        return connect(self.store.endpoint, REGION, KEYS)

    def urls(self, manifest: Manifest, endpoint: str) -> list[str]:
        """Return presigned URLs of the files, for whoever reaches the store at this endpoint."""
        artifacts = Artifacts(endpoint, REGION, BUCKET, KEYS.access, KEYS.secret)
        return [artifacts.presign(file.sha256, 3600) for file in manifest.files]

    @contextlib.contextmanager
    def line(self, mbps: float | None) -> Iterator[str]:
        """Give an endpoint behind a line of this rate in Mb/s; None: the store itself."""
        if mbps is None:
            yield self.store.endpoint
            return
        forwarder, server = Forwarder(), listen()
        line = Line(to_host=Way(mbps * 1e6 / 8))
        listener = forwarder.serve(server, lambda: _dial(self.store.http_port), line, host_dialled=True)
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            forwarder.close(listener)
            forwarder.stop()

    @contextlib.contextmanager
    def target(self) -> Iterator[Path]:
        """Give an empty folder on the same disk, gone at the end."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            yield Path(name)


def _dial(port: int) -> tuple[int, Any]:
    far = socket.socket()
    far.setblocking(False)
    return far.connect_ex(("127.0.0.1", port)), far


@contextlib.contextmanager
def shelf() -> Iterator[Shelf]:
    """Run a store until the block ends; everything is gone then."""
    with tempfile.TemporaryDirectory(prefix="gpu-fleet-bench-") as name:
        folder = Path(name)
        (folder / "store").mkdir()
        store = ObjectStore(folder / "store")
        store.start()
        try:
            found = Shelf(store, folder, installed_tools())
            found.client().create_bucket(Bucket=BUCKET)
            yield found
        finally:
            store.stop()


def installed_tools() -> Path:
    """Return the folder of the raw tools, installed once for each lock."""
    venv = cache_folder() / "bench" / digest([LOCK])
    if not complete(venv):
        fresh_venv(venv)
        pip_install(venv, LOCK, "--require-hashes", "--no-deps")  # the streamer's torch is the real vLLM's
        mark_complete(venv)
    return venv / "bin"


def raw_downloads(
    shelf: Shelf, manifest: Manifest, endpoint: str, target: Path, with_keys: bool
) -> dict[str, list[str]]:
    """Return command lines by tool that bring a manifest's files into `target`."""
    urls = shelf.urls(manifest, endpoint)
    curl = ["curl", "--silent", "--fail", "--parallel"]
    for file, url in zip(manifest.files, urls, strict=True):
        curl += ["--output", str(target / file.path), url]
    several = target / "urls"
    lines = [f"{url}\n  out={file.path}\n" for file, url in zip(manifest.files, urls, strict=True)]
    several.write_text("".join(lines))
    aria = [str(shelf.tools / "aria2c"), "--quiet", f"-x{CONNECTIONS}", f"-s{CONNECTIONS}", "--min-split-size=64M"]
    found = {
        "curl": curl,
        "aria2c": [*aria, "--file-allocation=none", f"--dir={target}", f"--input-file={several}"],
    }
    if with_keys:
        keys = [f"s3://{BUCKET}/{blob_key(file.sha256)}" for file in manifest.files]
        commands = "\n".join(f"cp {key} {target / file.path}" for key, file in zip(keys, manifest.files, strict=True))
        (target / "commands").write_text(commands + "\n")
        s5cmd = [str(shelf.tools / "s5cmd"), "--endpoint-url", endpoint]
        rclone = [str(shelf.tools / "rclone"), "copy", f":s3:{BUCKET}/blobs/sha256", str(target)]
        wanted = [word for file in manifest.files for word in ("--include", file.sha256)]
        found |= {
            "s5cmd": [*s5cmd, "run", str(target / "commands")],
            "rclone": [*rclone, *rclone_options(endpoint), *wanted],
            **streamer(shelf, endpoint, {key: file.size for key, file in zip(keys, manifest.files, strict=True)}),
        }
    return found


def streamer(shelf: Shelf, endpoint: str, sizes: dict[str, int]) -> dict[str, list[str]]:
    """Return the command line of the Run:ai streamer, into memory; none where the real vLLM, whose torch it needs, is not."""
    python = find(ROOT, os.environ).vllm / "bin" / "python"
    if not python.exists():
        print_line("the Run:ai streamer is left out: the real vLLM, whose torch it needs, is not installed")
        return {}
    library = next((shelf.tools.parent / "lib").glob("python*/site-packages"))
    settings = {
        "PYTHONPATH": str(library),
        "AWS_ENDPOINT_URL": endpoint,
        "RUNAI_STREAMER_S3_ENDPOINT": endpoint,
        "RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING": "0",
        "RUNAI_STREAMER_CONCURRENCY": str(CONNECTIONS),
    }
    words = [f"{name}={value}" for name, value in settings.items()]
    objects = [f"{key}={size}" for key, size in sizes.items()]
    return {"runai": ["env", *words, str(python), str(Path(__file__).with_name("_runai.py")), *objects]}


def rclone_options(endpoint: str) -> list[str]:
    """Return how rclone finds the store."""
    return [
        "--s3-provider=SeaweedFS",
        f"--s3-endpoint={endpoint}",
        "--s3-env-auth=true",
        f"--s3-region={REGION}",
        "--config=/dev/null",
    ]


def timed(command: Sequence[str], stdin: bytes = b"") -> float:
    """Run a command to its good end and return its seconds."""
    environment = dict(os.environ) | {
        "AWS_ACCESS_KEY_ID": KEYS.access,
        "AWS_SECRET_ACCESS_KEY": KEYS.secret,
        "AWS_REGION": REGION,
    }
    began = time.perf_counter()
    done = subprocess.run(command, input=stdin, env=environment, capture_output=True, check=False)
    took = time.perf_counter() - began
    if done.returncode:
        words = " ".join(command)[:300]
        raise SystemExit(f"{words} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-800:]}")
    return took


def empty(folder: Path) -> None:
    """Remove everything in a folder."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def print_line(text: str) -> None:
    """Print a line beside the figures."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
