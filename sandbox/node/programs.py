"""The node's programs: their arguments, and in which order they start."""

from dataclasses import dataclass
from pathlib import PurePath

from sandbox.node.files import CONTAINERD_SOCKET
from sandbox.node.plan import (
    API_PORT,
    ETCD_PEER_PORT,
    ETCD_PORT,
    INSIDE,
    NODE,
    SERVICES,
    Plan,
)

STORE = f"http://127.0.0.1:{ETCD_PORT}"
KEYS, SETTINGS = f"{INSIDE}/keys", f"{INSIDE}/settings"


@dataclass(frozen=True)
class Program:
    """One program. It starts when the one named `after` is ready, which `ready` tells: a URL, or an existing path.

    It is started again when it ends, unless it runs `once`: then its success is what makes it ready.
    """

    name: str
    arguments: tuple[str, ...]
    after: str = ""
    ready: str = ""
    once: bool = False
    label: str = ""

    @property
    def key(self) -> str:
        """Return the name of its log, which each program has to itself."""
        return self.label or self.name


def programs(plan: Plan) -> tuple[Program, ...]:
    """Return every program in the order of the start."""
    return (
        Program("etcd", etcd(), ready=f"{STORE}/health"),
        Program("containerd", (f"--config={SETTINGS}/containerd.toml",), ready=CONTAINERD_SOCKET),
        *(images_of(plan)),
        Program("kube-apiserver", api_server(plan), "etcd", f"https://127.0.0.1:{API_PORT}/readyz"),
        Program("kube-controller-manager", controllers(plan), "kube-apiserver"),
        Program("kube-scheduler", scheduler(), "kube-apiserver"),
        Program("kubelet", kubelet(plan), "kube-apiserver"),
        Program("kube-proxy", (f"--config={SETTINGS}/proxy.yaml",), "kube-apiserver"),
        Program("kube-router", policies(), "kube-apiserver"),
    )


def images_of(plan: Plan) -> list[Program]:
    """Return the imports of images, one after the other."""
    found, after = [], "containerd"
    for archive in plan.images:
        label = image_label(archive)
        words = (f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io", "images", "import", archive)
        found.append(Program("ctr", words, after, once=True, label=label))
        after = label
    return found


def image_label(archive: str) -> str:
    """Return the name of an import's log.

    >>> image_label("/cache/prometheus.tar")
    'image-prometheus'
    """
    return f"image-{PurePath(archive).stem}"


def etcd() -> tuple[str, ...]:
    """Return etcd's arguments. Its data may be lost with the machine, so it need not wait for the disk."""
    return (
        f"--data-dir={INSIDE}/etcd",
        f"--listen-client-urls={STORE}",
        f"--advertise-client-urls={STORE}",
        f"--listen-peer-urls=http://127.0.0.1:{ETCD_PEER_PORT}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )


def api_server(plan: Plan) -> tuple[str, ...]:
    """Return the API server's arguments. Its address is the node's, which only this machine reaches."""
    return (
        f"--etcd-servers={STORE}",
        "--bind-address=0.0.0.0",
        f"--advertise-address={plan.address}",
        f"--secure-port={API_PORT}",
        f"--tls-cert-file={KEYS}/server.crt",
        f"--tls-private-key-file={KEYS}/server.key",
        f"--client-ca-file={KEYS}/ca.crt",
        f"--token-auth-file={SETTINGS}/tokens.csv",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--service-cluster-ip-range={SERVICES}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={KEYS}/accounts.pub",
        f"--service-account-signing-key-file={KEYS}/accounts.key",
        f"--kubelet-certificate-authority={KEYS}/ca.crt",
        f"--kubelet-client-certificate={KEYS}/api-client.crt",
        f"--kubelet-client-key={KEYS}/api-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",
    )


def controllers(plan: Plan) -> tuple[str, ...]:
    """Return the controller manager's arguments: every controller runs."""
    return (
        f"--kubeconfig={KEYS}/controllers.kubeconfig",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={KEYS}/accounts.key",
        f"--root-ca-file={KEYS}/ca.crt",
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={plan.pods}",
        "--node-cidr-mask-size=24",
    )


def scheduler() -> tuple[str, ...]:
    """Return the scheduler's arguments."""
    return (f"--kubeconfig={KEYS}/scheduler.kubeconfig", "--leader-elect=false", "--bind-address=127.0.0.1")


def kubelet(plan: Plan) -> tuple[str, ...]:
    """Return the kubelet's arguments."""
    return (
        f"--config={SETTINGS}/kubelet.yaml",
        f"--kubeconfig={KEYS}/kubelet.kubeconfig",
        f"--hostname-override={NODE}",
        f"--root-dir={INSIDE}/kubelet",
        f"--node-ip={plan.address}",
    )


def policies() -> tuple[str, ...]:
    """Return kube-router's arguments: network policies alone, as k3s uses it."""
    return (
        f"--kubeconfig={KEYS}/policies.kubeconfig",
        f"--hostname-override={NODE}",
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        "--run-loadbalancer=false",
        "--health-port=0",
        f"--service-cluster-ip-range={SERVICES}",
    )
