"""The files of a new server's disk: cloud-init's NoCloud seed with the user data, and the ways of the sandbox."""

import json
from collections.abc import Mapping, Sequence

from sandbox.hetzner.image import stand_ins

SEED = "/var/lib/cloud/seed/nocloud"
# As Hetzner's images have it: root logs in with a key. A namespace has no disk of its own and no other network.
CLOUD = {
    "datasource_list": ["NoCloud"],
    "datasource": {"NoCloud": {"fs_label": None}},
    "disable_root": False,
    "locale": False,
    "resize_rootfs": False,
    "growpart": {"mode": "off"},
    "network": {"config": "disabled"},
    "apt": {"preserve_sources_list": True},
    "output": {"all": "| tee -a /var/log/cloud-init-output.log"},
}
# A session of PAM wants to name itself to the kernel's audit, which only a whole machine may.
SSHD = "UsePAM no\nUseDNS no\nMaxStartups 100\n"


def files(
    name: str, number: int, user_data: str, ssh_keys: Sequence[str], outward: Mapping[str, str]
) -> dict[str, tuple[str, int]]:
    """Return path -> (text, mode). `outward`: names that lead out of the server -> an address inside of it."""
    meta = {"instance-id": f"server-{number}", "local-hostname": name, "public-keys": list(ssh_keys)}
    hosts = ["127.0.0.1 localhost", f"127.0.1.1 {name}", "::1 localhost"]
    hosts += [f"{address} {other}" for other, address in outward.items()]
    return {
        **stand_ins(),
        # JSON is YAML.
        "/etc/cloud/cloud.cfg.d/90-sandbox.cfg": (json.dumps(CLOUD), 0o644),
        f"{SEED}/meta-data": (json.dumps(meta), 0o600),
        f"{SEED}/user-data": (user_data, 0o600),
        f"{SEED}/vendor-data": ("", 0o600),
        "/etc/ssh/sshd_config.d/sandbox.conf": (SSHD, 0o644),
        "/etc/hostname": (f"{name}\n", 0o644),
        "/etc/hosts": ("\n".join(hosts) + "\n", 0o644),
    }
