"""`k3s server`: etcd, API server and controllers, until it is told to end."""

from __future__ import annotations

import base64
import os
import signal
import socket
import ssl
import threading
import time
from pathlib import Path

import yaml

from sandbox.hetzner.k3s import bootstrap, etcd, pki, snapshots
from sandbox.hetzner.k3s.config import Mistake, Settings
from sandbox.hetzner.k3s.programs import Child, say

PORT = "6443"
SERVICES, FIRST_SERVICE = "10.43.0.0/16", "10.43.0.1"
NAMES = (
    "127.0.0.1", FIRST_SERVICE, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)  # fmt: skip
# The controllers of plain objects. The others would make pods, which no kubelet runs here.
CONTROLLERS = (
    "namespace-controller,serviceaccount-controller,serviceaccount-token-controller,root-ca-certificate-publisher-controller,"
    "persistentvolumeclaim-protection-controller,garbage-collector-controller"
)
TURN_SECONDS = 0.2


def run(settings: Settings) -> int:
    """Run until SIGTERM, or until a program ends; return the exit status. Raises Mistake."""
    if settings.on("cluster-reset"):
        return _reset(settings)
    (settings.data / "server" / "db" / "reset-flag").unlink(missing_ok=True)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    children: list[Child] = []
    try:
        say(f"Starting k3s (stand-in of the sandbox) on node {settings.node}")
        children.append(etcd.start(settings))
        folder = bootstrap.ensure(settings)
        _certificates(settings, folder)
        children.append(_api_server(settings, folder))
        children.append(_controllers(settings, folder))
        _kubeconfig(settings, folder)
        say("k3s is up and running. No kubelet runs here: pods are admitted, and none of them starts.")
        _tell_ready()
        return _watch(settings, children, over)
    finally:
        for child in reversed(children):
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


def _watch(settings: Settings, children: list[Child], over: threading.Event) -> int:
    cron, last = settings.text("etcd-snapshot-schedule-cron", "0 */12 * * *"), -1
    while not over.wait(TURN_SECONDS):
        for child in children:
            if child.process.poll() is not None:
                say(f"{child.name} exited: {child.tail()}", "fatal")
                return 1
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
    pki.make_serving(folder, [*NAMES, settings.node, *settings.each("tls-san"), *filter(None, addresses)])
    pki.make_client(folder, "client-admin", "system:admin", "system:masters")
    pki.make_client(folder, "client-controller", "system:kube-controller-manager", "")


def _api_server(settings: Settings, folder: Path) -> Child:
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
        "--endpoint-reconciler-type=none",
        f"--service-cluster-ip-range={settings.text('service-cidr', SERVICES)}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={folder / 'service.key'}",
        f"--service-account-signing-key-file={folder / 'service.key'}",
        *(f"--{word}" for word in settings.each("kube-apiserver-arg")),
    ]
    if address := settings.text("advertise-address") or settings.text("node-ip"):
        arguments.append(f"--advertise-address={address}")
    if (folder / bootstrap.ENCRYPTION).exists():
        arguments.append(f"--encryption-provider-config={folder / bootstrap.ENCRYPTION}")
    child = Child("kube-apiserver", arguments, settings.data / "server" / "logs")
    tls = ssl.create_default_context(cafile=str(folder / "server-ca.crt"))
    tls.load_cert_chain(folder / "client-admin.crt", folder / "client-admin.key")
    return child.ready(f"https://127.0.0.1:{port}/readyz", tls)


def _controllers(settings: Settings, folder: Path) -> Child:
    own = settings.data / "server" / "cred" / "controller.kubeconfig"
    _write(own, _document(settings, folder, "client-controller"))
    arguments = [
        f"--kubeconfig={own}",
        "--use-service-account-credentials=true",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        f"--service-account-private-key-file={folder / 'service.key'}",
        f"--root-ca-file={folder / 'server-ca.crt'}",
        f"--controllers={CONTROLLERS}",
    ]
    return Child("kube-controller-manager", arguments, settings.data / "server" / "logs")


def _kubeconfig(settings: Settings, folder: Path) -> None:
    mode = int(settings.text("write-kubeconfig-mode", "0600"), 8)
    _write(settings.kubeconfig, _document(settings, folder, "client-admin"))
    settings.kubeconfig.chmod(mode)
    say(f"Wrote kubeconfig {settings.kubeconfig}")


def _document(settings: Settings, folder: Path, client: str) -> str:
    def data(name: str) -> str:
        return base64.b64encode((folder / name).read_bytes()).decode()

    server = f"https://127.0.0.1:{settings.text('https-listen-port', PORT)}"
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "default", "cluster": {"certificate-authority-data": data("server-ca.crt"), "server": server}}
            ],
            "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
            "current-context": "default",
            "preferences": {},
            "users": [
                {
                    "name": "default",
                    "user": {
                        "client-certificate-data": data(f"{client}.crt"),
                        "client-key-data": data(f"{client}.key"),
                    },
                }
            ],
        }
    )


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(text)


def _tell_ready() -> None:
    place = os.environ.get("NOTIFY_SOCKET")
    if place:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.sendto(b"READY=1", place)
