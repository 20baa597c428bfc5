"""Makes the controller of elastic fleets in a cluster: its objects and the Secrets that its programs read."""

import hashlib
import hmac
import os
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi

from components.cluster_objects import ClusterObjects, ClusterTarget
from components.controller_manifests import (
    CERTIFICATE_SECRET,
    CONTROLLER_SECRET,
    DSN,
    POSTGRES_PASSWORD,
    POSTGRES_SECRET,
    ControllerSettings,
    dsn,
    manifests,
)
from components.kubernetes_settings import controller_cluster, read_kubeconfig, watched_controller
from config.base import PROJECT, path_of
from config.controller_kubernetes import ControllerKubernetesConfig
from config.dialect import DialectError, read_yaml
from config.messages import ConfigError
from config.stack import StackConfig
from monitoring.kubernetes.settings import CONTROLLER, CONTROLLER_PORT, TLS_KEYS

SECTION = "controller.kubernetes"
PASSPHRASE, PASSPHRASE_FILE = "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"
ENCRYPTION_KEYS = ("secretsprovider", "encryptedkey", "encryptionsalt")  # of a stack's file
STORE_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")  # of a backend s3://, which is a bucket as the store is


@dataclass(frozen=True)
class OwnCluster:
    """The cluster that the stack itself makes. `api`: the controller's URL for clients from outside, if it is open to them.

    `certificate`: of the API and its key, PEM.
    """

    kubeconfig: pulumi.Output[str]
    api: pulumi.Output[str] | None = None
    certificate: tuple[pulumi.Output[str], pulumi.Output[str]] | None = None


@dataclass(frozen=True)
class ControllerKeys:
    """The secrets of the stack that the controller in the cluster needs. `dsn`: of a PostgreSQL of the operator's.

    `certificate`: that of the API and its key, PEM, if it is served over TLS.
    """

    token_secret: pulumi.Output[str]
    store_access: pulumi.Output[str]
    store_secret: pulumi.Output[str]
    dsn: pulumi.Output[str] | None = None
    certificate: tuple[pulumi.Output[str], pulumi.Output[str]] | None = None


@dataclass(frozen=True)
class Setup:
    """The parts of the controller in a cluster, besides keys of the stack.

    `kubeconfig`: its text; `passphrase`: of the stack's secrets, None without one; `encryption`: the keys of the stack's file
    that say how it encrypts; `watched_from`: the namespace of our Prometheus in this cluster, empty without one;
    `api_port`: of the node, for clients from outside, 0 for none.
    """

    section: ControllerKubernetesConfig
    backend: str
    kubeconfig: pulumi.Input[str] = field(repr=False)
    passphrase: str | None = field(repr=False)
    encryption: Mapping[str, str]
    watched_from: str = ""
    api_port: int = 0


class ClusterController(pulumi.ComponentResource):
    """`gpu-fleet:components:Controller`: one resource for each object.

    The update does not wait for the controller itself: that gets ready once the stack's outputs are written, which is at the
    update's end.
    """

    def __init__(
        self, name: str, setup: Setup, keys: ControllerKeys, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gpu-fleet:components:Controller", name, None, opts)
        section, backend = setup.section, setup.backend
        password = keys.token_secret.apply(postgres_password)
        plain = environment(section, setup.passphrase)
        secret = {variable: pulumi.Output.secret(value) for variable, value in plain.items()}
        if uses_store_keys(section, backend):
            secret |= dict(zip(STORE_KEYS, (keys.store_access, keys.store_secret), strict=True))
        secret[DSN] = keys.dsn or password.apply(dsn)
        secrets = {CONTROLLER_SECRET: secret}
        if keys.dsn is None:
            secrets[POSTGRES_SECRET] = {POSTGRES_PASSWORD: password}
        if keys.certificate is not None:
            secrets[CERTIFICATE_SECRET] = dict(zip(TLS_KEYS, keys.certificate, strict=True))
        settings = ControllerSettings(
            section,
            pulumi.get_stack(),
            backend,
            secret_keys=tuple(secret),
            own_postgres=keys.dsn is None,
            watched_from=setup.watched_from,
            encryption=setup.encryption,
            api_port=setup.api_port,
        )
        key = keys.token_secret
        place = ClusterTarget(
            "kubernetes-controller", section, section.namespace, setup.kubeconfig, mark_key=key, digest_key=key
        )
        ClusterObjects(self, place, unawaited=(CONTROLLER,)).declare(manifests(settings), secrets)
        self.register_outputs({})


def postgres_password(token_secret: str) -> str:
    """Return the password of our own PostgreSQL, derived from the stack's secret: it stays, as the database keeps it."""
    return hmac.new(token_secret.encode(), b"controller-postgres", hashlib.sha256).hexdigest()


def uses_store_keys(section: ControllerKubernetesConfig, backend: str) -> bool:
    """Return whether the store's keys open the state backend: it is a bucket, and config names no keys for it."""
    return backend.startswith("s3://") and not set(STORE_KEYS) & set(section.environment)


def environment(section: ControllerKubernetesConfig, passphrase: str | None) -> dict[str, str]:
    """Return the variables that open state backend and secrets, but for the store's keys. Raises ConfigError without any."""
    if passphrase is not None:
        return {**section.environment, PASSPHRASE: passphrase}
    if not section.environment:
        variable = path_of("controller", "kubernetes", "environment", "PULUMI_ACCESS_TOKEN")
        raise ConfigError(
            f"{path_of('controller', 'kubernetes')}: the controller must read this stack's secrets, and this shell has no "
            f"{PASSPHRASE}. Set it; or, with another secrets provider, name its variables, such as: pulumi config set "
            f"--secret --path {variable}"
        )
    return dict(section.environment)


def read_passphrase(environ: Mapping[str, str]) -> str | None:
    """Return the passphrase of the stack's secrets, as Pulumi finds it; None without one. Raises ConfigError."""
    if PASSPHRASE in environ:
        return environ[PASSPHRASE]
    if not environ.get(PASSPHRASE_FILE):
        return None
    try:
        return Path(environ[PASSPHRASE_FILE]).expanduser().read_text().strip()
    except OSError as error:
        raise ConfigError(f"{PASSPHRASE_FILE} names a file that cannot be read ({error.strerror}).") from None


def read_encryption(project: Path, stack: str) -> dict[str, str]:
    """Return the keys of the stack's file that say how the stack encrypts; none if the file cannot be read."""
    try:
        found = read_yaml((project / f"Pulumi.{stack}.yaml").read_text())
    except (OSError, DialectError):
        return {}
    return {key: str(found[key]) for key in ENCRYPTION_KEYS if isinstance(found, Mapping) and found.get(key)}


def run_controller(
    stack: StackConfig,
    source: pulumi.Config,
    known: Container[str],
    project: Path,
    token_secret: pulumi.Output[str],
    own: OwnCluster | None = None,
) -> dict[str, Any]:
    """Declare the controller's objects. Return an export: the namespace, and the ways to the API.

    `known` are the config keys that have a value; `own`: the stack's own cluster. Raises pulumi.RunError if another cluster's
    kubeconfig, or a passphrase, cannot be read.
    """
    assert stack.cluster_controller is not None
    section = controller_cluster(stack.cluster_controller, stack.kubernetes)
    keys = ControllerKeys(
        token_secret=token_secret,
        store_access=source.require_secret("storeAccessKey"),
        store_secret=source.require_secret("storeSecretKey"),
        dsn=source.require_secret("controllerDsn") if "controllerDsn" in known else None,
        certificate=own.certificate if own else None,
    )
    watched_from = stack.kubernetes.namespace if stack.kubernetes and watched_controller(stack) else ""
    try:
        setup = Setup(
            section,
            stack.controller.backend,
            own.kubeconfig if own else read_kubeconfig(section, project, os.environ, SECTION),
            read_passphrase(os.environ),
            read_encryption(project, pulumi.get_stack()),
            watched_from,
            (stack.cluster.api_port or 0) if stack.cluster else 0,
        )
        ClusterController("controller", setup, keys)
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from None
    if "@" not in section.image:
        pulumi.log.warn(pinning_advice(section.image))
    reach = f"kubectl --namespace {section.namespace} port-forward service/{CONTROLLER} {CONTROLLER_PORT}"
    return {"namespace": section.namespace, "reach": reach, **({"api": own.api} if own and own.api is not None else {})}


def pinning_advice(image: str) -> str:
    """Return a warning about an image without a digest, with the command that pins it."""
    return (
        "Tags can be moved by others, and the controller's image, which gets keys of the stack, runs by tag alone. Pin it:\n"
        f'  pulumi config set --path {PROJECT}:controller.kubernetes.image "{image}@$(docker buildx imagetools inspect '
        f"{image} --format '{{{{.Manifest.Digest}}}}')\""
    )
