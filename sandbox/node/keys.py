"""The node's certificate authority, and the certificates and kubeconfigs of its programs."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.node.plan import API_PORT, API_SERVICE, INSIDE, NODE, Plan
from sandbox.services.certificate import SKEW, builder, pem, private_pem, public_pem, usage

MASTERS = "system:masters"


@dataclass(frozen=True)
class Subject:
    """Who shows a certificate: as a user of the API server `name` in `groups`, or as a server at `names`."""

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
    authority = _Authority.fresh(start)
    files = {"ca.crt": authority.text}
    for name, subject in subjects(plan).items():
        files[f"{name}.crt"], files[f"{name}.key"] = authority.issue(subject, start)
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
    return document(cluster, user)


def document(cluster: Mapping[str, object], user: Mapping[str, object]) -> str:
    """Return a kubeconfig with one cluster and one user."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "sandbox",
            "clusters": [{"name": "sandbox", "cluster": dict(cluster)}],
            "users": [{"name": "sandbox", "user": dict(user)}],
            "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": "sandbox"}}],
        },
        sort_keys=False,
    )


@dataclass(frozen=True)
class _Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def fresh(cls, start: datetime) -> "_Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(Subject("gpu-fleet sandbox node CA"))
        made = (
            builder(name, name, key, start)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(key, made.sign(key, hashes.SHA256()))

    @property
    def text(self) -> str:
        return pem(self.certificate)

    def issue(self, subject: Subject, start: datetime) -> tuple[str, str]:
        """Return a certificate and its key as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        made = (
            builder(_name(subject), self.certificate.subject, key, start)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if subject.names:
            made = made.add_extension(x509.SubjectAlternativeName(_alternatives(subject.names)), critical=False)
        signed = made.sign(self.key, hashes.SHA256())
        return pem(signed), private_pem(key)


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _name(subject: Subject) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in subject.groups]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, subject.name)])
