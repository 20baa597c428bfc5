"""The kubeconfig of k3s, as the operator gets it."""

import base64

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from providers.cluster.errors import ClusterError
from providers.cluster.kubeconfig_text import RENEW_DAYS, authority, certificate_end, ends_soon, public
from providers.kubeconfig import reach
from tests.doubles.k3s_yaml import K3S_YAML


@given(st.ip_addresses(v=4).map(str))
def test_it_leads_to_the_public_address_and_keeps_ca_and_certificate(address: str) -> None:
    found = yaml.safe_load(public(K3S_YAML, address))
    before = yaml.safe_load(K3S_YAML)

    assert found["clusters"][0]["cluster"].pop("server") == f"https://{address}:6443"
    before["clusters"][0]["cluster"].pop("server")
    assert found == before
    assert authority(public(K3S_YAML, address)) == authority(K3S_YAML)


def test_it_opens_a_client_that_trusts_that_ca_alone() -> None:
    client, namespace = reach(public(K3S_YAML, "198.51.100.9"))

    with client:
        assert str(client.base_url) == "https://198.51.100.9:6443"
    assert namespace == "default"


def test_another_ca_is_another_cluster() -> None:
    other = yaml.safe_load(K3S_YAML)
    pem = b"-----BEGIN CERTIFICATE-----\nother\n"
    other["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(pem).decode()

    assert authority(yaml.safe_dump(other)) != authority(K3S_YAML)


def test_the_end_of_the_certificate_is_read_and_comes_soon_only_near_it() -> None:
    end = certificate_end(K3S_YAML)

    assert ends_soon(end, end - (RENEW_DAYS - 1) * 86_400)
    assert not ends_soon(end, end - (RENEW_DAYS + 1) * 86_400)


@given(
    st.one_of(st.text(max_size=40), st.sampled_from(["{}", "clusters: []", "clusters: [{cluster: 3}]", K3S_YAML[:200]]))
)
def test_anything_else_is_one_sentence(text: str) -> None:
    for read in (lambda: public(text, "198.51.100.9"), lambda: authority(text), lambda: certificate_end(text)):
        with pytest.raises(ClusterError, match=r"k3s\.yaml"):
            read()
