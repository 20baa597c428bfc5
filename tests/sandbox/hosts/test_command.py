"""A host that runs a command of its own in place of sshd and onstart, with ports of every kind; and keys that come later."""

from __future__ import annotations

import socket

import paramiko
import pytest

from sandbox.hosts import sshd
from sandbox.hosts.spec import HostsError
from tests.doubles.emulated import USER_KEY, Login
from tests.doubles.until import until

pytestmark = pytest.mark.host
SERVER = (
    "import os, socket; print('began as', os.getpid(), os.environ['VAST_UDP_PORT_5000'], flush=True)\n"
    "port = int(os.environ['VAST_TCP_PORT_70000'])\n"
    "server = socket.create_server(('0.0.0.0', port))\n"
    "while True: server.accept()[0].sendall(b'inside %d' % port)\n"
)


def test_a_command_takes_the_place_of_sshd_and_identity_ports_are_alike_on_both_sides(make):
    host = make(published=(70_000,), published_udp=(5000,), command=("python3", "-c", SERVER))
    assert set(host.ports) == {70_000}
    outer = host.ports[70_000]
    until(lambda: "began as" in host.log())
    assert host.log().split()[-1] == str(host.udp_ports[5000])

    def answers() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", outer), timeout=5) as dialled:
                return dialled.recv(100) == b"inside %d" % outer
        except ConnectionResetError:
            return False

    until(answers)
    host.stop()
    host.start()
    until(answers)
    assert host.log().count("began as") == 2


def test_a_host_ends_with_its_command_and_runs_it_again_at_a_start(make):
    host = make(command=("sh", "-c", "sleep 600 & echo did it; test -e /again || touch /again"))
    until(lambda: host.ended)
    assert host.log() == "did it\n"
    host.stop()
    assert not host.ended
    host.start()
    until(lambda: host.ended)
    assert host.log() == "did it\n" * 2
    assert not make().ended


@pytest.mark.parametrize("command", ["no-such-program", "/etc/passwd"])
def test_a_command_that_cannot_be_found_is_refused_in_the_words_of_the_container_runtime(make, command):
    with pytest.raises(HostsError, match=f'^OCI runtime create failed.*exec: "{command}": executable file not found'):
        make(command=(command,))


def test_a_key_that_comes_later_opens_the_host_until_it_is_taken_away(make):
    host = make(authorized_keys=())
    with pytest.raises(paramiko.AuthenticationException):
        Login(host)
    host.admit(USER_KEY.public.strip())
    host.admit(USER_KEY.public.strip())
    assert Login(host).run(f"grep -c . {sshd.KEYS_FILE}") == (0, "1\n")
    host.admit(USER_KEY.public.strip(), on=False)
    with pytest.raises(paramiko.AuthenticationException):
        Login(host)
