"""The receiver's certificate: its name is the address, its authority the stack's."""

import ipaddress
import ssl
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from providers.cluster.certificate import DAYS, RENEW_DAYS, fresh, is_due
from providers.identity.authority import new_ca

NOW = 1_800_000_000.0
CA = new_ca("abcdefghijklmnop", datetime.fromtimestamp(NOW, UTC))


def test_it_names_the_address_and_its_key_fits() -> None:
    made = fresh(("198.51.100.9",), CA.key, CA.certificate, NOW)

    names = x509.load_pem_x509_certificate(made["certificate"].encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("198.51.100.9")]
    with tempfile.TemporaryDirectory() as folder:
        chain, key = Path(folder, "crt"), Path(folder, "key")
        chain.write_text(made["certificate"])
        key.write_text(made["key"])
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(chain, key)


@pytest.mark.parametrize(
    ("days", "due"), [(DAYS - RENEW_DAYS - 1, False), (DAYS - RENEW_DAYS + 1, True), (DAYS + 9, True)]
)
def test_it_is_renewed_months_before_its_end(days: int, due: bool) -> None:
    assert is_due(fresh(("198.51.100.9",), CA.key, CA.certificate, NOW), NOW + days * 86_400) is due
    assert is_due({}, NOW)
