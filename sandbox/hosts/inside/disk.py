"""Turns an empty mount namespace into a host's file system: its disk, the image's layers, /dev and /proc."""

import contextlib
import os
import shutil
from pathlib import Path

from sandbox.hosts.inside import groups, kernel

FOLDERS = {
    "root": 0o700,
    "root/.ssh": 0o700,
    "tmp": 0o1777,
    "run": 0o755,
    "run/sshd": 0o755,
    "run/lock": 0o1777,
    "home": 0o755,
    "workspace": 0o755,
    "mnt": 0o755,
    "srv": 0o755,
    "proc": 0o555,
    "sys": 0o555,
    "dev": 0o755,
}
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {
    "ptmx": "pts/ptmx",
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}


class Disk:
    """Builds the file system of one host: in memory of that size, or in a folder of the machine.

    `root` becomes the host's /. Each shared folder of the machine is the read-only lower layer of an overlay, so the
    host may change everything and the machine stays as it is.
    """

    def __init__(self, mount_point: str, size: str, folder: str, rootless: bool) -> None:
        self._rootless = rootless
        if folder:
            kernel.bind(folder, mount_point)
        else:
            kernel.mount("tmpfs", mount_point, "tmpfs", kernel.MS_NOSUID if rootless else 0, f"size={size},mode=755")
        self._upper, self._work = Path(mount_point, "upper"), Path(mount_point, "work")
        self.root = Path(mount_point, "root")
        for made in (self._upper, self._work, self.root):
            made.mkdir()
        kernel.bind(str(self.root), str(self.root))  # pivot_root needs a mount point

    def share_machine(self, shared: list[str], copied: list[str], skeleton: str) -> None:
        """Show the machine's own top folders of these names.

        The host gets a copy of each `copied` folder, because an ordinary user cannot edit the machine's files in
        place. `skeleton` is a folder of empty directories of the user on top of the machine's, or empty.
        """
        for entry in sorted(Path("/").iterdir()):
            if entry.is_symlink():
                (self.root / entry.name).symlink_to(entry.readlink())
            elif entry.name in copied:
                target = self._upper / entry.name
                shutil.copytree(entry, target, symlinks=True, ignore=_closed_folders, copy_function=_copy_readable)
                (self.root / entry.name).mkdir()
                kernel.bind(str(self._upper / entry.name), str(self.root / entry.name))
            elif entry.name in shared and entry.is_dir():
                top = [f"{skeleton}/{entry.name}"] if skeleton and Path(skeleton, entry.name).is_dir() else []
                self.overlay([*top, str(entry)], entry.name)

    def use_image(self, folder: str) -> None:
        """Show a whole file system of another machine in place of this machine's. The host may change everything."""
        upper, work = self._upper / "image", self._work / "image"
        for made in (upper, work):
            made.mkdir()
        upper.chmod(0o755)
        kernel.mount("overlay", str(self.root), "overlay", 0, f"lowerdir={folder},upperdir={upper},workdir={work}")

    def bind(self, source: str, place: str, *, read_only: bool) -> None:
        """Show a file or folder of the machine at a place of the host."""
        target = self.root / place.lstrip("/")
        if Path(source).is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        kernel.bind(source, str(target))
        if read_only:
            kernel.mount(str(target), str(target), flags=kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY)

    def overlay(self, lower: list[str], place: str) -> None:
        """Overlay read-only folders, topmost first, on a place relative to the root. The host may write there."""
        key = place.replace("/", "_")
        for folder in (self._upper / key, self._work / key, self.root / place):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
        options = f"lowerdir={':'.join(lower)},upperdir={self._upper / key},workdir={self._work / key}"
        extra = ",userxattr" if self._rootless else ""
        kernel.mount("overlay", str(self.root / place), "overlay", 0, options + extra)

    def make_folders(self) -> None:
        """Make the folders that every host starts with."""
        for name, mode in FOLDERS.items():
            folder = self.root / name
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)

    def mount_devices(self, shm: str, group: str = "") -> None:
        """Mount /proc, /sys with control groups, and a /dev of six devices, terminals and that much shared memory.

        The control groups are folders for files of limits, or with `group` the machine's groups of this name.
        """
        proc, sys, dev = self.root / "proc", self.root / "sys", self.root / "dev"
        harmless = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
        kernel.mount("proc", str(proc), "proc", harmless)
        with contextlib.suppress(OSError):  # the kernel refuses it in a foreign network namespace; nothing needs it
            kernel.mount("sysfs", str(sys), "sysfs", harmless | kernel.MS_RDONLY)
        limits = sys / "fs" / "cgroup"
        limits.mkdir(parents=True, exist_ok=True)
        kernel.mount("tmpfs", str(limits), "tmpfs", harmless, "size=64k,mode=755")
        if group:
            groups.show(group, limits)
        else:
            for controller in ("memory", "cpu", "pids"):
                (limits / controller).mkdir()
        kernel.mount("tmpfs", str(dev), "tmpfs", kernel.MS_NOSUID, "size=64k,mode=755")
        for name in DEVICES:
            (dev / name).touch()
            kernel.bind(f"/dev/{name}", str(dev / name))
        (dev / "pts").mkdir()
        terminals = "newinstance,ptmxmode=0666,mode=620"
        try:
            kernel.mount("devpts", str(dev / "pts"), "devpts", 0, terminals + ",gid=5")
        except OSError:  # an ordinary user's namespace does not map group 5
            kernel.mount("devpts", str(dev / "pts"), "devpts", 0, terminals)
        (dev / "shm").mkdir()
        kernel.mount("tmpfs", str(dev / "shm"), "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"size={shm},mode=1777")
        for name, target in DEVICE_LINKS.items():
            (dev / name).symlink_to(target)

    def write(self, path: str, text: str, mode: int) -> None:
        """Write one file of the host, and replace a link of the machine instead of writing through it."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.touch(mode)
        file.write_text(text)
        file.chmod(mode)

    def append(self, path: str, text: str) -> None:
        """Add text to the end of a file. A missing file is made first."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as stream:
            stream.write(text)


# Leaves unreadable files out: an ordinary user's host does not get the machine's secrets.
def _copy_readable(source: str, target: str) -> None:
    with contextlib.suppress(PermissionError):
        shutil.copy2(source, target)


def _closed_folders(folder: str, names: list[str]) -> list[str]:
    paths = {name: Path(folder, name) for name in names}
    return [name for name, path in paths.items() if path.is_dir() and not os.access(path, os.R_OK | os.X_OK)]
