"""Quote texts of a reviewed revision, so that a forge shows them and does nothing else with them. Pure.

Forges look for mentions, references and links in the rendered text, so an escape such as a backslash does not stop them.
They leave code alone. So every text that is not ours becomes a code span, and every character outside printable ASCII
becomes visible as an escape: bidirectional marks, controls, hidden and look-alike letters. A backtick cannot end the
span, nor a pipe the cell of a table, because they become escapes, too.
"""

import html
import re

from config.masking import masked

UNKNOWN = "unknown"
ELLIPSIS = "…"
OWN = frozenset("→≤≥–…×")  # marks of our own sentences; the forges make nothing of them
BREAKS = frozenset("`|")  # ends a code span, or the cell of a table
LONGEST = 60
# A word of a sentence that stands for itself: no mark that Markdown or a forge reads, and no reference such as GH-12.
_PLAIN = re.compile(r"[A-Za-z0-9.,;:()%$+'\"/" + "".join(OWN) + r"-]*\Z")
_MEANS_MORE = re.compile(
    r"://|www\.|\b[a-z][a-z0-9]*-\d|:[a-z0-9+-]+:|\$(?!\d)|(?<!\d)%|%(?=\w)|\b[0-9a-f]{7,40}\b", re.IGNORECASE
)
_BULLET = re.compile(r"([-+]|\d{1,9}[.)])\Z")  # as the first word it would begin a list
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")


def visible(text: str, most: int = LONGEST) -> str:
    """Return a text in printable ASCII, without passwords of URLs; `most` bounds its length, and `…` marks a cut."""
    return _cut([_shown(letter) for letter in masked(text)], most)


def code(text: str, most: int = LONGEST) -> str:
    """Return a text as a code span of Markdown that also fits in a table's cell."""
    shown = [_shown(letter) for letter in masked(text)]
    if not shown:
        return "(empty)"
    if shown[0] == " ":  # Markdown would strip a blank at both ends
        shown[0] = "\\u0020"
    if shown[-1] == " ":
        shown[-1] = "\\u0020"
    return f"`{_cut(shown, most)}`"


def html_code(text: str, most: int = LONGEST) -> str:
    """Return a text as a code element, for lines of HTML in which Markdown is not read."""
    return f"<code>{html.escape(visible(text, most))}</code>"


def prose(text: str, most: int = 400) -> str:
    """Return a sentence of ours that may hold texts of the head: its plain words stay, all others become code spans."""
    words: list[str] = []
    length = 0
    for word in masked(text).split():
        shown = word if is_plain(word) and (words or not _BULLET.match(word)) else _quoted(word)
        length += len(shown) + 1
        if length > most:
            return " ".join([*words, ELLIPSIS])
        words.append(shown)
    return " ".join(words)


def _quoted(word: str) -> str:
    """Return a word as code, with the marks that end a clause behind it."""
    kept = word.rstrip(",.;:)")
    return f"{code(kept)}{word[len(kept) :]}" if kept else code(word)


def is_plain(word: str) -> bool:
    """Return whether Markdown and the forges read nothing but text in a word."""
    return _PLAIN.match(word) is not None and _MEANS_MORE.search(word) is None


def commit(text: str) -> str:
    """Return a commit, shortened; a branch or anything else as code."""
    return text[:7] if _COMMIT.match(text) else code(text)


def _shown(letter: str) -> str:
    if " " <= letter <= "~" and letter not in BREAKS:
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"


def _cut(shown: list[str], most: int) -> str:
    text = "".join(shown)
    if len(text) <= most:
        return text
    kept, length = [], len(ELLIPSIS)
    for one in shown:
        length += len(one)
        if length > most:
            break
        kept.append(one)
    return "".join(kept) + ELLIPSIS
