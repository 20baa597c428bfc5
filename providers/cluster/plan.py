"""Plan the steps on the cluster's server, from its facts and the wishes of stack config. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from config.cluster import K3sConfig

VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)\+k3s(\d+)\Z")


class ServerFacts(BaseModel):
    """The facts that server_files/facts.py printed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prepared: bool
    failed: str = ""
    version: str = ""
    binary: str = ""
    config: str = ""
    password: str = ""
    data: bool = False
    active: bool = False
    interface: str = ""
    login: tuple[str, ...] = ()
    node: str = ""


@dataclass(frozen=True)
class Wanted:
    """The wanted state of the server. `config` and `password` are digests; `login`: the public key that may log in."""

    k3s: K3sConfig
    config: str
    password: str
    login: str


class Step(StrEnum):
    """One act on the server."""

    AUTHORIZE = "authorize"
    SNAPSHOT = "snapshot"
    FETCH = "fetch"
    CONFIGURE = "configure"
    RESTORE = "restore"
    START = "start"
    RESTART = "restart"


def steps(facts: ServerFacts, wanted: Wanted, *, has_snapshot: bool) -> tuple[Step, ...]:
    """Return the steps in order; none if the server is as wanted.

    Another k3s comes only after a snapshot of the old one's data. If the old one does not run, a step starts it for that. A
    server without data takes the last snapshot of its cluster, if there is one.
    """
    fetch = facts.binary != wanted.k3s.sha256
    configure = (facts.config, facts.password) != (wanted.config, wanted.password)
    rescue = fetch and facts.data
    found = {
        Step.AUTHORIZE: facts.login != (wanted.login,),
        Step.START: rescue and not facts.active,
        Step.SNAPSHOT: rescue,
        Step.FETCH: fetch,
        Step.CONFIGURE: configure,
        Step.RESTORE: not facts.data and has_snapshot,
    }
    runs = facts.active or found[Step.START]
    last = Step.START if not runs else Step.RESTART if fetch or configure or found[Step.RESTORE] else None
    return (*(step for step, due in found.items() if due), *([last] if last else []))


def upgrade_problem(old: K3sConfig | None, new: K3sConfig) -> str:
    """Return why k3s cannot go from one version to another; empty if it can."""
    if old is None or (old.version, old.sha256) == (new.version, new.sha256):
        return ""
    if old.version != new.version and old.sha256 == new.sha256:
        return (
            f"gpu-fleet:cluster.k3s.version is {new.version}, and sha256 is still that of {old.version}; take the one in "
            f"sha256sum-amd64.txt of https://github.com/k3s-io/k3s/releases/tag/{new.version.replace('+', '%2B')}"
        )
    if _numbers(new.version) < _numbers(old.version):
        return (
            f"gpu-fleet:cluster.k3s.version is {new.version}, and the cluster runs {old.version}: k3s does not go back. "
            "docs/cluster.md says how to restore the snapshot that was taken before the upgrade."
        )
    if new.minor > old.minor + 1:
        return (
            f"gpu-fleet:cluster.k3s.version is {new.version}, and the cluster runs {old.version}: Kubernetes passes over no "
            f"minor version; go to v1.{old.minor + 1} first."
        )
    return ""


def newest(rows: Mapping[str, float], folder: str) -> str:
    """Return the name of the newest snapshot; empty without one. `rows`: unix seconds by key of the bucket.

    Only files directly in the folder are snapshots: k3s keeps their metadata below it.
    """
    names = {key.removeprefix(f"{folder}/"): at for key, at in rows.items() if key.startswith(f"{folder}/")}
    known = {name: at for name, at in names.items() if name and "/" not in name}
    return max(known, key=lambda name: (known[name], name), default="")


def _numbers(version: str) -> tuple[int, ...]:
    found = VERSION.match(version)
    return tuple(map(int, found.groups())) if found else ()
