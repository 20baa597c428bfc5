"""Calls the system calls that Python lacks. Each raises OSError with its arguments.

Standard library only, with every import at the top: a host's first process runs this, and it loses sight of its own
Python when it changes the root.
"""

import ctypes
import fcntl
import os
import platform
import socket
import struct
from collections.abc import Collection

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC = 1, 2, 4, 8, 32, 4096, 16384
MS_SHARED = 1 << 20
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 22, 24, 38
SIOCSIFADDR, SIOCSIFNETMASK, SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8916, 0x891C, 0x8913, 0x8914
IFF_UP, IFF_RUNNING = 0x1, 0x40
CAPABILITY_VERSION = 0x20080522
CLONE_NEWNET = 0x40000000
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(status: int, *asked: object) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)}: {asked}")


def mount(source: str, target: str, kind: str = "none", flags: int = 0, options: str = "") -> None:
    """Mount, as mount(2)."""
    texts = [text.encode() for text in (source, target, kind, options)]
    _checked(_libc.mount(texts[0], texts[1], texts[2], flags, texts[3]), "mount", source, target, kind, options)


def bind(source: str, target: str) -> None:
    """Show a file or folder at a second place, with the mounts below it."""
    mount(source, target, flags=MS_BIND | MS_REC)


def unmount(target: str) -> None:
    """Take a mount away at once; processes that still use it keep it."""
    _checked(_libc.umount2(target.encode(), MNT_DETACH), "umount2", target)


def prctl(option: int, value: object, extra: object = 0) -> None:
    """Set one attribute of this process, as prctl(2)."""
    _checked(_libc.prctl(option, value, extra, 0, 0), "prctl", option, value)


def limit_capabilities(kept: Collection[int]) -> None:
    """Give up every capability of this process except these numbers."""
    bits = sum(1 << number for number in kept)
    header = ctypes.create_string_buffer(struct.pack("=Ii", CAPABILITY_VERSION, 0))
    # effective, permitted and inheritable; the lower half of the numbers and then the upper one
    data = ctypes.create_string_buffer(struct.calcsize("=6I"))
    _checked(_libc.capget(header, data), "capget")
    had = struct.unpack_from("=6I", data.raw)
    low, high = had[1] & bits, had[4] & bits >> 32
    data = ctypes.create_string_buffer(struct.pack("=6I", low, low, 0, high, high, 0))
    _checked(_libc.capset(header, data), "capset", bits)


def change_root(root: str) -> None:
    """Make a mounted folder the root and forget the old one."""
    os.chdir(root)
    _checked(_libc.syscall(PIVOT_ROOT[platform.machine()], b".", b"."), "pivot_root", root)
    _checked(_libc.umount2(b".", MNT_DETACH), "umount2", root)
    os.chdir("/")


def enter_network(namespace: int) -> None:
    """Move this thread into the network namespace of a descriptor."""
    _checked(_libc.setns(namespace, CLONE_NEWNET), "setns", namespace)


def set_host_name(name: str) -> None:
    """Set this namespace's host name."""
    data = name.encode()
    _checked(_libc.sethostname(data, len(data)), "sethostname", name)


def loopback_up(own_address: str, more: Collection[str] = ()) -> None:
    """Bring loopback up and give the host its own address on it, and `more` addresses.

    The emulator dials published ports at that address. So it cannot reach a service that listens only on 127.0.0.1,
    as with a container's port mapping.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:

        def interface(request: int, name: bytes, argument: bytes) -> bytes:
            return fcntl.ioctl(any_socket, request, struct.pack("16s24s", name, argument))

        def address(text: str) -> bytes:
            return struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(text))

        interface(SIOCSIFFLAGS, b"lo", struct.pack("H", IFF_UP | IFF_RUNNING))
        for number, each in enumerate((own_address, *more), 1):
            interface(SIOCSIFADDR, f"lo:{number}".encode(), address(each))
            interface(SIOCSIFNETMASK, f"lo:{number}".encode(), address("255.255.255.255"))
