"""Bring a running instance to an answered completion: connect the renting side with the bootstrap.

Only this module and `host_services` join a rented instance with SSH, the store's presigned URLs and the fleet's CA.
"""

import contextlib
import functools
import math
from dataclasses import dataclass, replace

from bootstrap.boot_timer import disable_timer, heartbeat_command, send_heartbeat
from bootstrap.clock import Clock, Until
from bootstrap.connect import connect
from bootstrap.converge import converge, observe
from bootstrap.draining import drain
from bootstrap.errors import BootstrapError, GateOpen, HostUnreachable, StepFailed
from bootstrap.facts import Facts
from bootstrap.host import Host
from bootstrap.probe import probe
from bootstrap.services import Progress
from bootstrap.start_self_destruct import renew_lease
from providers.store.client import Keys
from providers.vast.api.attached_keys import KeyRing
from providers.vast.api.instance import SSH_PORT, Instance
from providers.vast.create import Served
from providers.vast.host_services import HostServices
from providers.vast.host_spec import spec_of
from providers.vast.key_change import admit, retire
from providers.vast.limits import Limits
from providers.vast.renting.key_attachment import attach
from providers.vast.settings import AccessSettings, InstanceSettings

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
        services = HostServices(self.settings, self.keys, clock, instance.machine_id or 0)
        host = replace(self, clock=clock).connect(instance, host_key, report_progress)
        connected = clock.monotonic()
        with contextlib.closing(host):
            if self.in_state:
                disable_timer(host, spec.name)
            send_heartbeat(host, spec.name, self.limits.unattended_seconds)
            self.renew_lease(host, instance, report_progress)
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
                disable_timer(host, self.settings.name)

    def connect(self, instance: Instance, host_key: str, report_progress: Progress) -> Host:
        """Log in, with the host key pinned. Raises HostUnreachable, HostKeyMismatch."""
        mapped = instance.address(SSH_PORT)
        if mapped is None:
            raise HostUnreachable(f"instance {instance.id} has no direct SSH port")
        # The market may have rewritten the host's keys. An attached key survives that.
        refused = functools.partial(attach, self.keyring, instance.id, report_progress=report_progress)
        sign = heartbeat_command(self.limits.unattended_seconds)
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
            heartbeat=sign,
        )

    def observe(self, instance: Instance, host_key: str, report_progress: Progress) -> Facts:
        """Return the facts of the host, and disable the timer that a recreated container has. Raises bootstrap errors."""
        host = self.connect(instance, host_key, report_progress)
        try:
            if self.in_state:
                with contextlib.suppress(StepFailed):  # the disk may be full; the facts report other faults there
                    disable_timer(host, self.settings.name)
            self.renew_lease(host, instance, report_progress)
            return observe(host, spec_of(self.settings, self._addresses(instance)[0], instance.id))
        finally:
            host.close()

    def renew_lease(self, host: Host, instance: Instance, report_progress: Progress) -> None:
        """Renew the lease of a host that may end itself, and tell it its age and the URL for the word of its end."""
        if self.settings.self_destruct is None:
            return
        now = self.clock.time()
        age = now - (instance.start_date or now)
        word_url = HostServices(self.settings, self.keys, self.clock).last_word_url(instance.id)
        if problem := renew_lease(host, max(0.0, age), word_url):
            report_progress("visit", f"its lease is not renewed, and it cannot leave word of its end: {problem}")

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

    def _addresses(self, instance: Instance) -> tuple[str, int]:
        mapped = instance.address(self.settings.server.port)
        if mapped is None:
            raise HostUnreachable(f"instance {instance.id} has no public port for the gate")
        return mapped
