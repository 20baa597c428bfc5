"""Build the spec of a rented instance's host from the instance's settings, pure."""

from bootstrap.metrics_agent import Reporting
from bootstrap.self_destruct_config import SelfDestruct
from bootstrap.spec import EndpointSpec, Preflight
from providers.identity.metrics_credentials import Reporter, password_for
from providers.vast.api import label
from providers.vast.search.start_time import SLOW_SHARE
from providers.vast.settings import InstanceSettings

SEEN_SHARE = 0.95  # share of the advertised memory: the kernel keeps some


def spec_of(settings: InstanceSettings, address: str, instance_id: int) -> EndpointSpec:
    """Return the specification of this instance's host behind this address."""
    required, server = settings.requirements, settings.server
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
        self_destruct=_self_destruct(settings),
        reference_url=settings.store.reference_url,
        store_patience_seconds=settings.to_limits().store_patience_seconds,
        preflight=Preflight(
            gpu_names=required.gpu_names,
            gpu_count=required.gpu_count,
            gpu_ram_mb=int(required.gpu_ram_gb * 1000),
            disk_gb=settings.start_cost.bytes / 1e9,
            download_mbps=required.download_mbps * SLOW_SHARE,
            cuda=settings.needs.cuda or 0,
            cuda_required=required.min_cuda > 0,
            capability=settings.needs.capability / 100,
            gpu_celsius=settings.preflight.gpu_celsius,
            cpu_cores=max(settings.preflight.cpu_cores, required.cpu_cores),
            memory_mb=max(settings.preflight.memory_gb, required.memory_gb * SEEN_SHARE) * 1000,
            disk_mbps=settings.preflight.disk_mbps,
            clock_seconds=settings.preflight.clock_seconds,
        ),
    )


def _self_destruct(settings: InstanceSettings) -> SelfDestruct | None:
    limits = settings.self_destruct
    if limits is None:
        return None
    idle, hours, lease = limits.idle_minutes, limits.max_hours, limits.lease_minutes
    return SelfDestruct(
        settings.market.url_of_hosts,
        idle=idle and idle * 60,
        lifetime=hours and hours * 3600,
        lease=lease and lease * 60,
    )


def _reporting(settings: InstanceSettings, instance_id: int) -> Reporting | None:
    key, mark = settings.access.metrics_key.get_secret_value(), label.parse(settings.label)
    if settings.metrics is None or not key or mark is None:
        return None
    user = Reporter(str(instance_id), settings.name, mark.stack_id).user
    ca = settings.access.ca_certificate if settings.metrics.own_ca else ""
    return Reporting(settings.metrics.url, user, password_for(key, user), settings.metrics.interval_seconds, ca)
