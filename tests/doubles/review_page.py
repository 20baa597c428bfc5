"""The example of docs/review.md, from a fixed review: `python -m tests.doubles.review_page` writes it into the page."""

from pathlib import Path

from review.comment.render import comment
from tests.doubles.reviews import example

PAGE = Path(__file__).resolve().parents[2] / "docs" / "review.md"
BEGIN = "<!-- comment: written by `python -m tests.doubles.review_page` -->"
END = "<!-- end of comment -->"


def with_example(page: str) -> str:
    """Return the page with the comment between its two marks."""
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    assert begin
    assert end
    return f"{before}{BEGIN}\n\n```markdown\n{comment(example()).body.rstrip()}\n```\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_example(PAGE.read_text()))
