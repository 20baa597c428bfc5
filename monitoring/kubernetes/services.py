"""The project's own two programs in the cluster, from one image: the receiver and the fleet exporter.

The receiver's objects are named `door`, as existing clusters have them.
"""

from monitoring.kubernetes.images import OWN, reference
from monitoring.kubernetes.objects import Manifest, Workload, config_map, deployment, service
from monitoring.kubernetes.prometheus import PORTS
from monitoring.kubernetes.settings import EXPORTER_KEYS, EXPORTER_SECRET, RECEIVER_KEY, RECEIVER_SECRET, Settings

USER = 10001  # as Containerfile has it
RECEIVER_PORT = 9443
TLS = "/etc/door"
STACK = "/etc/gpu-fleet"


def receiver(settings: Settings) -> list[Manifest]:
    """Return the receiver: its pod, the service that hosts reach from outside, and the one for its metrics."""
    upstream = settings.prometheus or f"http://prometheus:{PORTS['prometheus']}"
    workload = Workload(
        name="door",
        image=reference(OWN, settings.digests, settings.image),
        user=USER,
        ports={"https": RECEIVER_PORT, "metrics": PORTS["door"]},
        probe=("metrics", "/metrics"),
        memory="256Mi",
        cpu="100m",
        command=["python", "-m", "monitoring.door"],
        arguments=[
            f"--upstream={upstream}",
            "--address=0.0.0.0",
            f"--port={RECEIVER_PORT}",
            f"--certificate={TLS}/tls.crt",
            f"--key={TLS}/tls.key",
            "--metrics-address=0.0.0.0",
            f"--metrics-port={PORTS['door']}",
        ],
        environment={RECEIVER_KEY: (RECEIVER_SECRET, RECEIVER_KEY)},
        mounts={TLS: {"secret": {"secretName": settings.receiver_certificate}}},
    )
    outside = service(
        "door",
        settings.namespace,
        {"https": (443, "https")},
        settings.receiver_service,
        settings.receiver_annotations,
        settings.receiver_node_port,
    )
    inside = service("door", settings.namespace, {"metrics": (PORTS["door"], "metrics")})
    # Two services, so that the internet cannot read the receiver's own metrics.
    outside["metadata"]["name"] = "door-outside"
    return [deployment(workload, settings.namespace), outside, inside]


def exporter(settings: Settings) -> list[Manifest]:
    """Return the fleet exporter: the stack's config without secrets, its pod and its service."""
    file = config_map("exporter-config", settings.namespace, "exporter", {"stack.yaml": settings.stack_file})
    workload = Workload(
        name="exporter",
        image=reference(OWN, settings.digests, settings.image),
        user=USER,
        ports={"metrics": PORTS["exporter"]},
        probe=("metrics", "/metrics"),
        memory="256Mi",
        cpu="50m",
        command=["python", "-m", "monitoring.exporter"],
        arguments=[
            f"--config={STACK}/stack.yaml",
            "--address=0.0.0.0",
            f"--port={PORTS['exporter']}",
            f"--prometheus=http://prometheus:{PORTS['prometheus']}",
        ],
        environment={key: (EXPORTER_SECRET, key) for key in EXPORTER_KEYS},
        # The exporter counts the account's calls in a file of the temporary folder.
        mounts={STACK: {"configMap": {"name": "exporter-config"}}, "/tmp": {"emptyDir": {}}},  # noqa: S108
        files=[file],
    )
    return [
        file,
        deployment(workload, settings.namespace),
        service("exporter", settings.namespace, {"metrics": (PORTS["exporter"], "metrics")}),
    ]
