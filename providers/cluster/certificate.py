"""Make the certificate of the cluster's own receiver: a key of its own, signed by the stack's CA, for the address."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from providers.identity.authority import end_of, sign_csr

DAYS = 365
RENEW_DAYS = 120  # before its end an update renews it: a stack that is applied every few months has a valid one


def fresh(addresses: tuple[str, ...], ca_key: str, ca_certificate: str, now: float) -> dict[str, Any]:
    """Return `certificate` and `key`, PEM, and `end` in unix seconds. Raises ValueError if the CA cannot sign."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    text = request.public_bytes(serialization.Encoding.PEM).decode()
    certificate = sign_csr(ca_key, ca_certificate, text, addresses, datetime.fromtimestamp(now, UTC), DAYS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {"certificate": certificate, "key": private.decode(), "end": end_of(certificate)}


def is_due(state: Mapping[str, Any], now: float) -> bool:
    """Say whether the certificate of a state should be renewed."""
    return float(state.get("end") or 0.0) - now < RENEW_DAYS * 86_400
