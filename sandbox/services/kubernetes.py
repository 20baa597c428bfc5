"""The sandbox's cluster: a real etcd, kube-apiserver and kube-controller-manager on loopback, without a node.

It accepts, defaults, admits (Pod Security too), watches and deletes objects as any cluster does; no pod ever runs.
Its data lies in a folder of the sandbox's state, and `stop` removes it.
"""

import secrets
import shutil
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from sandbox.services.certificate import issue, private_pem, public_pem
from sandbox.services.child import ServiceError
from sandbox.services.kubeconfig import kubeconfig_text
from sandbox.services.port_owner import taken
from sandbox.services.ports import LOOPBACK, choose, free
from sandbox.services.programs import Program

TOKEN = "sandbox-cluster-token"  # public by design, as sandbox/kubeconfig.yaml has it
NAME = "cluster.sandbox.internal"
# The controllers of plain objects. The others would make pods, which no node runs.
CONTROLLERS = (
    "namespace-controller",
    "serviceaccount-controller",
    "persistentvolumeclaim-protection-controller",
    "garbage-collector-controller",
)


class Kubernetes:
    """An API server with its data in the folder `home`; port 0 means any free port."""

    def __init__(self, home: Path, port: int = 0) -> None:
        if port and not free(port):
            raise ServiceError(taken(port, "kubernetes", "run `python -m sandbox up --kubernetes-port PORT`"))
        self._home = home
        spare, store, peers, controllers = choose(4)
        self.port = port or spare
        self._certificate = issue(NAME)
        self._own_token = secrets.token_hex(16)  # the controller-manager's
        self._programs = [
            self._etcd(store, peers),
            self._api_server(self.port, store),
            self._controller_manager(controllers),
        ]

    @property
    def url(self) -> str:
        """Return the URL of the API server."""
        return f"https://{LOOPBACK}:{self.port}"

    def kubeconfig(self, token: str = TOKEN) -> str:
        """Return a kubeconfig with this token."""
        cluster = {"server": self.url, "insecure-skip-tls-verify": True}  # a port of loopback and a public token
        return kubeconfig_text(cluster, {"token": token})

    def start(self) -> None:
        """Start the programs and return when the API server is ready. On a failure, end them all and raise
        ServiceError.
        """
        self._write()
        try:
            for program in self._programs:
                program.start()
                program.wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the programs and remove their data. Stopping twice is harmless."""
        for program in reversed(self._programs):
            program.stop(0)  # the data goes anyway, so no program has to finish its work
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> "Kubernetes":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _write(self) -> None:
        shutil.rmtree(self._home, ignore_errors=True)  # left by a killed sandbox
        (self._home / "etcd").mkdir(mode=0o700, parents=True)
        self._home.chmod(0o700)
        accounts = ec.generate_private_key(ec.SECP256R1())
        tokens = f'{TOKEN},admin,admin,"system:masters"\n{self._own_token},controllers,controllers,"system:masters"\n'
        contents = {
            "server.crt": self._certificate.chain,
            "server.key": self._certificate.key,
            "ca.crt": self._certificate.ca,
            "accounts.key": private_pem(accounts),
            "accounts.pub": public_pem(accounts),
            "tokens.csv": tokens,
            "controllers.yaml": self.kubeconfig(self._own_token),
        }
        for name, content in contents.items():
            (self._home / name).write_text(content)

    def _etcd(self, port: int, peers: int) -> Program:
        clients = f"http://{LOOPBACK}:{port}"
        arguments = [
            f"--data-dir={self._home / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls=http://{LOOPBACK}:{peers}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]
        return Program("etcd", arguments, port, "/health", self._home)

    def _api_server(self, port: int, store: int) -> Program:
        arguments = [
            f"--etcd-servers=http://{LOOPBACK}:{store}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={port}",
            f"--tls-cert-file={self._home / 'server.crt'}",
            f"--tls-private-key-file={self._home / 'server.key'}",
            f"--token-auth-file={self._home / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--endpoint-reconciler-type=none",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._home / 'accounts.pub'}",
            f"--service-account-signing-key-file={self._home / 'accounts.key'}",
        ]
        return Program("kube-apiserver", arguments, port, "/readyz", self._home, scheme="https")

    def _controller_manager(self, port: int) -> Program:
        arguments = [
            f"--kubeconfig={self._home / 'controllers.yaml'}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={port}",
            "--leader-elect=false",
            f"--service-account-private-key-file={self._home / 'accounts.key'}",
            f"--root-ca-file={self._home / 'ca.crt'}",
            f"--controllers={','.join(CONTROLLERS)}",
        ]
        return Program("kube-controller-manager", arguments, port, "/healthz", self._home, scheme="https")
