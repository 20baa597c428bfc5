"""Who gets onto a host through the real provider process: keys that are changed, lost or rewritten, and signs given."""

import contextlib

import pytest

from bootstrap.boot_timer import ATTENDED, ONLINE, TIMER, UPTIME
from bootstrap.clock import SystemClock
from bootstrap.connect import connect
from bootstrap.errors import HostUnreachable
from providers.identity.ssh_key import new_ssh_key
from providers.store.client import Keys
from providers.vast.api.instance import Instance
from providers.vast.instance_bootstrap import InstanceBootstrap
from providers.vast.key_change import LEFT
from providers.vast.limits import Limits
from providers.vast.settings import InstanceSettings
from sandbox.market.records.contracts import Contract
from tests.doubles.clock import FakeClock
from tests.doubles.cloud import Cloud
from tests.doubles.dynamic_process import DynamicProcess
from tests.doubles.market import FakeMarket

pytestmark = [pytest.mark.host, pytest.mark.rotating(of=6)]


def test_a_new_ssh_key_opens_and_the_old_one_is_locked_out_for_good(cloud: Cloud, process: DynamicProcess) -> None:
    props = cloud.props("chat-0")
    id_, outs = process.create(props)
    key = new_ssh_key("test")
    access = {**props["access"], "sshPublicKey": key.public, "sshPrivateKey": key.private}

    new = cloud.props("chat-0", access=access)
    admitted = process.update(id_, outs, new)
    contract = next(row for row in cloud.sandbox.market.all() if row.id == int(id_))
    assert contract.host is not None
    for private in (props["access"]["sshPrivateKey"], key.private):
        _log_in(contract, private, outs)
    assert process.read(id_, admitted).outs["drift"] == [LEFT]
    assert process.diff(id_, admitted, new).replaces == []

    updated = process.update(id_, admitted, new)
    assert process.diff(id_, updated, new).changes is False
    contract.host.stop()
    contract.host.start()

    # The start script of the rent call still names the old key; the host must not let it in again.
    assert [one for one in process.read(id_, updated).outs["drift"] if str(one).startswith("unreachable")] == []
    assert [text.split()[1] for text in contract.keys.values()] == [key.public.split()[1]]
    with pytest.raises(HostUnreachable, match=r"shows the pinned host key and does not accept our key: Authentication"):
        _log_in(contract, props["access"]["sshPrivateKey"], outs)


def _log_in(contract: Contract, private_key: str, outs: dict[str, object]) -> None:
    assert contract.host is not None
    port, host_key = contract.host.ports[22], str(outs["hostKey"])
    connect("127.0.0.1", port, private_key, host_key, SystemClock(), 0, lambda *_: None).close()


def test_a_key_change_that_state_never_heard_of_locks_nobody_out(cloud: Cloud, process: DynamicProcess) -> None:
    """Both as it is left today, and as an older version left it: with the new key alone on the host."""
    props = cloud.props("chat-0")
    id_, outs = process.create(props)
    first, second, third = (
        cloud.props("chat-0", access={**props["access"], "sshPublicKey": key.public, "sshPrivateKey": key.private})
        for key in (new_ssh_key("first"), new_ssh_key("second"), new_ssh_key("third"))
    )
    process.update(id_, outs, first)
    admitted = process.update(id_, outs, second)
    process.update(id_, admitted, second)

    again = process.update(id_, outs, second)
    assert process.update(id_, again, second)["drift"] == []

    # State knows the first key of all, config the third: neither opens the host, until the market lets ours in again.
    again = process.update(id_, outs, third)
    assert process.update(id_, again, third)["drift"] == []


def test_keys_that_the_market_rewrites_lock_nobody_out(cloud: Cloud, process: DynamicProcess) -> None:
    id_, outs = process.create(cloud.props("chat-0"))
    contract = next(row for row in cloud.sandbox.market.all() if row.id == int(id_))
    assert contract.host is not None

    contract.host.fault("keys_rewritten")
    assert process.read(id_, outs).outs["drift"] == []

    # As after an attach that failed, on a host that has lost the key which the start script brought.
    contract.keys.clear()
    contract.host.admit(str(cloud.props("chat-0")["access"]["sshPublicKey"]).strip(), on=False)
    assert process.read(id_, outs).outs["drift"] == []
    assert len(contract.keys) == 1


class Hasty(SystemClock):
    """Twenty of its seconds pass in one."""

    def monotonic(self) -> float:
        return super().monotonic() * 20


def test_whoever_is_logged_in_gives_signs_that_the_timer_understands(cloud: Cloud, process: DynamicProcess) -> None:
    props = cloud.props("chat-0")
    _id, outs = process.create(props)
    address, port = str(outs["ssh"]).split(":")
    row = {"id": outs["instanceId"], "public_ipaddr": address, "ports": {"22/tcp": [{"HostPort": port}]}}
    settings = InstanceSettings.from_props(props)
    key = settings.access.ssh_private_key.get_secret_value()
    bootstrap = InstanceBootstrap(settings, key, Keys("", ""), Limits(), Hasty(), FakeMarket(FakeClock()))
    host = bootstrap.connect(Instance.model_validate(row), str(outs["hostKey"]), lambda *_: None)

    with contextlib.closing(host):
        silence = host.run(
            f"echo long ago > {ATTENDED}; while grep -q ago {ATTENDED}; do sleep 0.05; done; "
            f"limit=$(sed -n 's/.* -gt \\([0-9]*\\) ].*/\\1/p' {TIMER}); "
            f"echo $(($(cat {ATTENDED}) + limit - $({UPTIME})))",
            timeout=1200,
        ).stdout

    assert int(silence) == pytest.approx(Limits().unattended_seconds, abs=2)


def test_a_refresh_ends_the_timer_that_a_container_made_anew_has(cloud: Cloud, process: DynamicProcess) -> None:
    id_, outs = process.create(cloud.props("chat-0"))
    address, _, port = str(outs["ssh"]).rpartition(":")
    key = cloud.props("chat-0")["access"]["sshPrivateKey"]
    with contextlib.closing(
        connect(address, int(port), key, str(outs["hostKey"]), SystemClock(), 15, lambda *_: None)
    ) as host:
        assert host.run(f"rm {ONLINE}").status == 0, "a create ends the timer"

        process.read(id_, outs)

        assert host.run(f"test -e {ONLINE}").status == 0
