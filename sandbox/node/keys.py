"""The node's certificate authority, and the certificates and kubeconfigs of its programs."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.node.plan import API_PORT, API_SERVICE, INSIDE, NODE, Plan
from sandbox.services.certificate import SKEW, Authority, private_pem, public_pem
from sandbox.services.kubeconfig import kubeconfig_text

MASTERS = "system:masters"
USES = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)


@dataclass(frozen=True)
class Subject:
    """The holder of a certificate: as a user of the API server `name` in `groups`, or as a server at `names`."""

    name: str
    groups: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def subjects(plan: Plan) -> dict[str, Subject]:
    """Return the certificates to make, by file name."""
    served = ("127.0.0.1", plan.address, API_SERVICE, "kubernetes.default.svc", "localhost")
    return {
        "server": Subject("kube-apiserver", names=served),
        "kubelet": Subject(f"system:node:{NODE}", ("system:nodes",), (plan.address, NODE)),
        "api-client": Subject("kube-apiserver-kubelet-client", (MASTERS,)),
        "controllers": Subject("system:kube-controller-manager"),
        "scheduler": Subject("system:kube-scheduler"),
        "proxy": Subject("system:kube-proxy"),
        "policies": Subject("kube-router"),
    }


# Those that reach the API server by a kubeconfig of their own.
CLIENTS = ("kubelet", "controllers", "scheduler", "proxy", "policies")


def write(plan: Plan, folder: Path) -> str:
    """Write every key, certificate and kubeconfig into a folder; return the CA as PEM."""
    folder.mkdir(mode=0o700, parents=True)
    start = datetime.now(UTC) - SKEW
    authority = Authority.fresh("gpu-fleet sandbox node CA", start)
    files = {"ca.crt": authority.text}
    for name, subject in subjects(plan).items():
        files[f"{name}.crt"], files[f"{name}.key"] = authority.issue(_name(subject), subject.names, USES, start)
    accounts = ec.generate_private_key(ec.SECP256R1())
    files |= {"accounts.key": private_pem(accounts), "accounts.pub": public_pem(accounts)}
    files |= {f"{name}.kubeconfig": kubeconfig(name) for name in CLIENTS}
    for name, text in files.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    return authority.text


def kubeconfig(name: str) -> str:
    """Return the kubeconfig of one of the node's programs, which is inside and logs in by certificate."""
    keys = f"{INSIDE}/keys"
    cluster = {"server": f"https://127.0.0.1:{API_PORT}", "certificate-authority": f"{keys}/ca.crt"}
    user = {"client-certificate": f"{keys}/{name}.crt", "client-key": f"{keys}/{name}.key"}
    return kubeconfig_text(cluster, user)


def _name(subject: Subject) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in subject.groups]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, subject.name)])
