"""Make the cluster's certificates: two authorities, the key of service accounts, and the certificates that they sign."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITIES = ("server-ca", "client-ca")
# Files of the cluster, not of one server: a server that takes its place needs the same.
OF_CLUSTER = ("server-ca.crt", "server-ca.key", "client-ca.crt", "client-ca.key", "service.key")
YEARS_OF_CA, DAYS = 10, 365
Key = ec.EllipticCurvePrivateKey


def make_authorities(folder: Path) -> None:
    """Make both authorities and the key of service accounts."""
    for name in AUTHORITIES:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"k3s-{name}@{int(_now().timestamp())}")])
        built = _builder(subject, subject, key, 365 * YEARS_OF_CA)
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        _write(folder / f"{name}.crt", _pem(built.sign(key, hashes.SHA256())))
        _write(folder / f"{name}.key", _private(key))
    _write(folder / "service.key", _private(ec.generate_private_key(ec.SECP256R1())))


def make_serving(folder: Path, name: str, user: str, names: Iterable[str]) -> None:
    """Make a server's certificate for these names and addresses. `user`: its name as the certificate has it."""
    texts = sorted(set(names))
    alternative = [
        x509.IPAddress(ipaddress.ip_address(each)) if _is_address(each) else x509.DNSName(each) for each in texts
    ]
    key, built = _leaf(folder, "server-ca", user, "", ExtendedKeyUsageOID.SERVER_AUTH)
    built = built.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
    _sign(folder, name, "server-ca", key, built)


def make_client(folder: Path, name: str, user: str, group: str) -> None:
    """Make a client's certificate, unless it is there and of this authority."""
    if (folder / f"{name}.crt").exists() and _is_ours(folder, name):
        return
    key, built = _leaf(folder, "client-ca", user, group, ExtendedKeyUsageOID.CLIENT_AUTH)
    _sign(folder, name, "client-ca", key, built)


def _leaf(
    folder: Path, authority: str, user: str, group: str, usage: x509.ObjectIdentifier
) -> tuple[Key, x509.CertificateBuilder]:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    names += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    issuer = _certificate(folder / f"{authority}.crt").subject
    built = _builder(x509.Name(names), issuer, key, DAYS)
    return key, built.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)


def _sign(folder: Path, name: str, authority: str, key: Key, built: x509.CertificateBuilder) -> None:
    signer = serialization.load_pem_private_key((folder / f"{authority}.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    _write(folder / f"{name}.crt", _pem(built.sign(signer, hashes.SHA256())))
    _write(folder / f"{name}.key", _private(key))


def _is_ours(folder: Path, name: str) -> bool:
    return _certificate(folder / f"{name}.crt").issuer == _certificate(folder / "client-ca.crt").subject


def _certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, days: int) -> x509.CertificateBuilder:
    start = _now() - dt.timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=days))
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(mode=0o600)
    file.write_bytes(content)
