"""Makes an HTTP client for the cluster of a kubeconfig's context."""

import base64
import ssl
import tempfile
from pathlib import Path
from typing import Any, Literal

import httpx
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

SECONDS = 30.0  # for one answer


class KubeconfigError(Exception):
    """The kubeconfig leads to no cluster. The message says why."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Cluster(_Part):
    server: str
    authority: str = Field("", alias="certificate-authority-data")
    insecure: bool = Field(False, alias="insecure-skip-tls-verify")


class _User(_Part):
    token: str = ""
    certificate: str = Field("", alias="client-certificate-data")
    key: str = Field("", alias="client-key-data")


class _Context(_Part):
    cluster: str
    user: str
    namespace: str = "default"


class _Kubeconfig(_Part):
    kind: Literal["Config"]
    current: str = Field(alias="current-context")
    clusters: list[dict[str, Any]]
    contexts: list[dict[str, Any]]
    users: list[dict[str, Any]]


def reach(text: str, context: str = "") -> tuple[httpx.Client, str]:
    """Return a client of the context's API server, and the context's namespace. Raises KubeconfigError.

    It logs in by token or client certificate. Only Pulumi's official plugin supports users that run a program.
    """
    try:
        config = _Kubeconfig.model_validate(yaml.safe_load(text))
        chosen = _Context.model_validate(_named(config.contexts, context or config.current, "context"))
        cluster = _Cluster.model_validate(_named(config.clusters, chosen.cluster, "cluster"))
        user = _User.model_validate(_named(config.users, chosen.user, "user"))
        verify = _trust(cluster, user)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, row['loc']))}: {row['msg'].lower()}" for row in error.errors())
        raise KubeconfigError(f"the kubeconfig cannot be used: {wrong}") from None
    except (yaml.YAMLError, ValueError, ssl.SSLError) as error:
        raise KubeconfigError(f"the kubeconfig cannot be read: {' '.join(str(error).split())}") from None
    headers = {"Authorization": f"Bearer {user.token}"} if user.token else {}
    client = httpx.Client(base_url=cluster.server, verify=verify, headers=headers, timeout=SECONDS, trust_env=False)
    return client, chosen.namespace


def trouble(text: str) -> str:
    """Return why the API of a kubeconfig does not serve; empty if it does."""
    try:
        client, _namespace = reach(text)
        with client:
            answer = client.get("/readyz")
    except (httpx.HTTPError, KubeconfigError) as error:
        return f"{type(error).__name__}: {error}"
    return "" if answer.is_success else f"it answers {answer.status_code} {' '.join(answer.text.split())[:200]}"


def _named(rows: list[dict[str, Any]], name: str, kind: str) -> dict[str, Any]:
    for row in rows:
        if row.get("name") == name:
            return dict(row.get(kind) or {})
    known = ", ".join(str(row.get("name")) for row in rows) or "none"
    raise KubeconfigError(f"the kubeconfig has no {kind} {name!r} (it has: {known})")


def _trust(cluster: _Cluster, user: _User) -> ssl.SSLContext:
    trust = ssl.create_default_context(cadata=_decoded(cluster.authority) if cluster.authority else None)
    if cluster.insecure:
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    if user.certificate:
        with tempfile.TemporaryDirectory() as folder:  # the ssl module reads certificates only from files
            pair = [Path(folder, name) for name in ("crt", "key")]
            for file, content in zip(pair, (user.certificate, user.key), strict=True):
                file.touch(mode=0o600)
                file.write_text(_decoded(content))
            trust.load_cert_chain(pair[0], pair[1])
    return trust


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
