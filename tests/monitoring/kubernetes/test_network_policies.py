"""Network policies: denied unless a way says so, on both ends."""

from hypothesis import given
from hypothesis import strategies as st

from monitoring.kubernetes import stack
from monitoring.kubernetes.network_policies import ANYWHERE, WAYS, Network, Pods, Way, policies, ways_of
from monitoring.kubernetes.objects import PART_OF
from monitoring.kubernetes.settings import Settings

COMPONENTS = ("prometheus", "alertmanager", "exporter", "door", "grafana")
ENDS = st.sampled_from((*COMPONENTS, ANYWHERE))
DNS = 53
SETTINGS = Settings(namespace="watch", image="image", stack_file="", runbooks="")


def open_ways(found: list[dict]) -> tuple[set[tuple[str, str, int | None]], set[tuple[str, str, int | None]]]:
    """Return (what may leave, what may enter) as (source, target, port)."""
    leaves: set[tuple[str, str, int | None]] = set()
    enters: set[tuple[str, str, int | None]] = set()
    for policy in found:
        chosen = policy["spec"]["podSelector"].get("matchLabels")
        for key, ways in (("egress", leaves), ("ingress", enters)):
            for rule in policy["spec"].get(key, []):
                peers = rule.get("to", rule.get("from"))
                others = (
                    [p["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for p in peers] if peers else [ANYWHERE]
                )
                for port in [row["port"] for row in rule["ports"]] if "ports" in rule else [None]:
                    own = chosen["app.kubernetes.io/name"] if chosen else ANYWHERE
                    ways |= {(own, o, port) if key == "egress" else (o, own, port) for o in others}
    return leaves, enters


@given(st.lists(st.builds(Way, ENDS, ENDS, st.integers(1, 65535)), max_size=8))
def test_each_way_is_open_on_both_of_its_ends_and_nothing_else_is(ways: list[Way]) -> None:
    leaves, enters = open_ways(policies("watch", ways))

    assert leaves == {(w.source, w.target, w.port) for w in ways if w.source != ANYWHERE} | {(ANYWHERE, ANYWHERE, DNS)}
    assert enters == {(w.source, w.target, w.port) for w in ways if w.target != ANYWHERE}


def test_all_pods_of_the_namespace_are_denied_first() -> None:
    [deny] = [policy for policy in policies("watch", WAYS) if policy["metadata"]["name"] == "deny-all"]

    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_every_component_has_its_policy_and_every_policy_a_component() -> None:
    manifests = stack.plain(SETTINGS)
    deployed = {each["metadata"]["name"] for each in manifests if each["kind"] == "Deployment"}
    chosen = {
        labels["app.kubernetes.io/name"]
        for each in manifests
        if each["kind"] == "NetworkPolicy" and (labels := each["spec"]["podSelector"].get("matchLabels"))
    }
    assert chosen == deployed == set(COMPONENTS)
    assert PART_OF == "gpu-fleet"


def test_only_hosts_enter_from_outside_and_only_to_the_door() -> None:
    assert [way.target for way in WAYS if way.source == ANYWHERE] == ["door"]


def test_pods_elsewhere_and_networks_are_named_and_not_the_whole_world() -> None:
    ways = [
        Way(Pods("ingress"), "api", 8080),
        Way(Pods("watch", "prometheus"), "api", 8080),
        Way(Network("10.1.0.0/16"), "api", 8080),
        Way("api", Network("0.0.0.0/0", ("10.0.0.0/8",)), 1024, 65535),
    ]
    [found] = [each["spec"] for each in policies("own", ways) if each["metadata"]["name"] == "api-ways"]
    named = "kubernetes.io/metadata.name"
    pods = {"matchLabels": {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/part-of": PART_OF}}

    assert [rule["from"] for rule in found["ingress"]] == [
        [{"namespaceSelector": {"matchLabels": {named: "ingress"}}}],
        [{"namespaceSelector": {"matchLabels": {named: "watch"}}, "podSelector": pods}],
        [{"ipBlock": {"cidr": "10.1.0.0/16"}}],
    ]
    assert found["egress"] == [
        {
            "to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}],
            "ports": [{"port": 1024, "endPort": 65535, "protocol": "TCP"}],
        }
    ]


def test_prometheus_reaches_the_controller_of_its_cluster_and_nothing_more() -> None:
    assert ways_of(SETTINGS) == WAYS
    assert set(ways_of(SETTINGS.model_copy(update={"controller_namespace": "fleets"}))) - set(WAYS) == {
        Way("prometheus", Pods("fleets", "controller"), 8080)
    }
