"""The rules of the one comment, over comments in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review.comment.render import Comment
from review.forge.sticky import OutcomeUnknown, Posted, publish

MARKER = "<!-- gpu-fleet review dev -->"
FIRST = Comment(MARKER, f"{MARKER}\n### first\n", f"{MARKER}\n### nothing changes any more\n")
SECOND = Comment(MARKER, f"{MARKER}\n### second\n", FIRST.over_old)
QUIET = Comment(MARKER, "", FIRST.over_old)


def test_a_create_that_never_answers_ends_as_unknown() -> None:
    class Mute:
        def comments(self) -> list[Posted]:
            return []

        def create(self, body: str) -> None:
            raise OutcomeUnknown("no answer")

        def update(self, id_: int, body: str) -> None:
            raise AssertionError

        def delete(self, id_: int) -> None:
            raise AssertionError

    with pytest.raises(OutcomeUnknown):
        publish(Mute(), FIRST)


class InMemory:
    """Comments in a list. `losses`: for each create, whether its answer is lost."""

    def __init__(self, rows: list[Posted], losses: list[bool]) -> None:
        self.rows, self.losses = rows, losses

    def comments(self) -> list[Posted]:
        return list(self.rows)

    def create(self, body: str) -> None:
        self.rows.append(Posted(len(self.rows) + 100, True, body))
        if self.losses and self.losses.pop():
            raise OutcomeUnknown("lost")

    def update(self, id_: int, body: str) -> None:
        self.rows = [Posted(one.id, one.is_own, body) if one.id == id_ else one for one in self.rows]

    def delete(self, id_: int) -> None:
        self.rows = [one for one in self.rows if one.id != id_]


_bodies = st.sampled_from([FIRST.body, SECOND.body, "hello", f"hello\n{MARKER}", MARKER, "", f"  {MARKER}\r\nx"])


@given(
    st.lists(st.tuples(st.booleans(), _bodies), max_size=8),
    st.lists(st.sampled_from([FIRST, SECOND, QUIET]), min_size=1, max_size=5),
    st.lists(st.booleans(), max_size=2),
)
def test_whatever_is_there_afterwards_one_own_comment_is_the_last_review_and_others_are_as_they_were(
    before: list[tuple[bool, str]], reviews: list[Comment], losses: list[bool]
) -> None:
    forge = InMemory([Posted(index, own, body) for index, (own, body) in enumerate(before)], losses)
    foreign = [one for one in forge.rows if not one.is_own or not one.body.strip().startswith(MARKER)]

    for review in reviews:
        publish(forge, review)

    marked = [one for one in forge.rows if one.is_own and one.body.strip().startswith(MARKER)]
    assert [one for one in forge.rows if one not in marked] == foreign
    was_there = len(foreign) < len(before) or any(review.body for review in reviews)
    assert [one.body.strip() for one in marked] == ([(reviews[-1].body or FIRST.over_old).strip()] if was_there else [])
