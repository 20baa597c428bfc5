"""Serve the bootstrap of one host: URLs of weights, this computer's view of the store, compile caches, certificates."""

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bootstrap.apply import Report
from bootstrap.artifacts import LONGEST_SECONDS, Artifacts
from bootstrap.clock import Clock
from bootstrap.errors import BootstrapError, StepFailed
from bootstrap.host import Host
from bootstrap.services import Progress
from bootstrap.spec import EndpointSpec
from bootstrap.warm_cache import take, unfit, warm_key
from providers.identity.authority import RequestRefusedError, sign_csr
from providers.ledger.last_word import WORD_BYTES, key_of
from providers.store.client import Keys
from providers.store.client import connect as connect_store
from providers.store.errors import StoreError, StoreUnreachable, explain_errors
from providers.store.throughput import measured_mbps
from providers.store.warm_cache import WarmEntries
from providers.vast.redaction import Redaction
from providers.vast.settings import InstanceSettings
from weights.manifest import blob_key

STORE_SECONDS = 10


@dataclass(frozen=True)
class HostServices:
    """Answers the calls of `bootstrap.services.Services` for the host of one instance."""

    settings: InstanceSettings
    keys: Keys
    clock: Clock
    machine_id: int = 0  # compile caches are kept by machine

    def presign(self, sha256: str, seconds: int) -> str:
        """Return a URL from which a host may fetch a blob for `seconds`."""
        store = self.settings.store
        return _artifacts(store.endpoint, store.region, store.bucket, self.keys).presign(sha256, seconds)

    def store_trouble(self) -> str:
        """Return why this computer cannot reach the store either; empty if it can, or has no keys to ask with."""
        try:
            with self._store() as (s3, bucket):
                s3.head_bucket(Bucket=bucket)
        except StoreUnreachable as error:
            return str(error)
        except StoreError:
            return ""  # the store answers; its words about the bucket went to the host, too
        return ""

    def store_mbps(self, sha256: str, size: int) -> float | None:
        """Return the rate in Mb/s at which this computer fetches a blob from the store, or None if it gets no data."""
        try:
            with self._store() as (s3, bucket):
                return measured_mbps(s3, bucket, blob_key(sha256), size, self.clock.monotonic)
        except StoreError:
            return None

    def warm_archive(self, key: str) -> bytes | None:
        """Return the compile cache of a key for this machine, or None if the store has none or does not answer."""
        try:
            with self._store() as (s3, bucket):
                return WarmEntries(s3, bucket, self.settings.server.warm_pins).get(key, self.machine_id)
        except StoreError:
            return None

    def sign(self, csr_pem: str, addresses: tuple[str, ...]) -> str:
        """Return a leaf certificate for the public key of a host's request."""
        access = self.settings.access
        now = datetime.fromtimestamp(self.clock.time(), UTC)
        try:
            return sign_csr(access.ca_key.get_secret_value(), access.ca_certificate, csr_pem, addresses, now)
        except RequestRefusedError as error:
            raise StepFailed(f"{self.settings.name}: the host's certificate request is refused: {error}") from error

    def keep_warm(
        self, host: Host, spec: EndpointSpec, report: Report, report_progress: Progress
    ) -> dict[str, str] | None:
        """Store vLLM's compile cache; return its key and digest. Errors here never affect a serving endpoint."""
        if not (spec.warm_start and report.facts and report.started):
            return None
        key = warm_key(spec, report.facts)
        try:
            archive = take(host, spec.name)
            problem = unfit(archive, Redaction.of(self.settings).secrets) if archive else "vLLM has compiled nothing"
            if problem:
                report_progress("warm start", f"no compile cache is kept: {problem}")
                return None
            with self._store() as (s3, bucket):
                digest = WarmEntries(s3, bucket, self.settings.server.warm_pins).put(key, self.machine_id, archive)
        except (BootstrapError, StoreError) as error:
            report_progress("warm start", f"no compile cache is kept: {error}")
            return None
        report_progress("warm start", f"compile cache kept for machine {self.machine_id}: {len(archive) / 1e6:.1f} MB")
        return {"key": key, "sha256": digest}

    def last_word_url(self, instance_id: int) -> str:
        """Return the URL to which a host may write how it ended; empty if this stack has no keys of the store."""
        store, key = self.settings.store, key_of(self.settings.label, instance_id)
        if key is None or not self.keys.access or not self.keys.secret:
            return ""
        signed = _artifacts(store.endpoint, store.region, store.bucket, self.keys)
        return signed.presign_write(key, WORD_BYTES, LONGEST_SECONDS)

    @contextlib.contextmanager
    def _store(self) -> Iterator[tuple[Any, str]]:
        """Yield a client of the store as this computer reaches it, and the bucket. Raises StoreError."""
        store = self.settings.store
        endpoint = store.own_endpoint or store.endpoint
        with explain_errors(endpoint, store.bucket):
            yield connect_store(endpoint, store.region, self.keys, tries=1, read_seconds=STORE_SECONDS), store.bucket


@functools.lru_cache(maxsize=4)
def _artifacts(endpoint: str, region: str, bucket: str, keys: Keys) -> Artifacts:
    # Cached for all instances of the process: making a client takes a tenth of a second, and signing takes no time.
    return Artifacts(endpoint, region, bucket, keys.access, keys.secret)
