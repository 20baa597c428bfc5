"""Which objects nothing names: never one that a manifest, a state or a young reference names."""

import hashlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from providers.store.unneeded import (
    BLOB,
    CACHE,
    DAY,
    REFERENCE,
    Judged,
    Named,
    Reference,
    Stored,
    digests_in,
    judge,
    kind_of,
    named_by_state,
    unneeded,
)
from weights.manifest import File, Manifest, blob_key

NOW = 1_796_000_000.0
WEEK = 7 * DAY
BLOBS, INSTANCE = "store:Blobs", "vast:Instance"
BUCKET = "weights"


def digest(number: int) -> str:
    return hashlib.sha256(bytes([number])).hexdigest()


def manifest(*numbers: int) -> Manifest:
    files = [File(path=f"f{number}", size=1, sha256=digest(number), parts=(digest(number),)) for number in numbers]
    return Manifest(name="m", files=tuple(files))


def blob(number: int, days: float = 30) -> Stored:
    return Stored(blob_key(digest(number)), 1000, NOW - days * DAY)


def cache(number: int, days: float = 30, machine: int = 7) -> Stored:
    return Stored(f"warm/{'a' * 64}/{machine}/{digest(number)}.tar.gz", 10, NOW - days * DAY)


def reference(owner: str, *numbers: int, days: float = 30) -> Reference:
    stored = Stored(f"manifests/{owner}.json", 100, NOW - days * DAY)
    return Reference(stored, owner, digests_in(manifest(*numbers).to_json()))


def deployment(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resources": list(rows), **more}


def blobs_row(owner: str, *numbers: int, bucket: str = BUCKET) -> dict[str, Any]:
    inputs = {"owner": owner, "bucket": bucket, "manifest": manifest(*numbers).to_props()}
    return {"type": BLOBS, "urn": f"urn::{owner}", "inputs": inputs}


def instance_row(name: str, *numbers: int) -> dict[str, Any]:
    return {"type": INSTANCE, "urn": f"urn::{name}", "inputs": {"model": manifest(*numbers).to_props()}}


def of_state(found: dict[str, Any] | str) -> Named:
    return named_by_state("dev", found, BUCKET, BLOBS, INSTANCE)


def stays(judged: list[Judged]) -> dict[str, str]:
    return {one.stored.key: one.stays for one in judged}


def test_a_blob_that_nothing_names_is_unneeded_once_it_is_old() -> None:
    found = judge([blob(1), blob(2), blob(3, days=6.9)], [], Named(frozenset({digest(1)})), NOW, WEEK)

    assert stays(found) == {blob(1).key: "named", blob(2).key: "", blob(3).key: "young"}
    assert [one.stored for one in unneeded(found)] == [blob(2)]


def test_a_reference_that_a_state_holds_names_its_blobs_and_an_old_one_of_nobody_does_not() -> None:
    held, old, fresh = reference("kit", 1), reference("model-gone", 2), reference("model-new", 3, days=0.1)
    objects = [blob(1), blob(2), blob(3), held.stored, old.stored, fresh.stored]
    named = of_state(deployment(blobs_row("kit", 9)))  # an update is about to write the reference anew

    found = judge(objects, [held, old, fresh], named, NOW, WEEK)

    assert [one.stored for one in unneeded(found)] == [old.stored, blob(2)]
    assert named.troubles == ()


def test_an_owner_of_another_bucket_holds_nothing_here() -> None:
    named = of_state(deployment(blobs_row("kit", 1, bucket="another")))

    assert named.owners == frozenset()
    assert digest(1) in named.digests  # a digest counts wherever it stands


def test_a_compile_cache_stays_if_it_is_pinned_or_an_instance_has_it() -> None:
    pinned = digests_in(json.dumps({"a" * 64: digest(1)}))
    state = of_state(deployment(instance_row("chat-0", 9) | {"outputs": {"warm": {"sha256": digest(2)}}}))

    found = judge([cache(1), cache(2), cache(3), cache(4, days=1)], [], Named(pinned) | state, NOW, WEEK)

    assert stays(found) == {cache(1).key: "named", cache(2).key: "named", cache(3).key: "", cache(4, 1).key: "young"}


def test_what_an_update_is_creating_is_named() -> None:
    pending = {"resource": instance_row("chat-1", 5), "type": "creating"}

    assert digest(5) in of_state(deployment(pending_operations=[pending])).digests


def test_a_state_that_cannot_be_read_or_hides_its_blobs_is_told() -> None:
    hidden = {"type": INSTANCE, "urn": "urn::chat-0", "inputs": {"model": {"ciphertext": "v1:abc"}}}

    assert of_state("locked").troubles == ("the state of dev cannot be read: locked",)
    assert of_state(deployment(hidden)).troubles == ("the state of dev does not show which blobs chat-0 needs",)
    assert of_state(deployment({"type": "other", "urn": "urn::x"})).troubles == ()


def test_other_objects_of_the_bucket_are_no_matter_of_it() -> None:
    others = [
        "gpu-fleet-owner.json",
        "ledger/2026-01-01/x.json",
        "serving/a.json",
        "blobs/sha256/short",
        "manifests/a/b.json",
    ]

    assert judge([Stored(key, 1, 0.0) for key in others], [], Named(), NOW, WEEK) == []
    assert [kind_of(one.key)[0] for one in (blob(1), cache(1), reference("kit", 1).stored)] == [BLOB, CACHE, REFERENCE]


NUMBERS = st.frozensets(st.integers(0, 9), min_size=1, max_size=4)
DAYS = st.floats(0, 60)


@given(
    stored=st.dictionaries(st.integers(0, 9), DAYS),
    caches=st.dictionaries(st.integers(0, 9), DAYS),
    committed=st.lists(NUMBERS, max_size=2),
    held=st.dictionaries(st.sampled_from(["kit", "model-a", "model-b"]), NUMBERS),
    running=st.lists(NUMBERS, max_size=2),
    creating=st.lists(NUMBERS, max_size=1),
    noted=st.dictionaries(st.sampled_from(["kit", "model-a", "model-c"]), st.tuples(NUMBERS, DAYS)),
)
def test_nothing_that_is_named_is_ever_unneeded(
    stored: dict[int, float],
    caches: dict[int, float],
    committed: list[frozenset[int]],
    held: dict[str, frozenset[int]],
    running: list[frozenset[int]],
    creating: list[frozenset[int]],
    noted: dict[str, tuple[frozenset[int], float]],
) -> None:
    references = [reference(owner, *numbers, days=days) for owner, (numbers, days) in noted.items()]
    objects = [
        *(blob(number, days) for number, days in stored.items()),
        *(cache(number, days) for number, days in caches.items()),
        *(one.stored for one in references),
    ]
    named = of_state(
        deployment(
            *(blobs_row(owner, *numbers) for owner, numbers in held.items()),
            *(instance_row(f"chat-{index}", *numbers) for index, numbers in enumerate(running)),
            pending_operations=[{"resource": instance_row("new-0", *numbers)} for numbers in creating],
        )
    )
    for numbers in committed:
        named |= Named(digests_in(manifest(*numbers).to_json()))

    gone = unneeded(judge(objects, references, named, NOW, WEEK))

    needed = frozenset().union(*committed, *held.values(), *running, *creating)
    needed |= frozenset().union(*(numbers for owner, (numbers, days) in noted.items() if days < 7 or owner in held))
    removed = {one.stored.key for one in gone}
    assert not removed & {blob(number).key for number in needed}
    assert not removed & {cache(number).key for number in needed}
    assert not removed & {f"manifests/{owner}.json" for owner in held}
    assert all(one.age >= WEEK for one in gone)
    # And what is old and named by nothing is found.
    left = {blob(number).key for number, days in stored.items() if days > 7 and number not in needed}
    assert left <= removed
