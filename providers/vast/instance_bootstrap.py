"""From a running instance to an answered completion: what renting knows, handed to the bootstrap.

The only place where a rented instance meets SSH, the store's presigned URLs and the fleet's CA.
"""

import contextlib
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from bootstrap.apply import Report
from bootstrap.artifacts import Artifacts
from bootstrap.clock import Clock, Until
from bootstrap.connect import connect
from bootstrap.converge import converge, observe
from bootstrap.errors import BootstrapError, GateOpen, HostUnreachable, StepFailed
from bootstrap.facts import Facts
from bootstrap.host import Host
from bootstrap.metrics_agent import Reporting
from bootstrap.probe import probe
from bootstrap.remote_scripts import KIT
from bootstrap.self_destruct import attend, report_online, sign_of_attention
from bootstrap.spec import EndpointSpec, Preflight
from bootstrap.warm_cache import take, unfit, warm_key
from providers.identity.authority import RequestRefusedError, sign_csr
from providers.identity.metrics_credentials import Reporter, password_for
from providers.redaction import Redaction
from providers.store.client import Keys
from providers.store.client import connect as connect_store
from providers.store.errors import StoreError, StoreUnreachable, readable
from providers.store.throughput import measured_mbps
from providers.store.warm_cache import WarmEntries
from providers.vast.api import label
from providers.vast.api.attached_keys import KeyRing
from providers.vast.api.instance import SSH_PORT, Instance
from providers.vast.create import Progress, Served
from providers.vast.key_change import admit, retire
from providers.vast.limits import Limits
from providers.vast.renting.key_attachment import attach
from providers.vast.search.start_time import SLOW_SHARE
from providers.vast.settings import AccessSettings, InstanceSettings
from weights.manifest import blob_key

STORE_SECONDS = 10
DRAIN_SECONDS = 30
ANSWER_SECONDS = 5.0
SEEN_SHARE = 0.95  # of the advertised memory: the kernel keeps some


@dataclass(frozen=True)
class InstanceBootstrap:
    """Serves instances by one instance's settings. `private_key` is what opens the host now (the old one in an update);
    `in_state`: whether state holds the instance, whose host then never ends itself.
    """

    settings: InstanceSettings
    private_key: str
    keys: Keys
    limits: Limits
    clock: Clock
    keyring: KeyRing
    in_state: bool = False
    also: tuple[str, ...] = ()  # private keys that may open the host where `private_key` does not
    machine_id: int = 0  # whose host this is, for what is kept by machine

    def serve(self, instance: Instance, host_key: str, say: Progress, deadline: float = math.inf) -> Served:
        """Connect, converge and probe, all of it before `deadline` (monotonic seconds).

        The timer of a host that is not in state yet goes on: ending it is the last that its creator does.
        Raises bootstrap errors, HostFault or OurFault.
        """
        clock = Until(self.clock, deadline)
        began = clock.monotonic()
        address, gate = self._addresses(instance)
        spec = replace(spec_of(self.settings, address, instance.id), advertised_mbps=instance.inet_down or 0)
        endpoint = f"https://{address}:{gate}"
        services = replace(self, clock=clock, machine_id=instance.machine_id or 0)
        host = services.connect(instance, host_key, say)
        connected = clock.monotonic()
        with contextlib.closing(host):
            if self.in_state:
                report_online(host, spec.name)
            attend(host, spec.name, self.limits.unattended_seconds)
            report = converge(host, spec, services, clock, say)
            converged = clock.monotonic()
            ca, model = self.settings.access.ca_certificate, self.settings.server.model_name
            answer = probe(endpoint, ca, spec.token, model, clock, self.limits.probe_seconds)
            warm = services.keep_warm(host, spec, report, say)
        say("probe", f"{endpoint} answered in {answer.seconds:.2f} s")
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
            end_timer=functools.partial(self._end_timer, instance, host_key, say),
        )

    def _end_timer(self, instance: Instance, host_key: str, say: Progress) -> None:
        if not self.in_state:
            with contextlib.closing(self.connect(instance, host_key, say)) as host:
                report_online(host, self.settings.name)

    def connect(self, instance: Instance, host_key: str, say: Progress) -> Host:
        """Log in, with the host key pinned. Raises HostUnreachable, HostKeyMismatch."""
        mapped = instance.address(SSH_PORT)
        if mapped is None:
            raise HostUnreachable(f"instance {instance.id} has no direct SSH port")
        # The market may have rewritten the host's keys: what is attached stays.
        refused = functools.partial(attach, self.keyring, instance.id, say=say)
        sign = sign_of_attention(self.limits.unattended_seconds)
        bound = self.limits.connect_seconds
        return connect(
            *mapped, self.private_key, host_key, self.clock, bound, say, refused, other_keys=self.also, attention=sign
        )

    def observe(self, instance: Instance, host_key: str, say: Progress) -> Facts:
        """Look at what really runs, and end the timer that a container which was made anew has. Raises bootstrap errors."""
        host = self.connect(instance, host_key, say)
        try:
            if self.in_state:
                with contextlib.suppress(StepFailed):  # a disk that is full: what else is wrong there, the facts say
                    report_online(host, self.settings.name)
            return observe(host, spec_of(self.settings, self._addresses(instance)[0], instance.id))
        finally:
            host.close()

    def answers(self, endpoint: str) -> bool:
        """Say whether an endpoint answers a completion, with a certificate of our CA, asked within a few seconds."""
        access, model = self.settings.access, self.settings.server.model_name
        try:
            probe(endpoint, access.ca_certificate, access.token.get_secret_value(), model, self.clock, ANSWER_SECONDS)
        except GateOpen:
            return True  # too readily, but it does
        except (BootstrapError, ValueError):
            return False
        return True

    def drain(self, instance: Instance, host_key: str, say: Progress) -> None:
        """Close the gate and wait for admitted requests, as far as the host lets us: giving back must not hang on it."""
        try:
            host = replace(self, limits=replace(self.limits, connect_seconds=0)).connect(
                instance, host_key, lambda *_: None
            )
            try:
                done = host.run(f"{KIT}/drain.sh {DRAIN_SECONDS}", timeout=DRAIN_SECONDS + 15)
            finally:
                host.close()
            say("drain", "no request is under way" if done.status == 0 else "gave up waiting for requests under way")
        except BootstrapError as error:
            say("drain", f"left out: {error}")

    def change_key(self, instance: Instance, host_key: str, access: AccessSettings, say: Progress) -> None:
        """Let another SSH key in beside those that open the host. Raises bootstrap errors."""
        login, opening = functools.partial(self._login, instance, host_key, say), (self.private_key, *self.also)
        wanted = access.ssh_private_key.get_secret_value()
        admit(login, self.keyring, instance.id, opening, wanted, self.settings.name, say)

    def retire_keys(self, instance: Instance, host_key: str, say: Progress) -> None:
        """Lock out every SSH key but the one of state. Raises bootstrap errors."""
        login = functools.partial(self._login, instance, host_key, say)
        retire(login, self.keyring, instance.id, self.private_key, self.settings.name, say)

    def _login(self, instance: Instance, host_key: str, say: Progress, keys: tuple[str, ...]) -> Host:
        return replace(self, private_key=keys[0], also=keys[1:]).connect(instance, host_key, say)

    def presign(self, sha256: str, seconds: int) -> str:
        """Return a URL of a blob that a host may fetch for some seconds."""
        store = self.settings.store
        return _artifacts(store.endpoint, store.region, store.bucket, self.keys).presign(sha256, seconds)

    def store_trouble(self) -> str:
        """Say why this machine cannot reach the store either; empty where it can, or where it has no keys to ask with."""
        try:
            with self._store() as (s3, bucket):
                s3.head_bucket(Bucket=bucket)
        except StoreUnreachable as error:
            return str(error)
        except StoreError:
            return ""  # it answers; what it says about the bucket the host was told, too
        return ""

    def store_mbps(self, sha256: str, size: int) -> float | None:
        """Return the rate in Mb/s at which this machine gets a blob of the store; None where it gets nothing."""
        try:
            with self._store() as (s3, bucket):
                return measured_mbps(s3, bucket, blob_key(sha256), size, self.clock.monotonic)
        except StoreError:
            return None

    def warm_archive(self, key: str) -> bytes | None:
        """Return the compile cache that may be used on this machine for a key; None where there is none, or no store."""
        try:
            with self._store() as (s3, bucket):
                return WarmEntries(s3, bucket, self.settings.server.warm_pins).get(key, self.machine_id)
        except StoreError:
            return None

    def keep_warm(self, host: Host, spec: EndpointSpec, report: Report, say: Progress) -> dict[str, str] | None:
        """Keep what vLLM compiled in this start, and return its key and digest. An endpoint that serves never fails by it."""
        if not (spec.warm_start and report.facts and report.started):
            return None
        key = warm_key(spec, report.facts)
        try:
            archive = take(host, spec.name)
            problem = unfit(archive, Redaction.of(self.settings).secrets) if archive else "vLLM has compiled nothing"
            if problem:
                say("warm start", f"no compile cache is kept: {problem}")
                return None
            with self._store() as (s3, bucket):
                digest = WarmEntries(s3, bucket, self.settings.server.warm_pins).put(key, self.machine_id, archive)
        except (BootstrapError, StoreError) as error:
            say("warm start", f"no compile cache is kept: {error}")
            return None
        say("warm start", f"compile cache kept for machine {self.machine_id}: {len(archive) / 1e6:.1f} MB")
        return {"key": key, "sha256": digest}

    @contextlib.contextmanager
    def _store(self) -> Iterator[tuple[Any, str]]:
        """Give a client of the store as this machine reaches it, and the bucket. Raises StoreError."""
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
    # Kept for all instances of the process: a client takes a tenth of a second to make, and signs in none.
    return Artifacts(endpoint, region, bucket, keys.access, keys.secret)


def spec_of(settings: InstanceSettings, address: str, instance_id: int) -> EndpointSpec:
    """Return what the host of this instance, behind this address, must become."""
    wishes, server = settings.requirements, settings.server
    return EndpointSpec(
        name=settings.name,
        model=settings.model,
        kit=settings.kit,
        served_model=server.model_name,
        vllm_args=settings.server.arguments,
        image=server.image,
        warm_start=server.warm_start,
        env=tuple(sorted(server.environment.items())),
        token=settings.access.token.get_secret_value(),
        addresses=(address,),
        port=server.port,
        certificate_epoch=settings.access.certificate_epoch,
        reporting=_reporting(settings, instance_id),
        reference_url=settings.store.reference_url,
        store_patience_seconds=settings.to_limits().store_patience_seconds,
        preflight=Preflight(
            gpu_names=wishes.gpu_names,
            gpu_count=wishes.gpu_count,
            gpu_ram_mb=int(wishes.gpu_ram_gb * 1000),
            disk_gb=settings.start_cost.bytes / 1e9,
            download_mbps=wishes.download_mbps * SLOW_SHARE,
            cuda=settings.needs.cuda or 0,
            cuda_required=wishes.min_cuda > 0,
            capability=settings.needs.capability / 100,
            gpu_celsius=settings.preflight.gpu_celsius,
            cpu_cores=max(settings.preflight.cpu_cores, wishes.cpu_cores),
            memory_mb=max(settings.preflight.memory_gb, wishes.memory_gb * SEEN_SHARE) * 1000,
            disk_mbps=settings.preflight.disk_mbps,
            clock_seconds=settings.preflight.clock_seconds,
        ),
    )


def _reporting(settings: InstanceSettings, instance_id: int) -> Reporting | None:
    key, mark = settings.access.metrics_key.get_secret_value(), label.parse(settings.label)
    if settings.metrics is None or not key or mark is None:
        return None
    user = Reporter(str(instance_id), settings.name, mark.stack_id).user
    return Reporting(settings.metrics.url, user, password_for(key, user), settings.metrics.interval_seconds)
