"""Make the stack id: the random mark that tells a stack's instances from others on the same account."""

import base64
import re
from collections.abc import Callable
from secrets import token_bytes

BYTES = 10  # 80 bits: two stacks never meet, and 16 letters of base32 without padding
PATTERN = re.compile(r"[a-z2-7]{16}\Z")


def new_stack_id(random: Callable[[int], bytes] = token_bytes) -> str:
    """Return 80 random bits as 16 characters of lower-case base32."""
    return base64.b32encode(random(BYTES)).decode().lower()


def is_stack_id(text: str) -> bool:
    """Return whether a text has the form of a stack id."""
    return PATTERN.match(text) is not None
