"""The settings files of a node's programs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.node.site import Site

DOMAIN = "cluster.local"
PAUSE = "registry.local/pause:1"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CNI_PROGRAMS, RUNC = "/usr/lib/cni", "/usr/sbin/runc"  # of Debian


def write(site: Site, folder: Path, more: Mapping[str, str]) -> None:
    """Write every file into a folder, and `more`: text by name."""
    (folder / "cni").mkdir(parents=True, exist_ok=True)
    texts = {
        "kubelet.yaml": yaml.safe_dump(kubelet(site)),
        "proxy.yaml": yaml.safe_dump(proxy(site)),
        "containerd.toml": containerd(site),
        "cni/10-pods.conflist": json.dumps(network(site)),
        **more,
    }
    for name, text in texts.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)


def kubelet(site: Site) -> dict[str, Any]:
    """Return the kubelet's configuration."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,  # many machines still have version 1
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "podLogsDir": f"{site.state}/pod-logs",
        "clusterDNS": [site.dns],
        "clusterDomain": DOMAIN,
        "address": site.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{site.keys}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{site.keys}/kubelet.crt",
        "tlsPrivateKeyFile": f"{site.keys}/kubelet.key",
        "resolvConf": "",  # names of the world come from the cluster's DNS alone
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,  # nothing brings a removed image back
        # What this machine may refuse, and a node for tests does not need.
        "oomScoreAdj": 0,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
    }


def proxy(site: Site) -> dict[str, Any]:
    """Return kube-proxy's configuration. It leaves the machine's limits of connections alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": f"{site.keys}/proxy.kubeconfig"},
        "hostnameOverride": site.name,
        "clusterCIDR": site.pods,
        "nodePortAddresses": ["0.0.0.0/0"],  # on each address, as on a node that has a public one beside the private
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def network(site: Site) -> dict[str, Any]:
    """Return how pods are connected: a bridge, addresses of the node's range, published ports."""
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,  # a pod may reach itself by its service
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": site.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": f"{site.state}/addresses",
        },
    }
    published = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, published]}


def containerd(site: Site) -> str:
    """Return containerd's configuration. Container networks lie in its own folder, so that none outlives it."""
    return f"""version = 3
root = "{site.layers}"
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
    conf_dir = "{site.settings}/cni"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = "{RUNC}"
      SystemdCgroup = false
"""
