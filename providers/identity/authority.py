"""Run the fleet's certificate authority: clients trust only it, and it signs certificates of 90 days for hosts.

A host makes its key itself and sends a request; only the public key is taken from it. We set names and lifetime, so that a
landlord who forges a request only gets a certificate for his own address.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bootstrap.errors import SpecInvalid

CA_DAYS = 5 * 365
CA_RENEW_DAYS = 180  # before the CA's end an update renews its certificate; clients have that long to take the new one
LEAF_DAYS = 90
DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z][a-z0-9-]{0,61}[a-z0-9]\Z", re.IGNORECASE
)
BACKDATED = timedelta(hours=1)  # clocks of clients may be late


@dataclass(frozen=True)
class Authority:
    """Hold a CA's key and certificate, both PEM."""

    key: str = field(repr=False)
    certificate: str


class RequestRefusedError(ValueError):
    """A host's certificate request cannot be signed."""


def new_ca(stack_id: str, now: datetime, days: int = CA_DAYS) -> Authority:
    """Make a CA (EC P-256) that may sign leaves only, valid from an hour before `now` (with a time zone)."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"gpu-fleet {stack_id}")])
    return Authority(private.decode(), _ca_certificate(key, subject, now, days))


def renewed_ca(authority: Authority, now: datetime, days: int = CA_DAYS) -> Authority:
    """Return the CA with a new certificate under the same name and key, so that its signatures fit both certificates.

    Raises SpecInvalid if key and certificate do not belong together.
    """
    key, certificate = _loaded(authority.key, authority.certificate)
    return Authority(authority.key, _ca_certificate(key, certificate.subject, now, days))


def ends_soon(ca_certificate_pem: str, now: datetime) -> bool:
    """Return whether an update should renew the CA's certificate: it ends within CA_RENEW_DAYS or has ended.

    Returns False for an unreadable certificate; `sign_csr` then raises the error.
    """
    try:
        end = end_of(ca_certificate_pem)
    except ValueError:
        return False
    return end - now.timestamp() < CA_RENEW_DAYS * 86_400


def _ca_certificate(key: ec.EllipticCurvePrivateKey, subject: x509.Name, now: datetime, days: int) -> str:
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate)


def _loaded(key_pem: str, certificate_pem: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    key = serialization.load_pem_private_key(key_pem.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise SpecInvalid("the CA's key does not belong to its certificate; the stack's state was edited or damaged")
    return key, certificate


def sign_csr(
    ca_key_pem: str,
    ca_certificate_pem: str,
    csr_pem: str,
    addresses: tuple[str, ...],
    now: datetime,
    days: int = LEAF_DAYS,
) -> str:
    """Return a server certificate, PEM, for the public key of a request and for our `addresses` (IPs or DNS names).

    It never outlives the CA. Raises RequestRefusedError if the request cannot be parsed, is not signed by its own key, or
    has a key that is not on P-256. Also if an address, which comes from the market, is neither an IP nor a DNS name.
    Raises ValueError if the CA has ended or there are no addresses.
    """
    if not addresses:
        raise ValueError("a certificate needs at least one address")
    key = _requested_key(csr_pem)
    ca_key, ca = _loaded(ca_key_pem, ca_certificate_pem)
    if ca.not_valid_after_utc <= now:
        raise SpecInvalid(
            f"the fleet's CA ended on {ca.not_valid_after_utc:%Y-%m-%d}: it signs nothing more. "
            "`pulumi up` renews it; clients then take the stack's output caCertificate anew"
        )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gpu-fleet host")]))
        .issuer_name(ca.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(now - BACKDATED, ca.not_valid_before_utc))
        .not_valid_after(min(now + timedelta(days=days), ca.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_name(address) for address in addresses]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return _pem(certificate)


def end_of(certificate_pem: str) -> float:
    """Return the unix seconds at which a certificate ends. Raises ValueError if it does not parse."""
    return x509.load_pem_x509_certificate(certificate_pem.encode()).not_valid_after_utc.timestamp()


def _requested_key(csr_pem: str) -> ec.EllipticCurvePublicKey:
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        key = request.public_key()
        signed = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        raise RequestRefusedError("the host's certificate request cannot be read") from None
    if not signed:
        raise RequestRefusedError("the host's certificate request is not signed by the key that it carries")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RequestRefusedError("the host's certificate request carries a key that is not on P-256")
    return key


def _name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        pass
    if not DNS_NAME.match(address):
        raise RequestRefusedError(
            f"{address!r} is neither an IP address nor a DNS name; no certificate can be made for it"
        )
    return x509.DNSName(address)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
