"""The control groups of emulated servers that run pods, and the process that removes them if the sandbox is killed.

python -m sandbox.hetzner.server_groups PREFIX FOLDER      until stdin closes
"""

import contextlib
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from sandbox.node import cgroups

REPOSITORY = Path(__file__).resolve().parents[2]
LAYERS = "layers"  # in the folder of a server: what its containers are made of
END_SECONDS = 60.0


class ServerGroups:
    """One group a server, in each hierarchy. `servers`: the folder that has a folder of each."""

    def __init__(self, servers: Path) -> None:
        self._prefix = f"gpu-fleet-server-{secrets.token_hex(4)}-"
        words = [sys.executable, "-m", "sandbox.hetzner.server_groups", self._prefix, str(servers)]
        self._keeper = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=REPOSITORY, start_new_session=True
        )

    def make(self, server: int) -> str:
        """Make a server's group and return its name."""
        cgroups.make(self._prefix + str(server))
        return self._prefix + str(server)

    @staticmethod
    def folders(name: str) -> list[Path]:
        """Return a group's folders on this machine."""
        return [place / name for place in cgroups.hierarchies()]

    def close(self) -> None:
        """End the keeper, which removes the groups and layers that are left."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait(END_SECONDS)


def main(arguments: list[str]) -> None:
    """Wait for the end of the sandbox, however it ends, and then remove its groups and its containers' layers."""
    prefix, servers = arguments
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the end is the end of stdin
    sys.stdin.read()
    for name in cgroups.named(prefix):
        with contextlib.suppress(OSError):
            cgroups.remove(name)
    for folder in Path(servers).glob(f"*/{LAYERS}"):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
