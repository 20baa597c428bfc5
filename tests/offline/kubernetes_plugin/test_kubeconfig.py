"""A kubeconfig leads to a cluster, or a sentence says why not."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import sandbox.settings
from offline.kubernetes_plugin.kubeconfig import TOKEN as MARK
from offline.kubernetes_plugin.kubeconfig import KubeconfigError, reach, refuse_others
from sandbox.services.kubernetes import TOKEN
from sandbox.settings import KUBERNETES_PORT
from tests.doubles.cloud import REPO
from tools.machine import paths

GOOD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "one",
    "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": True}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [
        {"name": "one", "context": {"cluster": "c", "user": "u"}},
        {"name": "two", "context": {"cluster": "c", "user": "u", "namespace": "other"}},
    ],
}


def test_the_current_context_or_the_one_asked_for():
    client, namespace = reach(yaml.safe_dump(GOOD))
    assert (str(client.base_url), client.headers["Authorization"], namespace) == (
        "https://127.0.0.1:1",
        "Bearer t",
        "default",
    )
    assert reach(yaml.safe_dump(GOOD), "two")[1] == "other"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"current-context": "three"}, r"has no context 'three' \(it has: one, two\)"),
        ({"clusters": []}, r"has no cluster 'c' \(it has: none\)"),
        ({"kind": "Pod"}, "kind"),
        (
            {"users": [{"name": "u", "user": {"client-certificate-data": "bm9uZQ==", "client-key-data": "bm9uZQ=="}}]},
            "cannot be read",
        ),
        ({"clusters": [{"name": "c", "cluster": {}}]}, "server: field required"),
    ],
)
def test_what_leads_nowhere_is_said(change, said):
    with pytest.raises(KubeconfigError, match=said):
        reach(yaml.safe_dump(GOOD | change))


def test_the_committed_one_leads_to_the_sandboxs_cluster():
    client, _ = reach((Path(sandbox.settings.__file__).parent / "kubeconfig.yaml").read_text())

    assert str(client.base_url) == f"https://127.0.0.1:{KUBERNETES_PORT}"
    assert client.headers["Authorization"] == f"Bearer {TOKEN}"
    refuse_others(client)
    assert MARK == TOKEN


@pytest.mark.parametrize("text", ["", "a: [", "just text"])
def test_what_is_no_kubeconfig_is_said(text):
    with pytest.raises(KubeconfigError, match="kubeconfig cannot be"):
        reach(text)


@pytest.mark.parametrize(("server", "token"), [("https://k8s.example", TOKEN), ("https://127.0.0.1:6443", "other")])
def test_no_other_cluster_is_served(server, token):
    other = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": token}}],
    }
    client, _ = reach(yaml.safe_dump(GOOD | other))

    with pytest.raises(KubeconfigError, match=r"is not the sandbox's cluster.*make -s env STACK="):
        refuse_others(client)


@pytest.mark.parametrize(
    ("host", "served"), [("127.96.0.1", True), ("127.127.255.254", True), ("127.0.0.1", False), ("10.96.0.1", False)]
)
def test_clusters_of_emulated_servers_are_served(host, served):
    other = {
        "clusters": [{"name": "c", "cluster": {"server": f"https://{host}:6443"}}],
        "users": [{"name": "u", "user": {}}],
    }
    client, _ = reach(yaml.safe_dump(GOOD | other))

    with contextlib.nullcontext() if served else pytest.raises(KubeconfigError):
        refuse_others(client)


def test_the_installed_stand_in_has_every_file_that_it_imports(tmp_path):
    files = paths.find(REPO, os.environ).plugins
    for file in files:
        place = tmp_path / file.relative_to(REPO)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    alone = {**os.environ, "PYTHONPATH": str(tmp_path)}

    words = [sys.executable, "-P", "-c", "import offline.kubernetes_plugin.plugin"]
    done = subprocess.run(words, cwd=tmp_path, env=alone, check=False)

    assert done.returncode == 0
