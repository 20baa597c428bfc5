"""Bring a running instance to an answered completion: connect the renting side with the bootstrap.

Only this module joins a rented instance with SSH, the store's presigned URLs and the fleet's CA.
"""

import contextlib
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from bootstrap.apply import Report
from bootstrap.artifacts import LONGEST_SECONDS, Artifacts
from bootstrap.clock import Clock, Until
from bootstrap.connect import connect
from bootstrap.converge import converge, observe
from bootstrap.draining import drain
from bootstrap.errors import BootstrapError, GateOpen, HostUnreachable, StepFailed
from bootstrap.facts import Facts
from bootstrap.host import Host
from bootstrap.probe import probe
from bootstrap.self_destruct import attend, report_online, sign_of_attention
from bootstrap.services import Progress
from bootstrap.spec import EndpointSpec
from bootstrap.start_self_destruct import visit
from bootstrap.warm_cache import take, unfit, warm_key
from providers.identity.authority import RequestRefusedError, sign_csr
from providers.ledger.last_word import WORD_BYTES, key_of
from providers.store.client import Keys
from providers.store.client import connect as connect_store
from providers.store.errors import StoreError, StoreUnreachable, readable
from providers.store.throughput import measured_mbps
from providers.store.warm_cache import WarmEntries
from providers.vast.api.attached_keys import KeyRing
from providers.vast.api.instance import SSH_PORT, Instance
from providers.vast.create import Served
from providers.vast.host_spec import spec_of
from providers.vast.key_change import admit, retire
from providers.vast.limits import Limits
from providers.vast.redaction import Redaction
from providers.vast.renting.key_attachment import attach
from providers.vast.settings import AccessSettings, InstanceSettings
from weights.manifest import blob_key

STORE_SECONDS = 10
ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class InstanceBootstrap:
    """Serves instances by one instance's settings.

    `private_key` opens the host now; in an update it is the old key. `in_state`: state holds the instance, so its host
    never ends itself.
    """

    settings: InstanceSettings
    private_key: str
    keys: Keys
    limits: Limits
    clock: Clock
    keyring: KeyRing
    in_state: bool = False
    also: tuple[str, ...] = ()  # private keys that may open the host if `private_key` does not
    machine_id: int = 0  # machine of this host, for data stored by machine

    def serve(self, instance: Instance, host_key: str, report_progress: Progress, deadline: float = math.inf) -> Served:
        """Connect, converge and probe before `deadline` (monotonic seconds).

        If state does not hold the instance yet, its host's timer keeps running: the creator disables it as its last
        step. Raises bootstrap errors, HostFault or OurFault.
        """
        clock = Until(self.clock, deadline)
        began = clock.monotonic()
        address, gate = self._addresses(instance)
        spec = replace(spec_of(self.settings, address, instance.id), advertised_mbps=instance.inet_down or 0)
        endpoint = f"https://{address}:{gate}"
        services = replace(self, clock=clock, machine_id=instance.machine_id or 0)
        host = services.connect(instance, host_key, report_progress)
        connected = clock.monotonic()
        with contextlib.closing(host):
            if self.in_state:
                report_online(host, spec.name)
            attend(host, spec.name, self.limits.unattended_seconds)
            services.visit(host, instance, report_progress)
            report = converge(host, spec, services, clock, report_progress)
            converged = clock.monotonic()
            ca, model = self.settings.access.ca_certificate, self.settings.server.model_name
            answer = probe(endpoint, ca, spec.token, model, clock, self.limits.probe_seconds)
            warm = services.keep_warm(host, spec, report, report_progress)
        report_progress("probe", f"{endpoint} answered in {answer.seconds:.2f} s")
        return Served(
            instance=instance,
            endpoint=endpoint,
            host_key=host_key,
            certificate_end=report.certificate_end,
            seconds={
                "connect": round(connected - began, 3),
                **{phase: round(seconds, 3) for phase, seconds in report.timings.items()},
                "probe": round(clock.monotonic() - converged, 3),
            },
            usd_per_hour=instance.dph_total or 0.0,
            download_mbps=report.download_mbps,
            warm=warm,
            end_timer=functools.partial(self._end_timer, instance, host_key, report_progress),
        )

    def _end_timer(self, instance: Instance, host_key: str, report_progress: Progress) -> None:
        if not self.in_state:
            with contextlib.closing(self.connect(instance, host_key, report_progress)) as host:
                report_online(host, self.settings.name)

    def connect(self, instance: Instance, host_key: str, report_progress: Progress) -> Host:
        """Log in, with the host key pinned. Raises HostUnreachable, HostKeyMismatch."""
        mapped = instance.address(SSH_PORT)
        if mapped is None:
            raise HostUnreachable(f"instance {instance.id} has no direct SSH port")
        # The market may have rewritten the host's keys. An attached key survives that.
        refused = functools.partial(attach, self.keyring, instance.id, report_progress=report_progress)
        sign = sign_of_attention(self.limits.unattended_seconds)
        bound = self.limits.connect_seconds
        return connect(
            *mapped,
            self.private_key,
            host_key,
            self.clock,
            bound,
            report_progress,
            refused,
            other_keys=self.also,
            attention=sign,
        )

    def observe(self, instance: Instance, host_key: str, report_progress: Progress) -> Facts:
        """Return the facts of the host, and disable the timer that a recreated container has. Raises bootstrap errors."""
        host = self.connect(instance, host_key, report_progress)
        try:
            if self.in_state:
                with contextlib.suppress(StepFailed):  # the disk may be full; the facts report other faults there
                    report_online(host, self.settings.name)
            self.visit(host, instance, report_progress)
            return observe(host, spec_of(self.settings, self._addresses(instance)[0], instance.id))
        finally:
            host.close()

    def visit(self, host: Host, instance: Instance, report_progress: Progress) -> None:
        """Renew the lease of a host that may end itself, and tell it its age and where to leave word of its end."""
        if self.settings.self_destruct is None:
            return
        now = self.clock.time()
        age = now - (instance.start_date or now)
        if problem := visit(host, max(0.0, age), self._word_url(instance.id)):
            report_progress("visit", f"its lease is not renewed, and it cannot leave word of its end: {problem}")

    def _word_url(self, instance_id: int) -> str:
        store, key = self.settings.store, key_of(self.settings.label, instance_id)
        if key is None or not self.keys.access or not self.keys.secret:
            return ""
        signed = _artifacts(store.endpoint, store.region, store.bucket, self.keys)
        return signed.presign_write(key, WORD_BYTES, LONGEST_SECONDS)

    def answers(self, endpoint: str) -> bool:
        """Return whether an endpoint answers a completion within a few seconds, with a certificate of our CA."""
        access, model = self.settings.access, self.settings.server.model_name
        try:
            probe(endpoint, access.ca_certificate, access.token.get_secret_value(), model, self.clock, ANSWER_SECONDS)
        except GateOpen:
            return True  # it answers, even without a token
        except (BootstrapError, ValueError):
            return False
        return True

    def drain(self, instance: Instance, host_key: str, report_progress: Progress) -> None:
        """Close the gate and wait for admitted requests. Host errors are only reported, so that giving back continues."""
        at_once = replace(self, limits=replace(self.limits, connect_seconds=0))
        drain(lambda: at_once.connect(instance, host_key, lambda *_: None), report_progress)

    def change_key(self, instance: Instance, host_key: str, access: AccessSettings, report_progress: Progress) -> None:
        """Admit another SSH key beside those that open the host. Raises bootstrap errors."""
        login, opening = (
            functools.partial(self._login, instance, host_key, report_progress),
            (self.private_key, *self.also),
        )
        wanted = access.ssh_private_key.get_secret_value()
        admit(login, self.keyring, instance.id, opening, wanted, self.settings.name, report_progress)

    def retire_keys(self, instance: Instance, host_key: str, report_progress: Progress) -> None:
        """Lock out every SSH key except the one in state. Raises bootstrap errors."""
        login = functools.partial(self._login, instance, host_key, report_progress)
        retire(login, self.keyring, instance.id, self.private_key, self.settings.name, report_progress)

    def _login(self, instance: Instance, host_key: str, report_progress: Progress, keys: tuple[str, ...]) -> Host:
        return replace(self, private_key=keys[0], also=keys[1:]).connect(instance, host_key, report_progress)

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

    @contextlib.contextmanager
    def _store(self) -> Iterator[tuple[Any, str]]:
        """Yield a client of the store as this computer reaches it, and the bucket. Raises StoreError."""
        store = self.settings.store
        endpoint = store.own_endpoint or store.endpoint
        with readable(endpoint, store.bucket):
            yield connect_store(endpoint, store.region, self.keys, tries=1, read_seconds=STORE_SECONDS), store.bucket

    def sign(self, csr_pem: str, addresses: tuple[str, ...]) -> str:
        """Return a leaf certificate for the public key of a host's request."""
        access = self.settings.access
        now = datetime.fromtimestamp(self.clock.time(), UTC)
        try:
            return sign_csr(access.ca_key.get_secret_value(), access.ca_certificate, csr_pem, addresses, now)
        except RequestRefusedError as error:
            raise StepFailed(f"{self.settings.name}: the host's certificate request is refused: {error}") from error

    def _addresses(self, instance: Instance) -> tuple[str, int]:
        mapped = instance.address(self.settings.server.port)
        if mapped is None:
            raise HostUnreachable(f"instance {instance.id} has no public port for the gate")
        return mapped


@functools.lru_cache(maxsize=4)
def _artifacts(endpoint: str, region: str, bucket: str, keys: Keys) -> Artifacts:
    # Cached for all instances of the process: making a client takes a tenth of a second, and signing takes no time.
    return Artifacts(endpoint, region, bucket, keys.access, keys.secret)
