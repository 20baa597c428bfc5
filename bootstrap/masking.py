"""Passwords inside URLs, hidden wherever a URL is printed."""

import re

HIDDEN = "[secret]"
_PASSWORD = re.compile(r"(?P<before>[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/?#:@'\"]*:)(?P<password>[^\s/?#'\"]+)(?=@)")


def masked(text: str) -> str:
    """Return the text with the password of every URL in it replaced."""
    return _PASSWORD.sub(lambda found: found["before"] + HIDDEN, text)
