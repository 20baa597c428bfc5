"""The fleet's CA: what it signs, what it refuses, and that only the public key comes from a host."""

import base64
import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from providers.identity.authority import RequestRefusedError, end_of, ends_soon, new_ca, renewed_ca, sign_csr
from tests.doubles.tls import csr

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
CA = new_ca("a" * 16, NOW)


def signed(request: str, addresses: tuple[str, ...] = ("203.0.113.7",), now: datetime = NOW) -> x509.Certificate:
    return x509.load_pem_x509_certificate(sign_csr(CA.key, CA.certificate, request, addresses, now).encode())


def verify(
    leaf: x509.Certificate, name: x509.IPAddress | x509.DNSName, when: datetime, ca: str = CA.certificate
) -> None:
    store = Store([x509.load_pem_x509_certificate(ca.encode())])
    PolicyBuilder().store(store).time(when).build_server_verifier(name).verify(leaf, [])


def test_a_leaf_verifies_for_its_addresses_until_it_ends() -> None:
    leaf = signed(csr()[0], ("203.0.113.7", "chat.example.net"))

    for name in (x509.IPAddress(ipaddress.ip_address("203.0.113.7")), x509.DNSName("chat.example.net")):
        verify(leaf, name, NOW + timedelta(days=89))
        with pytest.raises(x509.verification.VerificationError):
            verify(leaf, name, NOW + timedelta(days=91))
    with pytest.raises(x509.verification.VerificationError):
        verify(leaf, x509.DNSName("other.example.net"), NOW)


def test_another_fleets_ca_does_not_verify_it() -> None:
    other = new_ca("b" * 16, NOW)

    with pytest.raises(x509.verification.VerificationError):
        verify(signed(csr()[0]), x509.IPAddress(ipaddress.ip_address("203.0.113.7")), NOW, other.certificate)


def test_a_renewed_ca_and_the_one_before_verify_what_either_signed() -> None:
    later = NOW + timedelta(days=5 * 365 - 100)
    renewed = renewed_ca(CA, later)
    old, new = (
        x509.load_pem_x509_certificate(
            sign_csr(ca.key, ca.certificate, csr()[0], ("chat.example.net",), later).encode()
        )
        for ca in (CA, renewed)
    )

    assert renewed.key == CA.key
    assert end_of(renewed.certificate) > end_of(CA.certificate)
    for leaf in (old, new):
        for certificate in (CA.certificate, renewed.certificate):
            verify(leaf, x509.DNSName("chat.example.net"), later + timedelta(days=1), certificate)


def test_an_update_renews_a_ca_in_its_last_half_year_and_after_its_end() -> None:
    end = datetime.fromtimestamp(end_of(CA.certificate), UTC)

    assert not ends_soon(CA.certificate, end - timedelta(days=181))
    assert ends_soon(CA.certificate, end - timedelta(days=179))
    assert ends_soon(CA.certificate, end + timedelta(days=1))
    assert not ends_soon("not a certificate", end)


def test_a_host_cannot_ask_for_more_than_a_leaf_of_its_own_address() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    greedy = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gpu-fleet CA")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("bank.example.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )

    leaf = signed(greedy.public_bytes(serialization.Encoding.PEM).decode())

    assert leaf.public_key() == key.public_key()
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["203.0.113.7"]
    assert "CA" not in leaf.subject.rfc4514_string()


def test_a_request_that_is_none_or_is_damaged_is_refused() -> None:
    der = x509.load_pem_x509_csr(csr()[0].encode()).public_bytes(serialization.Encoding.DER)
    altered = der[:-1] + bytes([der[-1] ^ 1])  # the signature's last byte
    body = base64.encodebytes(altered).decode()
    forged = f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"

    for text in ("", "rm -rf /", CA.certificate, forged):
        with pytest.raises(RequestRefusedError):
            signed(text)


def test_a_key_that_is_not_on_p256_is_refused() -> None:
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        with pytest.raises(RequestRefusedError, match="P-256"):
            signed(request.public_bytes(serialization.Encoding.PEM).decode())


def test_a_leaf_does_not_outlive_the_ca() -> None:
    late = NOW + timedelta(days=5 * 365 - 10)

    assert signed(csr()[0], now=late).not_valid_after_utc == NOW + timedelta(days=5 * 365)
    with pytest.raises(ValueError, match="ended"):
        signed(csr()[0], now=late + timedelta(days=11))


@pytest.mark.parametrize(
    "address",
    ["", " ", "203.0.113.7 ", "203.0.113.7\n", "999.0.0.1", "*", "*.example.net", "a b", "a..b", "-a.net", "x" * 64],
)
def test_an_address_that_no_client_could_use_is_refused(address: str) -> None:
    with pytest.raises(RequestRefusedError, match="neither an IP address nor a DNS name"):
        signed(csr()[0], (address,))


@pytest.mark.parametrize(
    "address", ["203.0.113.7", "2001:db8::7", "localhost", "chat.example.net", "a-1.x2.Example.NET"]
)
def test_addresses_that_clients_use_are_signed(address: str) -> None:
    names = signed(csr()[0], (address,)).extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert [str(name.value) for name in names] == [address]


def test_a_certificate_for_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one address"):
        signed(csr()[0], ())


def test_late_clocks_find_both_certificates_valid() -> None:
    leaf, ca = signed(csr()[0], now=NOW + timedelta(days=1)), x509.load_pem_x509_certificate(CA.certificate.encode())

    assert leaf.not_valid_before_utc == NOW + timedelta(days=1) - timedelta(hours=1)
    assert ca.not_valid_before_utc == NOW - timedelta(hours=1)
    assert signed(csr()[0], now=NOW - timedelta(minutes=30)).not_valid_before_utc == ca.not_valid_before_utc


def test_the_ca_signs_leaves_only() -> None:
    ca = x509.load_pem_x509_certificate(CA.certificate.encode())
    leaf = signed(csr()[0])

    rule = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (rule.critical, rule.value.ca, rule.value.path_length) == (True, True, 0)
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_cert_sign, usage.crl_sign) == (True, False, False)
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_key_of_another_ca_is_noticed() -> None:
    with pytest.raises(ValueError, match="does not belong"):
        sign_csr(new_ca("b" * 16, NOW).key, CA.certificate, csr()[0], ("203.0.113.7",), NOW)


def test_the_end_of_a_certificate_is_read() -> None:
    assert end_of(CA.certificate) == (NOW + timedelta(days=5 * 365)).timestamp()


def test_the_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(CA)
