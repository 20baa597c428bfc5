"""The comment on a pull request: a review as bounded Markdown in which no text of the head is more than text."""
