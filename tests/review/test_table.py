"""The table of a review in a terminal."""

import io

import pytest
from rich.console import Console

from review.report import Review
from review.table import show
from tests.doubles.reviews import NASTY, example


def shown(review: Review, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    show(review, console)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_it_says_what_the_comment_says() -> None:
    text = shown(example())

    for part in (
        "⚠️ dev: 2 rented, 1 in place, 1 another machine · $1.34/h → $2.21/h (+$0.86)",
        "chat-2, chat-3",
        "another machine, given back first",
        "gpu.name RTX 3090 → RTX 4090",
        "0.187 → 0.344 (≤ 0.45)",
        "$1,537.46",
        "31 fit chat at $0.349 to $0.612/h",
        "Germany, DE",
        "runs code when it is loaded: modeling.py",
        "rerank has one replica: its endpoint is down meanwhile.",
        "✅ verified hosts",
    ):
        assert part in text, part
    assert "`" not in text
    assert "**" not in text


@pytest.mark.parametrize("text", NASTY)
def test_no_escape_sequence_or_hidden_mark_of_the_head_reaches_the_terminal(text: str) -> None:
    review = example().model_copy(update={"risks": (text,), "refusals": (text,), "stack": text})

    assert not [letter for letter in shown(review) if ord(letter) < 32 and letter != "\n"]
    assert not set(shown(review)) & set("\u202e\u200b\u2066\x1b\u0430")


def test_markup_of_the_terminal_library_is_text() -> None:
    assert "[bold]x[/bold]" in shown(example().model_copy(update={"risks": ("[bold]x[/bold]",)}))
