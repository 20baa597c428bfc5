"""Markdown as a forge reads it: what of a text would do something."""

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
OWN_HTML = re.compile(
    r"<!-- gpu-fleet review [A-Za-z0-9._/-]* -->\n?|<details><summary>|</summary>\n?|</details>\n?|</?sub>|</?code>"
)


def tokens(text: str) -> list[Token]:
    """Return the tokens of the text, those of lines among them."""
    found = []
    for token in PARSER.parse(text):
        found += [token, *(token.children or [])]
    return found


def active(text: str) -> list[str]:
    """Return what a forge would do something with: links, images, foreign HTML, mentions, references."""
    found = []
    for token in tokens(text):
        if token.type in {"link_open", "image", "fence", "code_block", "s_open", "em_open", "blockquote_open"}:
            found.append(f"{token.type} {token.content}")
        if token.type in {"html_block", "html_inline"}:
            rest = OWN_HTML.sub("", re.sub(r"<code>[^<]*</code>", "", token.content))
            found += re.findall(r"[<>@#]|://|www\.", rest)
        if token.type == "text":
            found += re.findall(r"[@#<>~^*_\[\]\\`]|://|www\.|(?i:gh-\d)|:[a-z]+:|&\w+;", token.content)
    return found
