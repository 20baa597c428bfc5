"""Turn the kubeconfig of a k3s server into one for its operator: the public address in it, CA and certificate checked."""

import base64
import hashlib
import ipaddress
from typing import Any

import yaml

from providers.cluster.errors import ClusterError

PATH = "/etc/rancher/k3s/k3s.yaml"
PORT = 6443
RENEW_DAYS = 60  # before the end of the client certificate; k3s makes a new one at a start within 120 days of it


def public(text: str, address: str) -> str:
    """Return the kubeconfig with the public address. Raises ClusterError if it is not one that k3s writes."""
    document = _document(text)
    url = f"https://{_host(address)}:{PORT}"
    document["clusters"][0]["cluster"]["server"] = url
    return yaml.safe_dump(document, sort_keys=False)


def authority(text: str) -> str:
    """Return the SHA-256 of the CA in a kubeconfig: it tells a cluster from another at the same address."""
    return hashlib.sha256(_pem(_document(text)["clusters"][0]["cluster"], "certificate-authority-data")).hexdigest()


def certificate_end(text: str) -> float:
    """Return the unix seconds at which the client certificate of a kubeconfig ends. Raises ClusterError."""
    from cryptography import x509  # noqa: PLC0415 -- heavy, and most commands do not read one

    try:
        pem = _pem(_document(text)["users"][0]["user"], "client-certificate-data")
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
    except ValueError:
        raise ClusterError(f"the client certificate in {PATH} cannot be read") from None


def ends_soon(end: float, now: float) -> bool:
    """Say whether an update should read the kubeconfig anew."""
    return end - now < RENEW_DAYS * 86_400


def _document(text: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(text)
        _pem(document["clusters"][0]["cluster"], "certificate-authority-data")
        _pem(document["users"][0]["user"], "client-certificate-data")
    except (yaml.YAMLError, KeyError, IndexError, TypeError, ValueError):
        raise ClusterError(f"{PATH} on the server is no kubeconfig as k3s writes it") from None
    found: dict[str, Any] = document
    return found


def _pem(part: Any, key: str) -> bytes:
    pem = base64.b64decode(part[key], validate=True)
    if not pem.startswith(b"-----BEGIN CERTIFICATE-----"):
        raise ValueError(key)
    return pem


def _host(address: str) -> str:
    return f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
