"""Define the dynamic resources of the stack's own cluster, tokens `pulumi-python:dynamic/cluster:*`.

`Account` checks the Hetzner project first; `Node` brings k3s on the server over SSH; `Kubeconfig` is the way in;
`Certificate` is the receiver's. Their deletes do nothing: `pulumi_hcloud` makes and deletes all that Hetzner charges.
Module path and class names are persisted in every stack's state: a rename is a migration.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import Any, TypeVar

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown

from bootstrap.errors import BootstrapError
from bootstrap.services import Progress
from config.masking import cleaned, forms
from providers.cluster.errors import ClusterError, HetznerDown
from providers.engine_watch import EngineGone, EngineWatch, WatchedClock
from providers.progress import print_progress
from providers.provider_process import take_over

ACCOUNT = ("apiUrl", "name", "location", "server", "volumeGb", "loadBalancer", "network")
NODE = (
    "address", "privateAddress", "serverId", "server", "device", "volumeGb", "apiUrl", "k3s", "backups", "sshPublicKey",
    "backupAccessKey", "backupSecretKey", "hostKey",
)  # fmt: skip
KUBECONFIG = ("address", "authority", "hostKey")
SECRETS = (
    "k3sToken",
    "nodePassword",
    "sshPrivateKey",
    "previousSshPrivateKey",
    "backupAccessKey",
    "backupSecretKey",
    "caKey",
)
Value = TypeVar("Value")


def _known(value: Any) -> Any:
    """Return inputs without those that a preview does not know."""
    if isinstance(value, Mapping):
        return {key: _known(item) for key, item in value.items() if not isinstance(item, Unknown)}
    return value


def _is_changed(keys: tuple[str, ...], olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Say whether one of the keys changed. An unknown value is no change: `up` compares it when it is known."""
    known = _known(news)
    return any(_known(olds.get(key)) != known[key] for key in keys if key in known)


class _ClusterProvider(ResourceProvider):
    """The common part of the four providers."""

    serialize_as_secret_always = False
    outputs: tuple[str, ...] = ()  # the keys of state that are no inputs

    def configure(self, req: ConfigureRequest) -> None:
        """Take the project's token from the provider's args."""
        self._token = req.config.get("hcloudToken") or ""
        watch = EngineWatch.of_this_process()
        self._clock = WatchedClock(watch)
        self._calls = 0
        take_over(watch, lambda: self._calls > 0)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return the state, so that a refresh needs neither SSH nor Hetzner: `pulumi_hcloud` finds vanished resources."""
        state = {key: value for key, value in props.items() if key[0] != "_"}
        return ReadResult(id_, state, {key: value for key, value in state.items() if key not in self.outputs})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Do nothing: the server goes with its own resource."""

    def _operate(self, props: Mapping[str, Any], operation: Callable[[Progress], Value]) -> Value:
        """Run an operation. Every error leaves here as one sentence without a secret or a traceback."""
        hidden = forms([self._token, *(str(props[key]) for key in SECRETS if props.get(key))])

        def report(phase: str, text: str) -> None:
            print_progress(cleaned(f"cluster  {phase}  {text}", hidden))

        self._calls += 1
        try:
            return operation(report)
        except (ClusterError, BootstrapError, EngineGone, ValueError) as error:
            raise pulumi.RunError(cleaned(str(error), hidden)) from None
        finally:
            self._calls -= 1

    def _api(self, url: str) -> Any:
        from providers.cluster.hetzner_api import HetznerApi  # noqa: PLC0415 -- httpx, which only a call needs

        return HetznerApi(url, self._token, self._clock)


class AccountProvider(_ClusterProvider):
    """Check the project in each preview, and keep the price."""

    outputs = ("eurosAMonth",)

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Ask Hetzner whether the cluster can be made or changed as config says, and report its price a month.

        A silence of Hetzner is no reason against an update of an existing cluster.
        """
        from providers.cluster.account_rules import ClusterSpec  # noqa: PLC0415
        from providers.cluster.session import judge, spec_of  # noqa: PLC0415

        spec, old, stack_id = ClusterSpec.model_validate(_known(news)), spec_of(olds), _known(news).get("stackId")
        try:
            with closing(self._api(spec.api_url)) as api:
                found, price = judge(api, self._token, spec, old, stack_id)
        except HetznerDown as error:
            if old is None:
                return CheckResult(news, [CheckFailure("", f"{error}: nothing was made. Run the command again later.")])
            print_progress(f"cluster  check  {error}, so that stock and names were not compared")
            return CheckResult(news, [])
        except ClusterError as error:
            return CheckResult(news, [CheckFailure("", f"{error}. Check gpu-fleet:hcloudToken.")])
        if price and not found:
            print_progress(f"cluster  {price.sentence(spec.name)}")
        return CheckResult(news, [CheckFailure("", one) for one in found])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Record changed inputs; replace nothing."""
        return DiffResult(changes=_is_changed(ACCOUNT, olds, news), replaces=[])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Keep inputs and price."""
        return CreateResult(str(props["name"]), self._priced(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Keep inputs and price."""
        return UpdateResult(self._priced(news))

    def _priced(self, props: dict[str, Any]) -> dict[str, Any]:
        from providers.cluster.account_rules import ClusterSpec, price_of  # noqa: PLC0415

        spec, euros = ClusterSpec.model_validate(props), None
        with suppress(ClusterError), closing(self._api(spec.api_url)) as api:
            euros = price_of(spec, api.pricing()).euros
        return {**props, "eurosAMonth": euros}


class NodeProvider(_ClusterProvider):
    """Make k3s on the server follow stack config."""

    outputs = ("version", "authority")

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse a version of k3s to which the running one cannot go."""
        from config.cluster import K3sConfig  # noqa: PLC0415
        from providers.cluster.plan import upgrade_problem  # noqa: PLC0415

        old = K3sConfig.model_validate(olds["k3s"]) if olds.get("k3s") else None
        problem = upgrade_problem(old, K3sConfig.model_validate(news["k3s"]))
        return CheckResult(news, [CheckFailure("", problem)] if problem else [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Compare the inputs that the server follows; replace nothing."""
        return DiffResult(changes=_is_changed(NODE, olds, news), replaces=[])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Bring k3s up: a new cluster, or the last snapshot of this one."""
        return CreateResult(str(props["name"]), {**props, **self._bring(props)})

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Follow config; on a server that was made anew, restore the last snapshot."""
        return UpdateResult({**news, **self._bring(news, grows=olds.get("volumeGb") != news.get("volumeGb"))})

    def _bring(self, props: dict[str, Any], *, grows: bool = False) -> dict[str, Any]:
        from providers.cluster.inputs import NodeInputs  # noqa: PLC0415
        from providers.cluster.session import bring_node  # noqa: PLC0415 -- SSH

        def bring(report: Progress) -> dict[str, Any]:
            inputs = NodeInputs.from_props(props)
            with closing(self._api(inputs.api_url)) as api:
                return bring_node(inputs, api, self._clock, report, grows=grows)

        return self._operate(props, bring)


class KubeconfigProvider(_ClusterProvider):
    """Read the kubeconfig from the server. It stays the same while its certificate lasts, whatever happens to the server."""

    outputs = ("kubeconfig", "certificateEnd")

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Read anew for another cluster or address, or if the client certificate ends soon."""
        from providers.cluster.kubeconfig_text import ends_soon  # noqa: PLC0415

        due = ends_soon(float(olds.get("certificateEnd") or 0.0), time.time())
        return DiffResult(changes=due or _is_changed(KUBECONFIG, olds, news), replaces=[])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Read it."""
        return CreateResult("kubeconfig", {**props, **self._read(props)})

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Read it anew."""
        return UpdateResult({**news, **self._read(news)})

    def _read(self, props: dict[str, Any]) -> dict[str, Any]:
        from providers.cluster.inputs import KubeconfigInputs  # noqa: PLC0415
        from providers.cluster.session import read_kubeconfig  # noqa: PLC0415 -- SSH

        return self._operate(
            props, lambda report: read_kubeconfig(KubeconfigInputs.from_props(props), self._clock, report)
        )


class CertificateProvider(_ClusterProvider):
    """Make and renew the receiver's certificate."""

    outputs = ("certificate", "key", "end")

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Renew for another address or CA, or if it ends within months."""
        from providers.cluster.certificate import is_due  # noqa: PLC0415

        changed = _is_changed(("addresses", "caCertificate"), olds, news)
        return DiffResult(changes=changed or is_due(olds, time.time()), replaces=[])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make key and certificate."""
        return CreateResult("certificate", self._fresh(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Make another key and certificate."""
        return UpdateResult(self._fresh(news))

    def _fresh(self, props: dict[str, Any]) -> dict[str, Any]:
        from providers.cluster.certificate import fresh  # noqa: PLC0415 -- cryptography

        def make(_report: Progress) -> dict[str, Any]:
            return fresh(tuple(props["addresses"]), props["caKey"], props["caCertificate"], self._clock.time())

        return {**props, **self._operate(props, make)}


def _secret(*more: str) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(additional_secret_outputs=[*SECRETS, *more])


class Account(Resource, module="cluster", name="Account"):
    """The project at Hetzner. Inputs: those of `account_rules.ClusterSpec`, and `stackId`. Output: `eurosAMonth`, net."""

    eurosAMonth: pulumi.Output[float | None]  # noqa: N815 -- a property of the resource, spelt as in state

    def __init__(self, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(AccountProvider(), name, {"eurosAMonth": None, **inputs}, opts)


class Node(Resource, module="cluster", name="Node"):
    """k3s on the server. Inputs: `inputs.NodeInputs`. Outputs: `version`; `authority`, SHA-256 of the cluster's CA."""

    version: pulumi.Output[str]
    authority: pulumi.Output[str]

    def __init__(self, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        options = pulumi.ResourceOptions.merge(opts, _secret())
        super().__init__(NodeProvider(), name, {"version": None, "authority": None, **inputs}, options)


class Kubeconfig(Resource, module="cluster", name="Kubeconfig"):
    """The way in, a secret. Inputs: `inputs.KubeconfigInputs`. Outputs: `kubeconfig`; `certificateEnd`, unix seconds."""

    kubeconfig: pulumi.Output[str]

    def __init__(self, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        options = pulumi.ResourceOptions.merge(opts, _secret("kubeconfig"))
        super().__init__(KubeconfigProvider(), name, {"kubeconfig": None, "certificateEnd": None, **inputs}, options)


class Certificate(Resource, module="cluster", name="Certificate"):
    """The receiver's certificate. Inputs: `addresses`, `caKey`, `caCertificate`. Outputs: `certificate`, `key`, `end`."""

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]

    def __init__(self, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        options = pulumi.ResourceOptions.merge(opts, _secret("key"))
        super().__init__(
            CertificateProvider(), name, {"certificate": None, "key": None, "end": None, **inputs}, options
        )
