"""Faults of a host's start and of logins: its SSH server, onstart, keys and shell."""

import signal

from sandbox.hosts import sshd
from sandbox.hosts.host import NamespaceHost
from sandbox.hosts.spec import ONSTART

AWAY = "/var/tmp/ssh-away"
SHELL_FILE = "/etc/bash.bashrc"
ONSTART_LOG = "/var/log/onstart.log"
APT = """\
echo 'Get:1 http://archive.example/ubuntu jammy InRelease [270 kB]'
printf '0%% [Working]\\r'; printf '\\033[33m47%% [2 Packages 8,316 B/17.5 MB]\\033[0m\\r'
for number in $(seq 300); do echo "Selecting previously unselected package number $number."; done
printf 'Progress: [ 50%%]'
"""
# The last line has no end, so the next output does not begin a line.
NOISE = f"""\
{APT}( for number in $(seq 200); do sleep 0.05; printf '\\rwaiting %s' $number; done ) &
"""
TALK = """\
echo "Welcome to this instance. Last login: never."
echo '{"welcome": true}'
printf 'warning: \\377 setlocale: LC_ALL: cannot change locale\\n' >&2
cd /
"""


def late_ssh(host: NamespaceHost, *, on: bool = True, seconds: float = 4.0, apt: bool = False) -> None:
    """Restart onstart on a host whose sshd, host key and ssh-keygen appear so many seconds later.

    With `apt`, an installation writes its noise meanwhile. They appear by themselves, so there is nothing to mend.
    """
    if not on:
        return
    inside, key = host.namespaces, sshd.KEY_FILE
    inside.signal(signal.SIGKILL)
    host.forget_log()
    inside.run(
        "/bin/sh",
        "-c",
        f"mkdir -p {AWAY}; mv {key} {key}.pub /usr/bin/ssh-keygen {AWAY}/; echo > {AWAY}/done\n"
        f"{APT if apt else ''}sleep {seconds}\n{'echo Setting up openssh-server ...' if apt else ':'}\n"
        f"mv {AWAY}/ssh-keygen /usr/bin/; mv {AWAY}/ssh_host_* /etc/ssh/; rm -r {AWAY}; exec {' '.join(sshd.COMMAND)}",
    )
    host.wait_until(lambda: inside.read_or_empty(f"{AWAY}/done") != "", "its SSH server was not taken away")
    inside.run("/bin/bash", ONSTART)


def onstart_unlogged(host: NamespaceHost, *, on: bool = True) -> None:
    """Restart the host and send onstart's output to a file inside, not to the container's log."""
    _start_anew(host, f"exec >>{ONSTART_LOG} 2>&1\n" if on else "")


def noisy_log(host: NamespaceHost, *, on: bool = True) -> None:
    """Restart the host with noise in the container's log: colours, progress bars, lines that do not end."""
    _start_anew(host, NOISE if on else "")


def talking_shell(host: NamespaceHost, *, on: bool = True) -> None:
    """Let root's shell write text to both outputs before every command."""
    host.namespaces.write(SHELL_FILE, TALK if on else "")


def keys_rewritten(host: NamespaceHost, *, on: bool = True) -> None:
    """Leave only the market's keys in authorized_keys. Mending does not restore the removed keys."""
    if on:
        host.namespaces.write(sshd.KEYS_FILE, "".join(f"{key}\n" for key in host.admitted), 0o600)


def _start_anew(host: NamespaceHost, before: str) -> None:
    host.stop()
    host.forget_log()
    host.namespaces.write(ONSTART, before + host.spec.onstart, 0o700)
    host.start()


FAULTS = (late_ssh, onstart_unlogged, noisy_log, talking_shell, keys_rewritten)
