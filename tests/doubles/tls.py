"""A CA of ours with one leaf, made by the rules that fleets use."""

from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from providers.identity.authority import new_ca, sign_csr


@dataclass(frozen=True)
class Pair:
    """A server's certificate and key, and the CA that a client trusts; all PEM."""

    ca: str
    certificate: str
    key: str


def csr(key: ec.EllipticCurvePrivateKey | None = None) -> tuple[str, str]:
    """Return a certificate request as a host sends it, and its private key."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return request.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


def pair(addresses: tuple[str, ...]) -> Pair:
    """Return a leaf for these addresses, from a new CA."""
    now = datetime.now(UTC)
    authority = new_ca("a" * 16, now)
    request, key = csr()
    return Pair(authority.certificate, sign_csr(authority.key, authority.certificate, request, addresses, now), key)
