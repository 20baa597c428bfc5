"""Checks that apply to the manifests of every part that runs in a cluster."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from monitoring.kubernetes.objects import Manifest


def of(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Return the manifests of one kind by name."""
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Return the pods of the deployments by the deployment's name."""
    return {name: each["spec"]["template"]["spec"] for name, each in of(manifests, "Deployment").items()}


def assert_every_name_is_made(
    manifests: list[Manifest], secrets: Mapping[str, AbstractSet[str]], namespace: str
) -> None:
    """Each volume, key and service leads to something; all is in one namespace. `secrets`: the keys of each Secret."""
    maps, claims, deployments = (of(manifests, kind) for kind in ("ConfigMap", "PersistentVolumeClaim", "Deployment"))
    for pod in pods(manifests).values():
        for source in _sources(pod):
            if "configMap" in source:
                assert source["configMap"]["name"] in maps
            elif "secret" in source:
                assert source["secret"]["secretName"] in secrets
            elif "persistentVolumeClaim" in source:
                assert source["persistentVolumeClaim"]["claimName"] in claims
        for variable in pod["containers"][0]["env"]:
            if "valueFrom" in variable:
                asked = variable["valueFrom"]["secretKeyRef"]
                assert asked["key"] in secrets[asked["name"]]
    for service in of(manifests, "Service").values():
        [target] = [
            each["spec"]["template"]
            for each in deployments.values()
            if each["spec"]["template"]["metadata"]["labels"] == service["spec"]["selector"]
        ]
        ports = {port["name"] for port in target["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    keys = [(each["kind"], each["metadata"]["name"]) for each in manifests]
    assert len(keys) == len(set(keys))
    assert {each["metadata"]["namespace"] for each in manifests} == {namespace}


def assert_pods_are_restricted(manifests: list[Manifest]) -> None:
    """Each pod runs without rights, is probed, and is bounded in memory."""
    for name, pod in pods(manifests).items():
        [container] = pod["containers"]
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]


def _sources(pod: Manifest) -> Iterator[Manifest]:
    for volume in pod["volumes"]:
        yield from volume.get("projected", {}).get("sources", [volume])
