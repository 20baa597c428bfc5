"""What can be broken about an emulated host, each by name; the same name with on=False mends it."""

import hashlib
import inspect
import signal
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sandbox.hosts import sshd
from sandbox.hosts.spec import SSH_PORT, HostsError

if TYPE_CHECKING:
    from sandbox.hosts.host import NamespaceHost

# Read inside by the double of vLLM and by what stands before the real one.
FAULTS_FILE = "/etc/sandbox-faults"
GPU_FILE = "/etc/fake-gpus"


def apply(host: "NamespaceHost", name: str, options: Mapping[str, object]) -> None:
    """Break or mend one thing. Raises HostsError for a name or an option that there is not."""
    action = FAULTS.get(name)
    if action is None:
        raise HostsError(f"An emulated host has no fault {name!r}. It has: {', '.join(sorted(FAULTS))}.")
    try:
        inspect.signature(action).bind(host, **options)
    except TypeError as error:
        raise HostsError(f"The fault {name} of an emulated host cannot be set so: {error}.") from error
    action(host, **options)


def ssh_closed(host: "NamespaceHost", *, on: bool = True) -> None:
    """Refuse connections to the SSH port."""
    if on:
        host.close_port(SSH_PORT)
    else:
        host.open_port(SSH_PORT)


def other_host_key(host: "NamespaceHost", *, on: bool = True, later: bool = False) -> None:
    """Answer with another SSH host key: at once, or with `later` from the second connection from now on."""
    if not on:
        raise HostsError("A host that has shown another key cannot take that back: destroy it.")
    if not later:
        _change_host_key(host)
        return
    seen = 0

    def before_login() -> None:
        nonlocal seen
        seen += 1
        if seen == 2:
            _change_host_key(host)

    host.before_login = before_login


def slow(host: "NamespaceHost", *, on: bool = True, mbps: float = 1.0) -> None:
    """Download at `mbps` Mbit/s instead of the machine's own speed."""
    host.set_speed(mbps if on else host.spec.download_mbps)


def silent(host: "NamespaceHost", *, on: bool = True) -> None:
    """Take connections and let nothing through."""
    host.line.blackhole = on


def frozen(host: "NamespaceHost", *, on: bool = True) -> None:
    """Stop every process inside where it is. The first process stays awake, to thaw them."""
    host.namespaces.signal(signal.SIGSTOP if on else signal.SIGCONT)


def vllm_dies(host: "NamespaceHost", *, on: bool = True) -> None:
    """Let vLLM end at each start, as one that is killed for its memory."""
    _mark(host, vllm_dies=int(on))


def vllm_broken(host: "NamespaceHost", *, on: bool = True) -> None:
    """Let vLLM look healthy and end at the first request. The double alone can."""
    _mark(host, vllm_broken=int(on))


def vllm_slow(host: "NamespaceHost", *, on: bool = True, start_s: float = 0, latency_s: float = 0) -> None:
    """Let vLLM take so many seconds to start and to answer. The double alone can."""
    _mark(host, vllm_start_s=start_s if on else 0, vllm_latency_s=latency_s if on else 0)


def gpu_lost(host: "NamespaceHost", *, on: bool = True, index: int = 0) -> None:
    """Let one GPU fall off the bus."""
    host.namespaces.append(GPU_FILE, f"{index} lost {int(on)}\n")


FAULTS: Mapping[str, Callable[..., None]] = {
    action.__name__: action
    for action in (ssh_closed, other_host_key, slow, silent, frozen, vllm_dies, vllm_broken, vllm_slow, gpu_lost)
}


def _mark(host: "NamespaceHost", **values: float) -> None:
    host.marks.update(values)
    host.namespaces.write(FAULTS_FILE, "".join(f"{name} {value:g}\n" for name, value in host.marks.items() if value))


def _change_host_key(host: "NamespaceHost") -> None:
    """Let sshd use another key. The files with the first one stay, so that onstart reports what it should."""
    key, inside = sshd.HostKey.new(), host.namespaces
    mark = hashlib.sha256(key.public.encode()).hexdigest()[:8]
    key_file, pid_file = f"{sshd.KEY_FILE}.{mark}", f"/run/sshd.{mark}.pid"
    before = inside.read(sshd.CONFIGURATION_FILE)
    pid = inside.read(sshd.setting(before, "PidFile")).strip()
    inside.write(key_file, key.private, 0o600)
    inside.write(sshd.CONFIGURATION_FILE, sshd.with_other_key(before, key_file, pid_file))
    inside.run("/bin/kill", "-HUP", pid)
    host.wait_until(lambda: inside.read_or_empty(pid_file).strip() != "", "sshd did not take another host key")
    host.key = key
