#!/usr/bin/python3
"""Boots an emulated server as systemd would: cloud-init's stages, sshd, the units that are enabled.

It runs inside the server, at each start of its machine, and ends when the boot is over.
"""

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


def main() -> None:
    """Run the boot. A stage that fails is told in the console's log, and the next one runs, as on a real server."""
    for folder in ("/run", "/tmp"):
        empty(Path(folder))
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
    main()
