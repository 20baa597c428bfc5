"""Each fault, through the real provider process: it ends with a sound instance, or with nothing rented and a reason.

The market's own records are the witness, never our idea of them.
"""

from pathlib import Path

import pytest

from bootstrap.clock import SystemClock
from bootstrap.probe import probe
from providers.store.client import Keys, connect, objects
from sandbox.hosts.host import NamespaceHost
from sandbox.hosts.machine_faults import other_host_key
from sandbox.services.object_store import ADMIN, REGION
from tests.doubles.cloud import Cloud, running_cloud
from tests.doubles.dynamic_process import DynamicProcess, ProviderError

pytestmark = [pytest.mark.host, pytest.mark.rotating(of=6)]


def assert_sound(cloud: Cloud, outs: dict[str, object], name: str) -> None:
    """Exactly one instance is rented, it is the one in state, and it answers a completion."""
    props = cloud.props(name)
    assert [row["id"] for row in cloud.rented()] == [outs["instanceId"]]
    access = props["access"]
    answer = probe(str(outs["endpoint"]), access["caCertificate"], access["token"], "tiny", SystemClock(), 20)
    assert answer.text


@pytest.mark.parametrize(
    "fault",
    [
        "lost-create-reply",
        "offer-taken",
        "rate-limited",
        "lying-empty-list",
        "never-boots",
        "ssh-closed",
        "other-host-key-first",
        "slow-host",
        "vllm-dies-at-start",
    ],
)
def test_a_fault_once_ends_with_one_sound_instance(cloud: Cloud, process: DynamicProcess, fault: str) -> None:
    limits = {**cloud.props("x")["limits"], "bootMinutes": 5, "connectMinutes": 0.05}
    cloud.arm(fault)

    _id, outs = process.create(cloud.props("chat-0", limits=limits))

    assert_sound(cloud, outs, "chat-0")


@pytest.mark.parametrize("fault", ["talking-shell", "keys-rewritten"])
def test_a_fault_that_is_borne_costs_no_machine(cloud: Cloud, process: DynamicProcess, fault: str) -> None:
    cloud.arm(fault)

    _id, outs = process.create(cloud.props("chat-0"))

    assert outs["attempts"] == 1
    assert_sound(cloud, outs, "chat-0")


@pytest.mark.rotating(of=1)
def test_a_damaged_blob_is_never_served_and_leaves_nothing_rented(tmp_path: Path, process: DynamicProcess) -> None:
    with running_cloud(tmp_path / "cloud") as cloud:  # of its own: the largest blob of the whole store is struck
        cloud.upload()
        cloud.arm("corrupt-blob")

        with pytest.raises(ProviderError, match="SHA-256"):
            process.create(cloud.props("chat-0", limits={**cloud.props("x")["limits"], "attempts": 1}))

        assert cloud.rented() == []


def test_another_host_key_at_a_later_login_is_reported_and_nothing_is_sent(
    cloud: Cloud, process: DynamicProcess
) -> None:
    id_, outs = process.create(cloud.props("chat-0"))
    host = next(row.host for row in cloud.sandbox.market.all() if row.id == int(id_))
    assert isinstance(host, NamespaceHost)
    other_host_key(host)

    seen = process.read(id_, outs)

    assert seen.id == id_
    assert any("shows host key" in drift for drift in seen.outs["drift"])


@pytest.mark.parametrize(
    ("fault", "says"),
    [("ssh-closed", "does not let us in"), ("vllm-dies-at-start", "vLLM ended"), ("never-boots", "not running after")],
)
def test_a_fault_on_every_machine_ends_with_nothing_rented_and_each_machine_told(
    cloud: Cloud, process: DynamicProcess, fault: str, says: str
) -> None:
    limits = {**cloud.props("x")["limits"], "attempts": 2, "bootMinutes": 5, "connectMinutes": 0.02}
    cloud.arm(fault, times=2)

    with pytest.raises(ProviderError) as raised:
        process.create(cloud.props("chat-0", limits=limits))

    assert cloud.rented() == []
    assert str(raised.value).count(says) == 2
    assert "everything was given back" in str(raised.value)


def test_our_own_fault_stops_at_the_first_machine(cloud: Cloud, process: DynamicProcess) -> None:
    server = {**cloud.props("x")["server"], "arguments": ["--no-such-argument"]}

    with pytest.raises(ProviderError) as raised:
        process.create(cloud.props("chat-0", server=server))

    assert cloud.rented() == []
    assert "unrecognized arguments: --no-such-argument" in str(raised.value)
    assert process.output.count("chat-0  rent  ") == 1


def test_a_lying_list_at_refresh_keeps_the_instance_in_state(cloud: Cloud, process: DynamicProcess) -> None:
    id_, outs = process.create(cloud.props("chat-0"))
    cloud.arm("lying-empty-list", times=3)

    assert process.read(id_, outs).id == id_


def test_what_really_is_gone_is_gone(cloud: Cloud, process: DynamicProcess) -> None:
    id_, outs = process.create(cloud.props("chat-0"))
    cloud.sandbox.market.destroy(int(id_))

    assert process.read(id_, outs).id == ""


@pytest.mark.rotating(of=1)
def test_no_secret_shows_in_what_the_provider_prints(cloud: Cloud, process: DynamicProcess) -> None:
    props = cloud.props("chat-0")

    _id, outs = process.create(props)

    access = props["access"]
    secrets = [access["token"], *access["caKey"].splitlines()[1:-1], *access["sshPrivateKey"].splitlines()[1:-1]]
    secrets += ["sandbox-account-key", "sandbox-secret-key", "X-Amz-Signature"]
    assert not [secret for secret in secrets if secret in process.output]
    assert outs["phases"]["wait"] > 0


def test_what_a_failed_machine_said_is_kept_without_secrets(cloud: Cloud, process: DynamicProcess) -> None:
    limits = {**cloud.props("x")["limits"], "bootMinutes": 5, "connectMinutes": 0.05}
    props = cloud.props("chat-7", limits=limits)
    cloud.arm("vllm-dies-at-start")

    process.create(props)

    s3 = connect(cloud.store_endpoint, REGION, Keys(ADMIN.access_key, ADMIN.secret_key))
    rows = [row["Key"] for row in objects(s3, cloud.bucket, "ledger/") if ".chat-7.failed." in row["Key"]]
    kept, told = sorted(rows)
    assert (kept, told) == (told.replace(".json", "-log.txt"), told)
    text = s3.get_object(Bucket=cloud.bucket, Key=kept)["Body"].read().decode()
    assert "vLLM ended" in text
    assert "gpu-fleet host key SHA256:" in text  # out of the container's log
    assert "log of the landlord's daemon" in text
    assert props["access"]["token"] not in text
