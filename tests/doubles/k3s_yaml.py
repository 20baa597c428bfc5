"""A kubeconfig as k3s writes it, with a CA and a client certificate that ends in 2030."""

import base64
from datetime import UTC, datetime

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

END = 1_900_000_000


def _made() -> tuple[str, str, str]:
    """Return a CA, a client certificate and its key, in base64."""
    ca, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "k3s-server-ca")])

    def certified(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> bytes:
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.fromtimestamp(END - 365 * 86_400, UTC))
            .not_valid_after(datetime.fromtimestamp(END, UTC))
        )
        return built.sign(ca, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    admin = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "system:admin")])
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    parts = certified(issuer, ca.public_key()), certified(admin, key.public_key()), private
    first, second, third = (base64.b64encode(part).decode() for part in parts)
    return first, second, third


_CA, _CERTIFICATE, _KEY = _made()
K3S_YAML = yaml.safe_dump(
    {
        "apiVersion": "v1",
        "clusters": [
            {"cluster": {"certificate-authority-data": _CA, "server": "https://127.0.0.1:6443"}, "name": "default"}
        ],
        "contexts": [{"context": {"cluster": "default", "user": "default"}, "name": "default"}],
        "current-context": "default",
        "kind": "Config",
        "preferences": {},
        "users": [{"name": "default", "user": {"client-certificate-data": _CERTIFICATE, "client-key-data": _KEY}}],
    },
    sort_keys=False,
)
