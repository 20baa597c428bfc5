"""`k3s server`: etcd, API server and controllers, and pods if it can run them, until a signal ends it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

from sandbox.hetzner.k3s import bootstrap, etcd, pki, snapshots
from sandbox.hetzner.k3s.api import Api
from sandbox.hetzner.k3s.config import Mistake, Settings
from sandbox.hetzner.k3s.node import PODS, Node, address_of, is_here
from sandbox.hetzner.k3s.programs import Child, kubeconfig, say, write

PORT = "6443"
SERVICES, FIRST_SERVICE = "10.43.0.0/16", "10.43.0.1"
NO_PODS = "No kubelet runs here: pods are admitted, and none of them starts."
NAMES = (
    "127.0.0.1", FIRST_SERVICE, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)  # fmt: skip
# The controllers of plain objects, for a server without a kubelet. The others would make pods, which nothing runs there.
CONTROLLERS = (
    "namespace-controller,serviceaccount-controller,serviceaccount-token-controller,root-ca-certificate-publisher-controller,"
    "persistentvolumeclaim-protection-controller,garbage-collector-controller"
)
TURN_SECONDS = 0.2


def run(settings: Settings) -> int:
    """Run until SIGTERM, and return 0. Raises Mistake if a program ends before."""
    if settings.on("cluster-reset"):
        return _reset(settings)
    (settings.data / "server" / "db" / "reset-flag").unlink(missing_ok=True)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    children: list[Child] = []
    node: Node | None = None
    try:
        say(f"Starting k3s (stand-in of the sandbox) on node {settings.node}")
        children.append(etcd.start(settings))
        folder = bootstrap.ensure(settings)
        _certificates(settings, folder)
        api = Api(_url(settings), folder)
        if is_here():
            node = Node(settings, folder, api, _url(settings), _services(settings))
            node.prepare()
        children.append(_api_server(settings, folder, api))
        children.append(_controllers(settings, folder))
        _kubeconfig(settings, folder)
        say("k3s is up and running." if node else f"k3s is up and running. {NO_PODS}")
        _tell_ready()
        return _watch(settings, children, node, over)
    finally:
        # Pods go on: what holds their processes is no child of these programs.
        for child in (*(node.children() if node else ()), *reversed(children)):
            child.stop()


def _reset(settings: Settings) -> int:
    if (settings.data / "server" / "db" / "reset-flag").exists():
        raise Mistake(
            "Managed etcd cluster membership was already reset, please remove the cluster-reset flag and start k3s normally."
        )
    wanted = settings.text("cluster-reset-restore-path")
    if wanted:
        snapshots.restore(settings, wanted)
    elif settings.etcd.exists():
        snapshots.reset(settings)
    else:
        raise Mistake("etcd: there is no data on this server; name a snapshot by --cluster-reset-restore-path")
    return 0


def _watch(settings: Settings, children: list[Child], node: Node | None, over: threading.Event) -> int:
    cron, last = settings.text("etcd-snapshot-schedule-cron", "0 */12 * * *"), -1
    while not over.wait(TURN_SECONDS):
        for child in children:
            if child.process.poll() is not None:
                raise Mistake(f"{child.name} exited: {child.tail()}")
        if node:
            node.turn()
        now = time.localtime()
        if now.tm_min != last and not settings.on("etcd-disable-snapshots") and snapshots.is_due(cron, now):
            try:
                snapshots.save(settings, settings.text("etcd-snapshot-name", snapshots.SCHEDULED))
            except Mistake as error:
                say(f"The snapshot failed: {error}", "error")
        last = now.tm_min
    return 0


def _certificates(settings: Settings, folder: Path) -> None:
    addresses = [settings.text(key) for key in ("node-ip", "advertise-address", "node-external-ip")]
    names = [*NAMES, settings.node, *settings.each("tls-san"), *filter(None, addresses)]
    pki.make_serving(folder, "serving-kube-apiserver", "k3s", names)
    pki.make_client(folder, "client-admin", "system:admin", "system:masters")
    pki.make_client(folder, "client-controller", "system:kube-controller-manager", "")
    pki.make_client(folder, "client-kube-apiserver", "system:apiserver", "system:masters")


def _url(settings: Settings) -> str:
    return f"https://127.0.0.1:{settings.text('https-listen-port', PORT)}"


def _services(settings: Settings) -> str:
    return settings.text("service-cidr", SERVICES)


def _api_server(settings: Settings, folder: Path, api: Api) -> Child:
    port = settings.text("https-listen-port", PORT)
    arguments = [
        f"--etcd-servers={etcd.CLIENTS}",
        f"--bind-address={settings.text('bind-address', '0.0.0.0')}",
        f"--secure-port={port}",
        f"--tls-cert-file={folder / 'serving-kube-apiserver.crt'}",
        f"--tls-private-key-file={folder / 'serving-kube-apiserver.key'}",
        f"--client-ca-file={folder / 'client-ca.crt'}",
        "--authorization-mode=Node,RBAC",
        "--anonymous-auth=false",
        f"--service-cluster-ip-range={_services(settings)}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={folder / 'service.key'}",
        f"--service-account-signing-key-file={folder / 'service.key'}",
        *(_for_kubelet(folder) if is_here() else ["--endpoint-reconciler-type=none"]),
        *(f"--{word}" for word in settings.each("kube-apiserver-arg")),
    ]
    own = address_of(settings) if is_here() else settings.text("node-ip")
    if address := settings.text("advertise-address") or own:
        arguments.append(f"--advertise-address={address}")
    if (folder / bootstrap.ENCRYPTION).exists():
        arguments.append(f"--encryption-provider-config={folder / bootstrap.ENCRYPTION}")
    child = Child("kube-apiserver", arguments, settings.data / "server" / "logs")
    return child.ready(f"https://127.0.0.1:{port}/readyz", api.tls)


def _for_kubelet(folder: Path) -> list[str]:
    """Return how the API server reaches the kubelet, and what pods it may admit."""
    return [
        "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-certificate-authority={folder / 'server-ca.crt'}",
        f"--kubelet-client-certificate={folder / 'client-kube-apiserver.crt'}",
        f"--kubelet-client-key={folder / 'client-kube-apiserver.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",
    ]


def _controllers(settings: Settings, folder: Path) -> Child:
    own = settings.data / "server" / "cred" / "controller.kubeconfig"
    write(own, kubeconfig(folder, "client-controller", _url(settings)))
    addresses = ["--allocate-node-cidrs=true", f"--cluster-cidr={PODS}", "--node-cidr-mask-size=24"]
    arguments = [
        f"--kubeconfig={own}",
        "--use-service-account-credentials=true",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        f"--service-account-private-key-file={folder / 'service.key'}",
        f"--root-ca-file={folder / 'server-ca.crt'}",
        *(addresses if is_here() else [f"--controllers={CONTROLLERS}"]),
    ]
    return Child("kube-controller-manager", arguments, settings.data / "server" / "logs")


def _kubeconfig(settings: Settings, folder: Path) -> None:
    write(settings.kubeconfig, kubeconfig(folder, "client-admin", _url(settings)))
    settings.kubeconfig.chmod(int(settings.text("write-kubeconfig-mode", "0600"), 8))
    say(f"Wrote kubeconfig {settings.kubeconfig}")


def _tell_ready() -> None:
    place = os.environ.get("NOTIFY_SOCKET")
    if place:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", place)
