#!/usr/bin/python3
"""Boots an emulated server as systemd would: cloud-init's stages, sshd, the units that are enabled.

    boot            at each start of its machine; it ends when the boot is over
    boot off        after its power was cut: takes away what no machine keeps without power

It runs inside the server.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SYSTEMCTL = "/usr/bin/systemctl"
SSHD = ("/usr/sbin/sshd", "-D", "-e")
FSTAB, MOUNT = Path("/etc/fstab"), "/usr/local/sbin/mount"
VOLUMES = "/dev/disk/by-id/scsi-0HC_Volume_"
OF_MACHINE = Path("/usr/local/lib/sandbox/mounts")  # the mounts that the machine itself made, by their numbers
LINKS = Path("/sys/class/net")
OF_HETZNER = ("lo", "enp")  # how its network cards are called


def main() -> None:
    """Run the boot. A stage that fails is told in the console's log, and the next one runs, as on a real server."""
    if not OF_MACHINE.exists():
        OF_MACHINE.write_text(" ".join(number for number, _ in mounts()))
    for folder in ("/run", "/tmp"):
        empty(Path(folder))
    run(["mount", "--make-rshared", "/"])  # as systemd has it: later mounts are seen by who has a part of the tree
    for name, mode in (("lock", 0o1777), ("sshd", 0o755)):
        Path("/run", name).mkdir(exist_ok=True)
        Path("/run", name).chmod(mode)
    run(["cloud-init", "init", "--local"])
    run(["cloud-init", "init"])
    start(SSHD)
    mount_volumes()
    run([SYSTEMCTL, "boot"])
    run(["cloud-init", "modules", "--mode=config"])
    run(["cloud-init", "modules", "--mode=final"])
    say("the boot is over")


def lose_power() -> None:
    """Take away mounts, network cards and rules that programs of the server made."""
    kept = OF_MACHINE.read_text().split() if OF_MACHINE.exists() else [number for number, _ in mounts()]
    for number, place in reversed(mounts()):
        if number not in kept:
            quietly(["umount", "--lazy", place])
    for link in LINKS.iterdir():
        if not link.name.startswith(OF_HETZNER):
            quietly(["ip", "link", "delete", link.name])
    quietly(["nft", "flush", "ruleset"])
    quietly(["ipset", "destroy"])


def mounts() -> list[tuple[str, str]]:
    """Return the number and the place of each mount, in their order."""
    rows = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [(row[0], row[4].encode().decode("unicode_escape")) for row in rows]


def quietly(command: Sequence[str]) -> None:
    """Run a command that may fail or be missing: the thing that it removes may be gone."""
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)


def empty(folder: Path) -> None:
    """Remove what a boot does not find."""
    for left in folder.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink()


def mount_volumes() -> None:
    """Mount the volumes of /etc/fstab that are attached."""
    rows = [line.split() for line in FSTAB.read_text().splitlines()] if FSTAB.exists() else []
    for row in rows:
        if len(row) > 1 and row[0].startswith(VOLUMES) and Path(row[0]).exists() and not os.path.ismount(row[1]):
            run([MOUNT, row[1]])


def run(command: Sequence[str]) -> None:
    """Run a stage to its end."""
    status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    say(f"{' '.join(command)}: status {status}")


def start(command: Sequence[str]) -> None:
    """Start a program that stays."""
    subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)


def say(text: str) -> None:
    """Write to the console's log."""
    sys.stderr.write(f"boot: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    lose_power() if sys.argv[1:] == ["off"] else main()
