"""The manifests of the controller of elastic fleets in a cluster, without Secrets: pure functions, as kubectl takes them."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from config.controller_kubernetes import ControllerKubernetesConfig
from monitoring.kubernetes.network_policies import HTTPS, Network, Peer, Pods, Way, policies
from monitoring.kubernetes.objects import Manifest, Workload, claim, config_map, deployment, service
from monitoring.kubernetes.settings import CONTROLLER, CONTROLLER_PORT

# Names and keys of the Secrets that the program makes besides the manifests.
CONTROLLER_SECRET, DSN = "controller-keys", "GPU_FLEET_DSN"
POSTGRES_SECRET, POSTGRES_PASSWORD = "postgres-password", "POSTGRES_PASSWORD"
CERTIFICATE_SECRET = "controller-certificate"  # noqa: S105 -- a name: of the API, if clients from outside reach it

POSTGRES, POSTGRES_PORT = "postgres", 5432
DATABASE = "controller"  # the name of the database and of its user
POSTGRES_HOME = "/var/lib/postgresql"
POSTGRES_USER = 999  # the image's user
USER = 10001  # as Containerfile.controller has it
PROJECT_FOLDER = "/opt/gpu-fleet"  # as Containerfile.controller has it
WORK = "/work"  # Pulumi's home, and a folder for each slot that moves
TLS, TLS_PORT = "/etc/controller", 8443
OUTSIDE = "controller-outside"  # the service at a port of the node
STACK_FILE = "controller-stack"  # the ConfigMap with the part of the stack's file that says how it encrypts
GRACE_SECONDS = 60  # in which commands of Pulumi give up their locks; the next controller adopts the unfinished work
OWN_MB, SLOT_MB = 512, 256  # memory of the controller itself, and of each slot whose stack runs; in MiB
SSH, UNPRIVILEGED, LAST_PORT = 22, 1024, 65535
# Networks that the internet does not route: nodes, pods, services, and the metadata of a cloud's machines.
PRIVATE_4 = ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
PRIVATE_6 = ("::1/128", "fc00::/7", "fe80::/10")
INTERNET = (Network("0.0.0.0/0", PRIVATE_4), Network("::/0", PRIVATE_6))


@dataclass(frozen=True)
class ControllerSettings:
    """The settings that the manifests follow from.

    `stack`: the name of the stack; `secret_keys`: the variables that the controller's Secret holds; `own_postgres`: whether
    the cluster runs PostgreSQL; `watched_from`: the namespace of our Prometheus in this cluster, if it has one;
    `encryption`: the keys of the stack's file that say how the stack encrypts; `api_port`: of the node, at which clients of
    config's networks reach the API over TLS, 0 for none. None of them is a secret.
    """

    section: ControllerKubernetesConfig
    stack: str
    backend: str
    secret_keys: Collection[str]
    own_postgres: bool
    watched_from: str = ""
    encryption: Mapping[str, str] = field(default_factory=dict)
    api_port: int = 0


def manifests(settings: ControllerSettings) -> list[Manifest]:
    """Return every object in the order of creation: policies, PostgreSQL if it is ours, the controller."""
    return [
        *policies(settings.section.namespace, ways(settings)),
        *(postgres(settings) if settings.own_postgres else []),
        *controller(settings),
    ]


def ways(settings: ControllerSettings) -> list[Way]:
    """Return the connections that pods and clients may open. The policies deny all else, in both directions."""
    section = settings.section
    callers: list[Peer] = [
        *([Pods(settings.watched_from, "prometheus")] if settings.watched_from else []),
        *(Pods(namespace) for namespace in section.client_namespaces),
    ]
    clients = [Network(network) for network in section.client_networks]
    return [
        *(Way(caller, CONTROLLER, CONTROLLER_PORT) for caller in callers),
        # Clients from outside come over TLS, if the API has it.
        *(Way(client, CONTROLLER, TLS_PORT if settings.api_port else CONTROLLER_PORT) for client in clients),
        *([Way(CONTROLLER, POSTGRES, POSTGRES_PORT)] if settings.own_postgres else []),
        *(Way(CONTROLLER, Network(network), None) for network in section.networks),
        # Market, bucket and state backend; SSH and gate of hosts, whose ports the market maps to any above 1023.
        *(Way(CONTROLLER, internet, port) for internet in INTERNET for port in (HTTPS, SSH)),
        *(Way(CONTROLLER, internet, UNPRIVILEGED, LAST_PORT) for internet in INTERNET),
    ]


def controller(settings: ControllerSettings) -> list[Manifest]:
    """Return the controller's pod, its service, and how the stack encrypts.

    One pod, which an update ends before it starts the next. A second one could only wait: an advisory lock in PostgreSQL lets
    one controller decide. While none runs, hosts serve on, and leases of 15 minutes bridge the gap.
    """
    section, stack_file = settings.section, f"Pulumi.{settings.stack}.yaml"
    # A slot's stack encrypts as the main stack does, so one passphrase or one key of a provider opens all.
    encryption = config_map(
        STACK_FILE, section.namespace, CONTROLLER, {stack_file: json.dumps(dict(settings.encryption), indent=1)}
    )
    files = [encryption] if settings.encryption else []
    outside = settings.api_port > 0
    over_tls = {"GPU_FLEET_TLS": TLS, "GPU_FLEET_TLS_LISTEN": f"0.0.0.0:{TLS_PORT}"} if outside else {}
    certificate = {TLS: {"secret": {"secretName": CERTIFICATE_SECRET}}} if outside else {}
    workload = Workload(
        name=CONTROLLER,
        image=section.image,
        user=USER,
        ports={"http": CONTROLLER_PORT, **({"https": TLS_PORT} if outside else {})},
        probe=("http", "/healthz"),
        ready_path="/readyz",
        memory=f"{section.memory_mb}Mi",
        cpu="500m",
        command=["python", "-m", "controller"],
        variables={
            "GPU_FLEET_STACK": settings.stack,
            "GPU_FLEET_LISTEN": f"0.0.0.0:{CONTROLLER_PORT}",
            **over_tls,
            "GPU_FLEET_PROJECT": PROJECT_FOLDER,
            "GPU_FLEET_WORK": f"{WORK}/slots",
            "GPU_FLEET_BOOTS_AT_ONCE": str(max(1, (section.memory_mb - OWN_MB) // SLOT_MB)),
            "PULUMI_BACKEND_URL": settings.backend,
            "PULUMI_HOME": f"{WORK}/pulumi",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "HOME": WORK,
            "USER": CONTROLLER,  # of an image without an account of that number: Pulumi runs nothing without a name
        },
        environment={key: (CONTROLLER_SECRET, key) for key in sorted(settings.secret_keys)},
        mounts={WORK: {"emptyDir": {}}, "/tmp": {"emptyDir": {}}, **certificate},  # noqa: S108 -- the container's own
        single_files={f"{PROJECT_FOLDER}/{stack_file}": (STACK_FILE, stack_file) for _one in files},
        files=files,
        grace_seconds=GRACE_SECONDS,
        # A pod that was killed leaves Pulumi's locks with its name. The next one breaks those whose process it lacks. If the
        # old one still runs somewhere, it holds the slots' locks in PostgreSQL, too.
        hostname=CONTROLLER,
    )
    return [
        *files,
        deployment(workload, section.namespace),
        service(CONTROLLER, section.namespace, {"http": (CONTROLLER_PORT, "http")}),
        *([_door(section.namespace, settings.api_port)] if outside else []),
    ]


def _door(namespace: str, port: int) -> Manifest:
    """Return the service by which clients from outside reach the API at a port of the node."""
    made = service(CONTROLLER, namespace, {"https": (HTTPS, "https")}, "NodePort", node_port=port, keeps_source=True)
    made["metadata"]["name"] = OUTSIDE
    return made


def postgres(settings: ControllerSettings) -> list[Manifest]:
    """Return PostgreSQL: its disk, its pod and its service, which only the controller may reach."""
    section = settings.section
    workload = Workload(
        name=POSTGRES,
        image=section.postgres_image,
        user=POSTGRES_USER,
        ports={"postgres": POSTGRES_PORT},
        # Over TCP: while the image makes the database, PostgreSQL listens on a socket file alone.
        probe=["pg_isready", "--host=127.0.0.1", f"--username={DATABASE}", f"--dbname={DATABASE}"],
        memory="512Mi",
        cpu="100m",
        variables={
            "POSTGRES_USER": DATABASE,
            "POSTGRES_DB": DATABASE,
            "PGDATA": f"{POSTGRES_HOME}/18/docker",
        },
        environment={POSTGRES_PASSWORD: (POSTGRES_SECRET, POSTGRES_PASSWORD)},
        mounts={
            POSTGRES_HOME: {"persistentVolumeClaim": {"claimName": "postgres-data"}},
            "/var/run/postgresql": {"emptyDir": {}},
            "/tmp": {"emptyDir": {}},  # noqa: S108 -- the container's own
        },
        grace_seconds=GRACE_SECONDS,
    )
    return [
        claim("postgres-data", section.namespace, POSTGRES, section.storage_gb, section.storage_class),
        deployment(workload, section.namespace),
        service(POSTGRES, section.namespace, {"postgres": (POSTGRES_PORT, "postgres")}),
    ]


def dsn(password: str) -> str:
    """Return the connection string of our own PostgreSQL. It holds the password."""
    return f"host={POSTGRES} port={POSTGRES_PORT} dbname={DATABASE} user={DATABASE} password={password}"
