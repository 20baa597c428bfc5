"""The settings files of the node's programs."""

import json
from pathlib import Path
from typing import Any

import yaml

from sandbox.node.plan import DNS_SERVICE, INSIDE, NODE, Plan

DOMAIN = "cluster.local"
PAUSE = "registry.local/pause:1"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CNI_PROGRAMS, RUNC = "/usr/lib/cni", "/usr/sbin/runc"  # of Debian


def write(plan: Plan, folder: Path, tokens: str) -> None:
    """Write every file into a folder. `tokens`: lines of kube-apiserver's file of tokens."""
    (folder / "cni").mkdir(parents=True)
    texts = {
        "kubelet.yaml": yaml.safe_dump(kubelet(plan)),
        "proxy.yaml": yaml.safe_dump(proxy(plan)),
        "containerd.toml": containerd(),
        "cni/10-pods.conflist": json.dumps(network(plan)),
        "tokens.csv": tokens,
    }
    for name, text in texts.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)


def kubelet(plan: Plan) -> dict[str, Any]:
    """Return the kubelet's configuration."""
    keys = f"{INSIDE}/keys"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,  # many machines still have version 1
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "podLogsDir": f"{INSIDE}/pod-logs",
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": DOMAIN,
        "address": plan.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{keys}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{keys}/kubelet.crt",
        "tlsPrivateKeyFile": f"{keys}/kubelet.key",
        "resolvConf": "",  # names of the world come from the cluster's DNS alone
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,  # nothing brings a removed image back
        # What this machine may refuse, and a node for tests does not need.
        "oomScoreAdj": 0,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
    }


def proxy(plan: Plan) -> dict[str, Any]:
    """Return kube-proxy's configuration. It leaves the machine's limits of connections alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": f"{INSIDE}/keys/proxy.kubeconfig"},
        "hostnameOverride": NODE,
        "clusterCIDR": plan.pods,
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def network(plan: Plan) -> dict[str, Any]:
    """Return how pods are connected: a bridge, addresses of the node's range, published ports."""
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,  # a pod may reach itself by its service
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": plan.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": f"{INSIDE}/addresses",
        },
    }
    published = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, published]}


def containerd() -> str:
    """Return containerd's configuration. Container networks lie in its own folder, so that none outlives it."""
    return f"""version = 3
root = "{INSIDE}/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.nri.v1.nri",
  "io.containerd.internal.v1.opt",
  "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{PAUSE}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["{CNI_PROGRAMS}"]
    conf_dir = "{INSIDE}/settings/cni"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = "{RUNC}"
      SystemdCgroup = false
"""
