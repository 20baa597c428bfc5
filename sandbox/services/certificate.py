"""Issues a certificate authority and one certificate for a TLS service of the sandbox."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = timedelta(days=365)
SKEW = timedelta(hours=1)


@dataclass(frozen=True)
class Certificate:
    """PEM texts. Clients trust `ca`; the service shows `chain` and holds `key`. Nothing keeps the CA's key."""

    ca: str
    chain: str
    key: str


@dataclass(frozen=True)
class Authority:
    """A certificate authority, which signs certificates of clients and servers."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def fresh(cls, name: str, start: datetime) -> "Authority":
        """Make an authority that is valid for a year from `start`."""
        key = ec.generate_private_key(ec.SECP256R1())
        named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            builder(named, named, key, start)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(key, made.sign(key, hashes.SHA256()))

    @property
    def text(self) -> str:
        """Return its certificate as PEM."""
        return pem(self.certificate)

    def issue(
        self, subject: x509.Name, names: Sequence[str], uses: Sequence[x509.ObjectIdentifier], start: datetime
    ) -> tuple[str, str]:
        """Return a certificate and its key as PEM. `names`: DNS names and addresses of a server; none for a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            builder(subject, self.certificate.subject, key, start)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(list(map(_alternative, names))), critical=False)
        return pem(made.sign(self.key, hashes.SHA256())), private_pem(key)


def issue(name: str, now: datetime | None = None) -> Certificate:
    """Make a CA and a certificate for the DNS name `name`, valid for a year."""
    start = (now or datetime.now(UTC)) - SKEW
    authority = Authority.fresh(f"gpu-fleet sandbox CA for {name}", start)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    chain, key = authority.issue(subject, [name], [ExtendedKeyUsageOID.SERVER_AUTH], start)
    return Certificate(ca=authority.text, chain=chain, key=key)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime
) -> x509.CertificateBuilder:
    """Return the beginning of a certificate that is valid for a year."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + LIFE)
    )


def usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """Return what a key is for: to sign certificates, or to log in and to serve."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def pem(certificate: x509.Certificate) -> str:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a private key as PEM, without a password."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a private key's public half as PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
