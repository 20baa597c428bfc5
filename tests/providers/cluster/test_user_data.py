"""What the cluster's server is told at its first start."""

import io
import json
import re
from typing import Any

import paramiko
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from config.cluster import K3sConfig
from providers.cluster import user_data as shape
from providers.cluster.server_keys import server_keys
from providers.cluster.user_data import MOST_BYTES, NODE_FILE, WRITTEN, FirstStart, user_data
from providers.identity.ssh_key import new_ssh_key

SECRET = "5" * 64
KEYS = server_keys(SECRET)
LOGIN = new_ssh_key("gpu-fleet-abc").public
DEVICE = "/dev/disk/by-id/scsi-0HC_Volume_4711"
K3S = K3sConfig(version="v1.34.2+k3s1", sha256="b" * 64)
secrets = st.binary(min_size=32, max_size=32).map(bytes.hex)


def document(k3s: K3sConfig = K3S, device: str = DEVICE, secret: str = SECRET) -> dict[str, Any]:
    text = user_data(FirstStart(server_keys(secret).host, LOGIN, k3s, device))
    assert text.startswith("#cloud-config\n")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def files(found: dict[str, Any]) -> dict[str, str]:
    return {row["path"]: row["content"] for row in found["write_files"]}


@given(
    secrets,
    st.from_regex(r"v1\.[0-9]{1,2}\.[0-9]{1,2}\+k3s[1-9]", fullmatch=True),
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    st.integers(1, 10**12),
)
def test_it_is_small_enough_and_says_what_config_says(secret: str, version: str, digest: str, volume: int) -> None:
    if re.match(r"v1\.(0\d|\d*\.0\d)", version):
        return
    k3s, device = K3sConfig(version=version, sha256=digest), f"/dev/disk/by-id/scsi-0HC_Volume_{volume}"
    found = document(k3s, device, secret)

    wanted = json.loads(files(found)[NODE_FILE])
    assert wanted["k3s"] == {"url": k3s.source, "sha256": digest}
    assert wanted["volume"]["device"] == device
    assert len(user_data(FirstStart(server_keys(secret).host, LOGIN, k3s, device)).encode()) <= MOST_BYTES // 2


@given(secrets)
def test_the_host_key_is_its_only_secret_and_the_same_each_time(secret: str) -> None:
    keys = server_keys(secret)
    text = user_data(FirstStart(keys.host, LOGIN, K3S, DEVICE))

    assert text == user_data(FirstStart(server_keys(secret).host, LOGIN, K3S, DEVICE))
    assert not [one for one in (secret, keys.token, keys.node_password) if one in text]
    private = yaml.safe_load(text)["ssh_keys"]["ed25519_private"]
    loaded = paramiko.Ed25519Key.from_private_key(io.StringIO(private))
    assert f"{loaded.get_name()} {loaded.get_base64()} gpu-fleet-cluster" == keys.host.public
    assert "PRIVATE" not in repr(keys)
    assert len({secret, keys.token, keys.node_password[:32]}) == 3


def test_two_stacks_share_nothing() -> None:
    one, other = server_keys("1" * 64), server_keys("2" * 64)

    assert not {one.host.private, one.token, one.node_password} & {other.host.private, other.token, other.node_password}
    with pytest.raises(ValueError, match="is not 64 hexadecimal digits"):
        server_keys("edited")


def test_root_logs_in_with_the_stacks_key_and_in_no_other_way() -> None:
    found = document()

    assert found["ssh_authorized_keys"] == [LOGIN]
    assert (found["ssh_pwauth"], found["disable_root"], found["users"]) == (False, False, [])
    assert found["ssh_deletekeys"] is True


def test_pods_cannot_reach_the_metadata_and_k3s_does_not_start_otherwise() -> None:
    written = files(document())

    assert "ip daddr 169.254.169.254 counter drop" in written["/etc/gpu-fleet/metadata.nft"]
    unit = written["/etc/systemd/system/k3s.service"]
    assert "Requires=gpu-fleet-metadata.service" in unit
    assert "ConditionPathExists=/etc/rancher/k3s/config.yaml" in unit
    assert 'Unattended-Upgrade "1"' in written["/etc/apt/apt.conf.d/20auto-upgrades"]
    assert found_runs(document()) == [[shape.PROGRAM, "prepare"]]
    assert written.keys() == {NODE_FILE, *WRITTEN}


def found_runs(found: dict[str, Any]) -> Any:
    return found["runcmd"]


def test_more_than_hetzner_takes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shape, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="and Hetzner takes 1000"):
        document()
