"""Show a review in a terminal, from the same cells as the comment, so that both say the same."""

import re

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from review.comment import tables
from review.comment.quote import code
from review.comment.render import policy_rules, summary, title, trouble
from review.report import Review

# A cell's Markdown: a code span, or bold words. No text of the head has a backtick of its own.
_PARTS = re.compile(r"`([^`]*)`|\*\*([^*`]+)\*\*")
CODE, BOLD = "cyan", "bold"


def show(review: Review, console: Console) -> None:
    """Print the whole review."""
    console.print(styled(title(review).removeprefix("### ")), style=BOLD)
    console.print(styled(summary(review)))
    for line in trouble(review):
        console.print(styled(line.removeprefix("- ")))
    _table(console, tables.INSTANCES, tables.instance_rows(review))
    _table(console, tables.MONEY, tables.money_rows(review.periods))
    asked = [fleet for fleet in review.fleets if fleet.fitting is not None]
    _lines(console, "Offers now", [tables.fits(fleet, code(fleet.name, 40)) for fleet in asked])
    _table(console, tables.OFFERS, tables.offer_rows(review))
    _lines(console, "Models", [line.removeprefix("- ") for line in map(tables.model_line, review.models)])
    _lines(console, "Risks", [tables.sentence(one) for one in review.risks])
    _lines(console, "Policy", policy_rules(review))


def styled(markdown: str) -> Text:
    """Return a line of the comment's Markdown for a terminal: code in colour, without its backticks."""
    text, end = Text(), 0
    for found in _PARTS.finditer(markdown):
        text.append(markdown[end : found.start()])
        text.append(found[1] if found[2] is None else found[2], CODE if found[2] is None else BOLD)
        end = found.end()
    return text.append(markdown[end:])


def _table(console: Console, titles: tuple[str, ...], rows: list[list[str]]) -> None:
    if not rows:
        return
    made = Table(*titles, box=box.SIMPLE, pad_edge=False)
    for row in rows:
        made.add_row(*map(styled, row))
    console.print(made)


def _lines(console: Console, heading: str, lines: list[str]) -> None:
    if lines:
        console.print(heading, style=BOLD)
        for line in lines:
            console.print(Text("  ").append_text(styled(line)))
