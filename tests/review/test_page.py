"""docs/review.md shows the comment that the program writes."""

from tests.doubles.review_page import PAGE, with_example


def test_the_example_of_the_page_is_the_comment_of_the_fixed_review() -> None:
    page = PAGE.read_text()

    assert with_example(page) == page
    assert "<!-- gpu-fleet review dev -->" in page
