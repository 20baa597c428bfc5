"""Print the facts of the cluster's server, as one JSON object. Sent on stdin, with the server's private address as argument.

Standard library only; Python 3.9 or later.

    prepared, failed  how the server's own program ended: whether it did, and its sentence
    version, binary   of k3s: its version, the SHA-256 of its file; empty without one
    config, password  SHA-256 of k3s' configuration and of the node's password; empty without them
    data              whether k3s has a datastore; false after a restore that did not end
    active            whether k3s runs
    interface         that has the private address; empty while none has it
    login             the lines of root's authorized_keys
    node              the text of node.json
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def text(path: str) -> str:
    """Return a file's text; empty without the file."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def digest(path: str) -> str:
    """Return a file's SHA-256 in hex; empty without the file."""
    found = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while chunk := file.read(1 << 20):
                found.update(chunk)
    except OSError:
        return ""
    return found.hexdigest()


def output(*words: str) -> str:
    """Return the output of a command; empty if it is missing or fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def facts(private: str) -> "dict[str, Any]":
    """Return all of it."""
    addresses = [line.split() for line in output("ip", "-o", "-4", "addr", "show").splitlines()]
    first = output("/usr/local/bin/k3s", "--version").split()
    base = "/var/lib/gpu-fleet"
    return {
        "prepared": Path(base, "prepared").exists(),
        "failed": text(f"{base}/failed").strip(),
        "version": first[2] if first[:2] == ["k3s", "version"] else "",
        "binary": digest("/usr/local/bin/k3s"),
        "config": digest("/etc/rancher/k3s/config.yaml"),
        "password": digest("/etc/rancher/node/password"),
        "data": Path("/var/lib/rancher/k3s/server/db/etcd").exists() and not Path(base, "restoring").exists(),
        "active": output("systemctl", "is-active", "k3s").strip() == "active",
        "interface": next((row[1] for row in addresses if row[3].split("/")[0] == private), ""),
        "login": text("/root/.ssh/authorized_keys").splitlines(),
        "node": text("/etc/gpu-fleet/node.json"),
    }


if __name__ == "__main__":
    print(json.dumps(facts(sys.argv[1])))  # noqa: T201 -- the answer
