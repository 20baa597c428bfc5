"""Say which objects of a bucket nothing names any more, pure: blobs, compile caches, and references to blobs.

An object stays if its digest stands anywhere in a committed manifest, in the state of a stack, or in a reference that is
young or that a resource in a state holds. It also stays while it is young, because an upload or a fetch may be under way.
All other prefixes of the bucket are left alone.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from providers.store.references import PREFIX as REFERENCES
from providers.store.warm_cache import PREFIX as CACHES
from weights.manifest import blob_key

DAY = 86_400.0
LEAST_DAYS = 7.0  # as long as a presigned URL lasts
BLOB, CACHE, REFERENCE = "blob", "compile cache", "reference"
KEYS = {
    BLOB: re.compile(rf"{re.escape(blob_key(''))}([0-9a-f]{{64}})"),
    CACHE: re.compile(rf"{re.escape(CACHES)}[0-9a-f]{{64}}/\d+/([0-9a-f]{{64}})\.tar\.gz"),
}
DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass(frozen=True)
class Stored:
    """One object of the bucket. `modified`: unix seconds by the store's clock."""

    key: str
    size: int
    modified: float


@dataclass(frozen=True)
class Reference:
    """One reference in the bucket. `digests`: every digest in its text."""

    stored: Stored
    owner: str
    digests: frozenset[str]


@dataclass(frozen=True)
class Judged:
    """One object, and why it stays: `named` or `young`; empty if nothing needs it. `age` in seconds."""

    stored: Stored
    kind: str
    age: float
    stays: str = ""


@dataclass(frozen=True)
class Named:
    """The names in states and manifests. `owners`: of the references that resources in states hold, in this bucket.

    `troubles` name the states and manifests that could not be read. Then no object counts as unneeded.
    """

    digests: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    troubles: tuple[str, ...] = ()

    def __or__(self, other: "Named") -> "Named":
        """Return the names of both."""
        return Named(self.digests | other.digests, self.owners | other.owners, (*self.troubles, *other.troubles))


def digests_in(text: str) -> frozenset[str]:
    """Return every SHA-256 digest that stands in a text, whatever the text means."""
    return frozenset(DIGEST.findall(text))


def named_by_state(
    stack: str, deployment: Mapping[str, Any] | str, bucket: str, blobs_type: str, instance_type: str
) -> Named:
    """Return the names in a stack's state: the `deployment` of `pulumi stack export`, or a text that says why it is unknown.

    A digest counts wherever it stands. If a resource that needs blobs shows no digest, the state hides them. The result then
    names a trouble.
    """
    if isinstance(deployment, str):
        return Named(troubles=(f"the state of {stack} cannot be read: {deployment}",))
    pending = [row.get("resource") or {} for row in deployment.get("pending_operations") or []]
    rows = [*(deployment.get("resources") or []), *pending]
    hidden = [
        f"the state of {stack} does not show which blobs {str(row.get('urn', '')).rpartition('::')[2]} needs"
        for row in rows
        if row.get("type") in (blobs_type, instance_type) and not digests_in(json.dumps(row))
    ]
    inputs = [row.get("inputs") or {} for row in rows if row.get("type") == blobs_type]
    owners = {str(one.get("owner") or "") for one in inputs if one.get("bucket") in (bucket, None)} - {""}
    return Named(digests_in(json.dumps(deployment)), frozenset(owners), tuple(hidden))


def judge(
    stored: Iterable[Stored], references: Sequence[Reference], named: Named, now: float, least_seconds: float
) -> list[Judged]:
    """Return a judgement of each blob, compile cache and reference, in the order of their keys.

    `now`: unix seconds. `least_seconds`: younger objects stay.
    """
    holding = {
        one.stored.key: one
        for one in references
        if one.owner in named.owners or now - one.stored.modified < least_seconds
    }
    needed = named.digests.union(*(one.digests for one in holding.values()))
    found = []
    for one in sorted(stored, key=lambda each: each.key):
        kind, digest = kind_of(one.key)
        if not kind:
            continue
        age = now - one.modified
        is_named = one.key in holding if kind == REFERENCE else digest in needed
        found.append(Judged(one, kind, age, "named" if is_named else "young" if age < least_seconds else ""))
    return found


def kind_of(key: str) -> tuple[str, str]:
    """Return an object's kind and its digest or owner by its key; empty texts if it is none of these.

    >>> kind_of("manifests/kit.json"), kind_of("ledger/2026-11-30/x.json")
    (('reference', 'kit'), ('', ''))
    """
    for kind, pattern in KEYS.items():
        if match := pattern.fullmatch(key):
            return kind, match[1]
    if key.startswith(REFERENCES) and key.endswith(".json") and key.count("/") == 1:
        return REFERENCE, key.removeprefix(REFERENCES).removesuffix(".json")
    return "", ""


def unneeded(judged: Collection[Judged]) -> list[Judged]:
    """Return the unneeded objects: references first, so that an interruption leaves no reference to removed blobs."""
    found = [one for one in judged if not one.stays]
    return sorted(found, key=lambda one: one.kind != REFERENCE)
