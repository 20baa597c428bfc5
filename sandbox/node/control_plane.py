"""The programs of a cluster of one node: store, API server and controllers, and then the node's own."""

from sandbox.node.plan import API_PORT, ETCD_PEER_PORT, ETCD_PORT, INSIDE, SERVICES, Plan
from sandbox.node.programs import Program, of_node

STORE = f"http://127.0.0.1:{ETCD_PORT}"
KEYS, SETTINGS = f"{INSIDE}/keys", f"{INSIDE}/settings"


def programs(plan: Plan) -> tuple[Program, ...]:
    """Return every program in the order of the start."""
    return (
        Program("etcd", etcd(), ready=f"{STORE}/health"),
        Program("kube-apiserver", api_server(plan), "etcd", f"https://127.0.0.1:{API_PORT}/readyz"),
        Program("kube-controller-manager", controllers(plan), "kube-apiserver"),
        *of_node(plan.site, plan.images, "kube-apiserver"),
    )


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
