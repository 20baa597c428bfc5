"""Hides secrets in printed text: known ones in each form in which a text may carry them, and passwords inside URLs."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

HIDDEN = "[secret]"
SHORTEST = 8  # anything shorter would blank ordinary words
# A scheme's length is bounded: without a bound one long word of a log, such as base64, takes minutes.
_PASSWORD = re.compile(r"(?P<before>[a-zA-Z][a-zA-Z0-9+.-]{0,30}://[^\s/?#:@'\"]*:)(?P<password>[^\s/?#'\"]+)(?=@)")


def masked(text: str) -> str:
    """Return the text with the password of every URL in it replaced."""
    return _PASSWORD.sub(lambda found: found["before"] + HIDDEN, text)


def forms(secrets: Iterable[str]) -> tuple[str, ...]:
    """Return the texts to hide for these secrets, the longest first: each secret and each of its lines, in every form."""
    parts = {part for secret in secrets for part in _lines(secret) if len(part) >= SHORTEST}
    return tuple(sorted({form for part in parts for form in _forms(part)}, key=len, reverse=True))


def cleaned(text: str, known: Iterable[str]) -> str:
    """Return the text without the `known` texts, which `forms` returned, and without the passwords of URLs."""
    for secret in known:
        text = text.replace(secret, HIDDEN)
    return masked(text)


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it may stand in a text: plain, in JSON, in a URL, in base64."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield quote(secret, safe="")
    yield base64.b64encode(secret.encode()).decode()


def _lines(secret: str) -> Iterator[str]:
    """Yield a secret and the lines of its text, except lines that only frame it."""
    yield secret
    yield from (line for line in secret.splitlines() if not line.startswith("-----"))
