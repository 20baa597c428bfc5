"""What models need, what a start reads, and what an edit changes in their manifests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review.comment.tables import model_line
from review.model_changes import models
from tests.doubles.revisions import ABOUT, manifest, revision

KIT = 200_000_000


def test_an_unchanged_model_has_its_needs_and_costs() -> None:
    (found,) = models(revision(), revision(), KIT, {"chat": 24 * 1024.0, "rerank": 16 * 1024.0, "other": 1.0})

    assert found.name == "small", "no fleet serves the other one"
    assert (found.added, found.removed, found.changed, found.flagged) == ((), (), (), ())
    assert found.old_digest == found.new_digest is not None
    assert found.room_gib == 16.0
    assert found.start_gb == pytest.approx(0.200001)
    assert found.bucket_usd.startswith("200 MB leave the bucket at each start: 4,999 starts a month are in Hetzner's")


def test_files_are_compared_by_their_digests_and_code_is_flagged() -> None:
    old = manifest(config__json=3, model__safetensors=10, old__txt=1, same__py=5)
    new = manifest(
        config__json=4, model__safetensors=10, new__safetensors=9, modeling__py=7, weights__BIN=8, same__py=5
    )
    (found,) = models(revision(small=old), revision(small=new), KIT)

    assert found.added == ("modeling.py", "new.safetensors", "weights.BIN")
    assert found.removed == ("old.txt",)
    assert found.changed == ("config.json",)
    assert found.flagged == ("modeling.py", "weights.BIN"), "same.py was reviewed before"


def test_a_changed_model_comes_first_and_a_new_one_has_no_old_digest() -> None:
    served = {"fleets.rerank.model": "large"}
    found = models(revision(large=None), revision(served), KIT)

    assert [one.name for one in found] == ["large", "small"]
    assert found[0].old_digest is None
    assert found[0].added == (), "all of it is new"


def test_a_new_model_with_code_is_flagged_too() -> None:
    (found,) = models(None, revision(small=manifest(a__pkl=1)), KIT)

    assert found.flagged == ("a.pkl",)


def test_what_no_manifest_says_is_unknown() -> None:
    (missing,) = models(revision(), revision(small=None), KIT)
    (plain,) = models(revision(), revision(small=manifest(about=None)), KIT)

    assert (missing.need_gib, missing.start_gb, missing.new_digest, missing.removed) == (None, None, None, ())
    assert (plain.need_gib, plain.room_gib) == (None, None)


def test_a_kit_of_unknown_size_is_never_nought() -> None:
    (found,) = models(revision(), revision(), None)

    assert found.start_gb is None
    assert found.bucket_usd.startswith("at least 1.0 KB leave the bucket at each start")
    assert "; at least 1.0 KB leave the bucket at each start: " in model_line(found)


def test_the_need_is_the_most_of_all_fleets_that_serve_it() -> None:
    def need(edit: dict) -> float:
        (found,) = models(None, revision(edit), KIT)
        assert found.need_gib is not None
        return found.need_gib

    short = ["--max-model-len", "1024"]
    rerank, chat = {"fleets.rerank.vllmArguments": short}, {"fleets.chat.vllmArguments": short}

    assert need({}) == need(rerank) == need(chat) > need({**rerank, **chat}) > ABOUT.weight_bytes / 2**30
    assert need({**chat, "fleets.rerank.replicas": 0}) == need({**rerank, **chat}), "a parked fleet needs nothing"


_files = st.dictionaries(st.sampled_from(["a", "b__py", "c__bin", "d__json"]), st.integers(1, 3), min_size=1)


@given(_files, _files)
def test_each_file_is_added_removed_changed_or_the_same(before: dict[str, int], after: dict[str, int]) -> None:
    old, new = manifest(**before), manifest(**after)  # type: ignore[arg-type]
    (found,) = models(revision(small=old), revision(small=new), KIT)
    digests = [{file.path: file.sha256 for file in one.files} for one in (old, new)]

    assert set(found.added) == digests[1].keys() - digests[0].keys()
    assert set(found.removed) == digests[0].keys() - digests[1].keys()
    both = digests[0].keys() & digests[1].keys()
    assert set(found.changed) == {path for path in both if digests[0][path] != digests[1][path]}
    assert (found.old_digest == found.new_digest) == (digests[0] == digests[1])
