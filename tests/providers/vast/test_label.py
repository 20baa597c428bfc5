"""Labels: what we write is what we read, and nothing else is ours."""

from hypothesis import given
from hypothesis import strategies as st

from providers.vast.api.label import Label, parse

part = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=30)


@given(part, part)
def test_a_label_reads_back(stack_id: str, name: str) -> None:
    assert parse(str(Label(stack_id, name))) == Label(stack_id, name)


@given(st.one_of(st.none(), st.text()))
def test_anything_else_is_not_ours(text: str | None) -> None:
    found = parse(text)

    assert found is None or str(found) == text
