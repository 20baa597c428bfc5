"""Keeps a host's root user from changing the machine under the host."""

import ctypes
import platform
import struct
from collections.abc import Collection
from pathlib import Path

from sandbox.hosts.inside import kernel

READ_ONLY = ("sys", "sysrq-trigger", "irq", "bus")
HIDDEN = ("kcore", "keys", "timer_list")
# The capabilities that Docker leaves to a container: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap,
# net_bind_service, net_raw, sys_chroot, mknod, audit_write, setfcap.
KEPT_CAPABILITIES = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}
LAST_CAPABILITY_FILE = "/proc/sys/kernel/cap_last_cap"

AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# setgroups and the chown family.
OWNERSHIP_CALLS = {"x86_64": (116, 92, 93, 94, 260), "aarch64": (159, 55, 54)}
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, PRETEND = 0x7FFF0000, 0x00050000
SECCOMP_FILTER = 2


def confine(more: Collection[int] = (), writable: Collection[str] = ()) -> None:
    """Keep only a container's capabilities, and `more`, and hide the machine's switches. Call it last.

    `writable`: folders of /proc that belong to the host alone.
    """
    kept = KEPT_CAPABILITIES.union(more)
    for name in writable:
        kernel.bind(f"/proc/{name}", f"/proc/{name}")  # a mount of its own, which stays as it is below a read-only one
    for name in READ_ONLY:
        path = f"/proc/{name}"
        if Path(path).exists():
            kernel.bind(path, path)
            kernel.mount(path, path, flags=kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY)
    for name in HIDDEN:
        if Path("/proc", name).exists():
            kernel.bind("/dev/null", f"/proc/{name}")
    for capability in range(int(Path(LAST_CAPABILITY_FILE).read_text()) + 1):
        if capability not in kept:
            kernel.prctl(kernel.PR_CAPBSET_DROP, capability)
    # This process too: the kernel hides a process with more capabilities, and logins read /proc/1/environ.
    kernel.limit_capabilities(kept)


def pretend_ownership() -> None:
    """Let setgroups and chown succeed without an effect.

    A user namespace of one id refuses both, and sshd then ends every login. This needs no privilege beyond root of
    that namespace.
    """
    machine = platform.machine()
    calls = OWNERSHIP_CALLS[machine]
    instructions = [_instruction(LOAD, 0, 0, 4)]  # the architecture
    instructions.append(_instruction(JUMP_EQUAL, 0, len(calls) + 1, AUDIT_ARCHITECTURE[machine]))
    instructions.append(_instruction(LOAD, 0, 0, 0))  # the number of the call
    for index, number in enumerate(calls):
        instructions.append(_instruction(JUMP_EQUAL, len(calls) - index, 0, number))
    instructions += [_instruction(RETURN, 0, 0, ALLOW), _instruction(RETURN, 0, 0, PRETEND)]
    program = ctypes.create_string_buffer(b"".join(instructions))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(instructions), ctypes.addressof(program)))
    kernel.prctl(kernel.PR_SET_SECCOMP, SECCOMP_FILTER, header)


def _instruction(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
