"""The cluster's resources in the process that the engine starts: what they refuse, compare and leave alone."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pulumi.runtime.rpc import UNKNOWN

from providers.cluster.resource import CertificateProvider, KubeconfigProvider
from providers.identity.authority import new_ca
from sandbox.hetzner.testing import RunningHetzner, running_hetzner
from tests.doubles.dynamic_process import DynamicProcess
from tests.doubles.quick_cluster import QuickAccountProvider, QuickNodeProvider

ACCOUNT: dict[str, Any] = {
    "name": "gpu-fleet-dev",
    "location": "fsn1",
    "server": "cx33",
    "volumeGb": 20.0,
    "loadBalancer": False,
    "network": "10.0.0.0/16",
    "stackId": "abcdefghijklmnop",
}
NODE: dict[str, Any] = {
    "name": "gpu-fleet-dev",
    "address": "127.96.0.1",
    "privateAddress": "10.0.1.10",
    "serverId": "7",
    "server": "cx33",
    "device": "/dev/disk/by-id/scsi-0HC_Volume_1",
    "volumeGb": 20.0,
    "apiUrl": "http://127.0.0.1:9/v1",
    "hostKey": "SHA256:abc",
    "k3s": {"version": "v1.34.2+k3s1", "sha256": "a" * 64, "url": ""},
    "backups": {"schedule": "0 */6 * * *", "keep": 28.0},
    "sshPublicKey": "ssh-ed25519 AAAA",
    "sshPrivateKey": "private",
    "k3sToken": "t" * 64,
    "nodePassword": "p" * 32,
}


@pytest.fixture(scope="module")
def hetzner() -> Iterator[RunningHetzner]:
    with running_hetzner() as running:
        yield running


@pytest.fixture(scope="module")
def account(hetzner: RunningHetzner) -> Iterator[DynamicProcess]:
    with DynamicProcess(QuickAccountProvider()) as process:
        process.configure({"hcloudToken": hetzner.token})
        yield process


@pytest.fixture(scope="module")
def node() -> Iterator[DynamicProcess]:
    with DynamicProcess(QuickNodeProvider()) as process:
        process.configure({"hcloudToken": "w" * 64})
        yield process


def test_the_project_is_asked_in_each_preview(hetzner: RunningHetzner, account: DynamicProcess) -> None:
    spec = {**ACCOUNT, "apiUrl": hetzner.url}

    assert account.check({**spec, "stackId": UNKNOWN}).failures == {}
    hetzner.project.catalog.sell_out("cx43", "fsn1")
    [said] = account.check({**spec, "server": "cx43"}, spec).failures.values()
    assert "Hetzner has no cx43 left in fsn1 now" in said
    _, outs = account.create(spec)
    assert outs["eurosAMonth"] == 8.13
    assert account.diff("gpu-fleet-dev", {**spec, **outs}, spec).changes is False
    assert account.diff("gpu-fleet-dev", {**spec, **outs}, {**spec, "volumeGb": 30.0}).changes is True
    account.delete("gpu-fleet-dev", outs)
    assert account.read("gpu-fleet-dev", outs).inputs == spec


def test_a_silent_hetzner_stops_no_update_and_makes_no_cluster(account: DynamicProcess) -> None:
    spec = {**ACCOUNT, "apiUrl": "http://127.0.0.1:9/v1"}

    assert account.check(spec, spec).failures == {}
    [said] = account.check(spec).failures.values()
    assert "does not answer (ConnectError): nothing was made" in said


def test_another_version_of_k3s_is_judged_before_anything_happens(node: DynamicProcess) -> None:
    assert node.check(NODE).failures == {}
    newer = {**NODE, "k3s": {**NODE["k3s"], "version": "v1.37.0+k3s1", "sha256": "b" * 64}}
    [said] = node.check(newer, NODE).failures.values()
    assert "passes over no minor version" in said


@pytest.mark.parametrize(
    ("change", "changes"),
    [
        ({}, False),
        ({"serverId": "8"}, True),
        ({"serverId": UNKNOWN}, False),
        ({"volumeGb": 30.0}, True),
        ({"server": "cx43"}, True),
        ({"sshPublicKey": "ssh-ed25519 BBBB"}, True),
        ({"sshPrivateKey": "another"}, False),
        ({"backups": {"schedule": "0 0 * * *", "keep": 28.0}}, True),
        ({"backupSecretKey": "rotated"}, True),
        ({"address": UNKNOWN, "hostKey": UNKNOWN, "k3sToken": UNKNOWN}, False),
    ],
)
def test_the_server_is_changed_for_what_it_follows_and_never_replaced(
    node: DynamicProcess, change: dict[str, Any], changes: bool
) -> None:
    found = node.diff("gpu-fleet-dev", {**NODE, "version": "v", "authority": "x"}, {**NODE, **change})

    assert (bool(found.changes), found.replaces) == (changes, [])


def test_the_end_of_a_node_touches_nothing(node: DynamicProcess) -> None:
    node.delete("gpu-fleet-dev", NODE)
    assert node.read("gpu-fleet-dev", {**NODE, "version": "v", "authority": "x"}).inputs == NODE


def test_a_server_that_cannot_be_asked_for_is_one_sentence_without_a_secret(node: DynamicProcess) -> None:
    with pytest.raises(Exception, match=r"http://127.0.0.1:9/v1 does not answer \(ConnectError\)") as caught:
        node.create({**NODE, "sshPrivateKey": "hush-hush-hush"})
    assert "hush" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_the_way_in_stays_while_its_certificate_lasts() -> None:
    state = {
        "address": "127.96.0.1",
        "authority": "a",
        "hostKey": "SHA256:abc",
        "kubeconfig": "text",
        "certificateEnd": 4e9,
    }
    inputs = {key: state[key] for key in ("address", "authority", "hostKey")}
    with DynamicProcess(KubeconfigProvider()) as process:
        process.configure({"hcloudToken": "w" * 64})
        assert process.diff("kubeconfig", state, inputs).changes is False
        assert process.diff("kubeconfig", state, {**inputs, "authority": UNKNOWN}).changes is False
        assert process.diff("kubeconfig", state, {**inputs, "authority": "b"}).changes is True
        assert process.diff("kubeconfig", {**state, "certificateEnd": 1.0}, inputs).changes is True


def test_the_receivers_certificate_is_made_kept_and_renewed() -> None:
    authority = new_ca("abcdefghijklmnop", datetime.now(UTC))
    inputs = {"addresses": ["198.51.100.9"], "caKey": authority.key, "caCertificate": authority.certificate}
    with DynamicProcess(CertificateProvider()) as process:
        process.configure({"hcloudToken": "w" * 64})
        _, outs = process.create(inputs)
        assert outs["certificate"].startswith("-----BEGIN CERTIFICATE-----")
        assert process.diff("certificate", outs, inputs).changes is False
        assert process.diff("certificate", outs, {**inputs, "addresses": ["198.51.100.10"]}).changes is True
        assert process.diff("certificate", {**outs, "end": 1.0}, inputs).changes is True
        assert process.update("certificate", outs, inputs)["key"] != outs["key"]
