"""The start script on an emulated host: the log names the key of the server that listens, whenever that comes."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from providers.identity.ssh_key import new_ssh_key
from providers.vast.renting.onstart import fingerprint, script
from sandbox.hosts.backend import NamespaceHosts
from sandbox.hosts.host import NamespaceHost
from sandbox.hosts.images import Images
from tests.doubles.emulated import Login, spec
from tests.doubles.until import until

pytestmark = pytest.mark.host

ONSTART = script(new_ssh_key("test").public, "http://market.invalid", 3600)


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamespaceHost]:
    cache = tmp_path_factory.mktemp("cache")
    with contextlib.closing(NamespaceHosts(cache, Images("double", cache))) as emulator:
        yield emulator.create(spec(onstart=ONSTART))


def test_the_log_names_the_key_until_the_first_login(host: NamespaceHost) -> None:
    until(lambda: fingerprint(host.log()) == host.key.fingerprint)
    login = Login(host)
    assert "teller" in login.run("ps -eo args=")[1]

    login.run("sleep 1.1; cut -d. -f1 /proc/uptime > /opt/gpu-fleet/etc/attended; pkill -x sleep")

    until(lambda: "teller" not in login.run("ps -eo args=")[1])


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("late_ssh", {"seconds": 1.0}),
        ("late_ssh", {"seconds": 1.0, "apt": True}),
        ("onstart_unlogged", {}),
        ("noisy_log", {}),
    ],
    ids=["late", "by-apt", "unlogged", "noisy"],
)
def test_the_log_names_the_key_however_it_comes(host: NamespaceHost, fault: str, options: dict[str, object]) -> None:
    host.fault(fault, **options)

    until(lambda: fingerprint(host.log()) is not None)

    assert fingerprint(host.log()) == host.key.fingerprint
    Login(host)


def test_no_key_is_named_before_there_is_a_server(host: NamespaceHost) -> None:
    host.fault("late_ssh", seconds=1.5)

    until(lambda: "host key" in host.log())

    with socket.create_connection(("127.0.0.1", host.ports[22]), timeout=5) as connection:
        assert connection.recv(4) == b"SSH-"


def test_a_key_that_is_made_anew_is_named_at_once(host: NamespaceHost) -> None:
    until(lambda: fingerprint(host.log()) == host.key.fingerprint)

    Login(host).run(
        "cd /etc/ssh && ssh-keygen -q -t ed25519 -N '' -f new && mv new.pub ssh_host_ed25519_key.pub && "
        "mv new ssh_host_ed25519_key && kill -HUP $(cat /run/sshd.pid)"
    )

    until(lambda: fingerprint(host.log()) != host.key.fingerprint)
    until(lambda: Login(host).host_key == fingerprint(host.log()))


def test_ssh_keygen_is_not_needed(host: NamespaceHost) -> None:
    until(lambda: fingerprint(host.log()) == host.key.fingerprint)
    Login(host).run("mv /usr/bin/ssh-keygen /usr/bin/ssh-keygen.away")
    before = host.log().count("gpu-fleet host key")

    host.stop()
    host.start()

    until(lambda: host.log().count("gpu-fleet host key") > before)
    assert fingerprint(host.log()) == host.key.fingerprint
