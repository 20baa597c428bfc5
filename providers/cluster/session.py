"""Play the operations of the cluster's resources: check the account, turn the server on, bring k3s, read the way in."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from bootstrap.clock import Clock
from bootstrap.connect import connect
from bootstrap.errors import BootstrapError, HostUnreachable
from bootstrap.services import Progress
from bootstrap.ssh_host import SshHost
from providers.cluster import kubeconfig_text
from providers.cluster.account_rules import KINDS, ClusterSpec, Price, Project, moves, price_of, problems, token_problem
from providers.cluster.api_server import renewed
from providers.cluster.errors import ClusterError
from providers.cluster.hetzner_api import HetznerApi
from providers.cluster.inputs import KubeconfigInputs, NodeInputs, Way
from providers.cluster.node import Node, unreachable
from providers.cluster.snapshots import newest_snapshot

SSH_PORT = 22
LOGIN_SECONDS = 600.0


def judge(
    api: HetznerApi, token: str, spec: ClusterSpec, old: ClusterSpec | None, stack_id: str | None
) -> tuple[list[str], Price | None]:
    """Return a sentence for each reason why the project cannot give the cluster, and the price a month.

    Raises ClusterError if Hetzner refuses the token or does not answer.
    """
    if problem := token_problem(token):
        return [problem], None
    if stays := moves(old, spec):
        return stays, None
    api.confirm_writable()
    kinds = (*KINDS, *(["load_balancers"] if spec.load_balancer else []))
    taken = {kind: row for kind in kinds if (row := api.named(kind, spec.name))}
    server = api.server_named(spec.name) if "servers" in taken else None
    project = Project(api.locations(), api.server_types(), api.pricing(), server, taken)
    return problems(spec, project, stack_id, is_known=old is not None), price_of(spec, project.pricing)


def bring_node(
    inputs: NodeInputs, api: HetznerApi, clock: Clock, report: Progress, *, grows: bool = False
) -> dict[str, Any]:
    """Turn the server on if it is off, and make k3s on it follow stack config. Return the outputs.

    `grows`: the volume is larger now, and its file system follows.
    """
    if api.server(inputs.server_id).status == "off":  # Hetzner leaves it off after a change of its type
        report("power", "the server is off; turning it on")
        api.power_on(inputs.server_id)
    with _host(inputs, clock, report) as host:
        node = Node(
            host, inputs.spec, lambda: newest_snapshot(inputs.place, inputs.backups.own_endpoint), clock, report
        )
        text = node.bring()
        if grows:
            node.grow()
    report("k3s", f"{inputs.k3s.version} serves at https://{inputs.address}:{kubeconfig_text.PORT}")
    return {"version": inputs.k3s.version, "authority": kubeconfig_text.authority(text)}


def read_kubeconfig(inputs: KubeconfigInputs, clock: Clock, report: Progress) -> dict[str, Any]:
    """Read the kubeconfig from the server, for the operator. Return the outputs."""
    with _host(inputs, clock, report) as host:
        text = renewed(host, inputs.address, clock, report)
    return {"kubeconfig": text, "certificateEnd": kubeconfig_text.certificate_end(text)}


@contextmanager
def _host(way: Way, clock: Clock, report: Progress) -> Iterator[SshHost]:
    keys = [way.previous.get_secret_value()] if way.previous.get_secret_value() else []
    try:
        found = connect(
            way.address,
            SSH_PORT,
            way.private_key.get_secret_value(),
            way.host_key,
            clock,
            LOGIN_SECONDS,
            report,
            other_keys=keys,
        )
        with closing(found) as host:
            yield host
    except HostUnreachable as error:
        raise unreachable(error, way.address) from None
    except BootstrapError as error:
        raise ClusterError(f"{error}. Run pulumi up again; it goes on from here.") from None


def spec_of(props: Mapping[str, Any]) -> ClusterSpec | None:
    """Return the wish of an earlier program; None without one."""
    return ClusterSpec.model_validate(props) if props.get("location") else None
