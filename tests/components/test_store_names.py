"""A model may be called as clients send it; the bucket remembers who refers to its blobs under a file's name."""

from hypothesis import given
from hypothesis import strategies as st

from components.store import HOLDER, holder


def test_names_of_before_stay_as_they_are() -> None:
    assert holder("model-tiny") == "model-tiny"
    assert holder("kit") == "kit"


@given(st.text(min_size=1), st.text(min_size=1))
def test_every_name_has_a_holder_of_its_own(one: str, other: str) -> None:
    assert HOLDER.match(holder(one))
    assert (holder(one) == holder(other)) == (one == other)
