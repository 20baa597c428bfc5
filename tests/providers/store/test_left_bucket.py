"""The bucket that a killed create left: the end of its stack keeps or deletes it, and touches no other."""

from typing import Any

import pytest

from providers.rentals.left_bucket import give_up_left_bucket
from providers.rentals.store_place import StorePlace
from providers.store.bucket_owner import KEPT
from providers.store.errors import StoreError
from providers.vast.pulumi_state import BackendError
from tests.doubles.buckets import exists, make, mark, set_mark

OTHER_STACK = "b" * 16


def end(s3: Any, props: dict[str, Any], *ids: str, in_state: bool = False, on_destroy: str = "keep") -> list[str]:
    told: list[str] = []
    place = StorePlace.model_validate({**props, "bucket": props["name"], "onDestroy": on_destroy})
    give_up_left_bucket(
        lambda: s3, place, ids or (props["stackId"],), lambda: in_state, lambda _phase, text: told.append(text)
    )
    return told


def test_a_bucket_that_no_state_knows_is_kept_for_any_stack(s3, bucket_props, name):
    make(s3, bucket_props)[0].ensure()

    assert end(s3, bucket_props, "c" * 16, bucket_props["stackId"])[0].startswith(f"keep {name}")

    assert mark(s3, name) == KEPT
    make(s3, bucket_props, stackId=OTHER_STACK)[0].ensure()  # the next stack of this config


def test_it_is_deleted_if_config_says_so(s3, bucket_props, name):
    make(s3, bucket_props)[0].ensure()
    s3.put_object(Bucket=name, Key="a", Body=b"1")

    end(s3, bucket_props, on_destroy="empty")

    assert not exists(s3, name)


@pytest.mark.parametrize("whose", ["state's", "another stack's", "kept"])
def test_any_other_bucket_stays_as_it_is(s3, bucket_props, name, whose):
    make(s3, bucket_props)[0].ensure()
    if whose != "state's":
        set_mark(s3, name, OTHER_STACK if whose == "another stack's" else KEPT)
    before = mark(s3, name)

    assert end(s3, bucket_props, in_state=whose == "state's", on_destroy="empty") == []

    assert mark(s3, name) == before


def test_no_bucket_is_nothing_to_end(s3, bucket_props):
    assert end(s3, bucket_props, on_destroy="empty") == []


@pytest.mark.parametrize("error", [StoreError("the store does not answer"), BackendError("the state is locked")])
def test_what_cannot_be_asked_is_said_and_the_bucket_stays(s3, bucket_props, name, error):
    make(s3, bucket_props)[0].ensure()
    told: list[str] = []

    def raises() -> bool:
        raise error

    place = StorePlace.model_validate({**bucket_props, "bucket": name, "onDestroy": "empty"})
    give_up_left_bucket(lambda: s3, place, [bucket_props["stackId"]], raises, lambda _phase, text: told.append(text))

    assert told == [f"whether {name} was left behind could not be asked: {error}"]
    assert mark(s3, name) == bucket_props["stackId"]
