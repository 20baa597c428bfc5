"""Manifests as Pulumi and the API server show them, pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # what an output is while it is not known (pulumi.runtime.rpc.UNKNOWN)
SERVERS_OWN = {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"}


@dataclass(frozen=True)
class Kind:
    """One kind of object: `version` is apps/v1, or v1 for the core group."""

    version: str
    kind: str

    @classmethod
    def of(cls, manifest: Manifest) -> Kind:
        """Return an object's kind."""
        return cls(manifest["apiVersion"], manifest["kind"])

    @classmethod
    def of_urn(cls, urn: str) -> Kind:
        """Return the kind that a resource's type token names: kubernetes:core/v1:Secret."""
        token = urn.split("::")[2].rpartition("$")[2]
        _package, version, kind = token.split(":")
        return cls(version.removeprefix("core/"), kind)

    @property
    def path(self) -> str:
        """Return where the API server has this version."""
        return f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"


def name_of(manifest: Manifest) -> str:
    """Say which object it is.

    >>> name_of({"kind": "Secret", "metadata": {"namespace": "a", "name": "b"}})
    'Secret a/b'
    """
    metadata = manifest["metadata"]
    return f"{manifest['kind']} {'/'.join(filter(None, (metadata.get('namespace'), metadata['name'])))}"


def id_of(manifest: Manifest) -> str:
    """Return Pulumi's id of an object: namespace/name, or name."""
    metadata = manifest["metadata"]
    return "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))


def place_of(identity: str) -> Manifest:
    """Return the metadata that an id tells."""
    namespace, _, name = identity.rpartition("/")
    return {"name": name} | ({"namespace": namespace} if namespace else {})


def whole_numbers(value: Any) -> Any:
    """Turn 3.0 into 3, as the API server wants it: Pulumi sends every number as a float."""
    if isinstance(value, dict):
        return {key: whole_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [whole_numbers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def has_unknowns(value: Any) -> bool:
    """Say whether anything in it is not known yet."""
    if isinstance(value, dict):
        return any(map(has_unknowns, value.values()))
    if isinstance(value, list):
        return any(map(has_unknowns, value))
    return bool(value == UNKNOWN)


def meant(live: Manifest) -> Manifest:
    """Return an object without what the server keeps for itself: status, versions, times."""
    metadata = {key: value for key, value in live["metadata"].items() if key not in SERVERS_OWN}
    return {key: value for key, value in live.items() if key != "status"} | {"metadata": metadata}


def projected(inputs: Any, live: Any) -> Any:
    """Return what the live object has of what the program asked for, and no more: the rest the server filled in."""
    if isinstance(inputs, dict) and isinstance(live, dict):
        return {key: projected(value, live[key]) for key, value in inputs.items() if key in live}
    if isinstance(inputs, list) and isinstance(live, list):
        pairs = [projected(one, other) for one, other in zip(inputs, live, strict=False)]
        return pairs + live[len(pairs) :]
    return live


def changed_keys(before: Manifest, after: Manifest) -> list[str]:
    """Return the top-level keys in which two objects differ."""
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def without_values(manifest: Manifest, sentence: str) -> str:
    """Return a refusal without a Secret's values, which the API server may quote."""
    if manifest.get("kind") != "Secret":
        return sentence
    return re.sub(r'Invalid value: "(\\.|[^"\\])*"', "Invalid value: (hidden)", sentence)
