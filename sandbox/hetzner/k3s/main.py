"""The command line of k3s, as far as a server of this project uses it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence

from sandbox.hetzner.k3s import config, server, snapshots
from sandbox.hetzner.k3s.config import Mistake
from sandbox.hetzner.k3s.programs import say


def main(words: Sequence[str], version: str) -> int:
    """Run one command; return the exit status."""
    try:
        return _run(list(words), version)
    except Mistake as error:
        say(str(error), "fatal")
        return 1


def _run(words: list[str], version: str) -> int:
    match words:
        case ["--version" | "-v"]:
            print(
                f"k3s version {version} ({hashlib.sha256(version.encode()).hexdigest()[:8]})\nstand-in of the sandbox"
            )
        case ["server", *flags]:
            return server.run(config.read(flags))
        case ["etcd-snapshot", "save", *flags]:
            settings = config.read(flags)
            snapshots.save(settings, settings.text("name", snapshots.ON_DEMAND))
        case ["etcd-snapshot", "ls" | "list", *flags]:
            print(snapshots.table(config.read(flags)))
        case _:
            raise Mistake(f"the sandbox's k3s has no command {' '.join(words[:2])}: server, etcd-snapshot save and ls")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], "v0.0.0+k3s0"))
