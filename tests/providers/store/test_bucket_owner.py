import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.store.bucket_owner import KEPT, OWNER_KEY, Owner, from_text, owner, refusal, to_text

ids = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=16, max_size=16)


@given(ids)
def test_our_own_mark_is_ours(stack_id):
    assert owner(stack_id, stack_id) is Owner.OURS


@given(ids, ids)
def test_another_living_stacks_bucket_is_never_taken(one, other):
    if one != other:
        assert owner(one, other) is Owner.OTHER_STACK
        assert not owner(one, other).may_take


@given(ids)
def test_a_bucket_without_mark_is_never_taken(stack_id):
    assert not owner(None, stack_id).may_take


@given(ids)
def test_a_bucket_that_was_given_up_may_be_taken(stack_id):
    assert owner(KEPT, stack_id).may_take


@given(ids)
def test_a_stack_without_id_yet_owns_nothing(mark):
    assert owner(mark, "") is Owner.OTHER_STACK
    assert not owner("", "").may_take


@pytest.mark.parametrize(("found", "mark"), [(Owner.OTHER_STACK, "c" * 16), (Owner.UNMARKED, None)])
def test_a_refusal_names_the_bucket_and_the_way_out(found, mark):
    sentence = refusal("models", "https://s3.example", found, mark)
    assert "'models'" in sentence
    assert "not touched" in sentence
    assert "gpu-fleet:store.bucket" in sentence
    assert (mark or f"s3 cp - s3://models/{OWNER_KEY}") in sentence


@given(ids | st.just(KEPT))
def test_the_owner_object_says_what_was_written(mark):
    assert from_text(to_text(mark).encode()) == mark


@given(st.binary() | st.sampled_from([b"{}", b"null", b'{"stackId": 1}', b'{"stackId": ""}', b'{"stackId": "../x"}']))
def test_an_object_that_is_none_of_ours_is_no_mark(content):
    with pytest.raises(ValueError, match="no mark"):
        from_text(content)
