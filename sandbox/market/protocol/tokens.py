"""Tokens that lead on to the next page of a list: opaque to clients, JSON to us."""

import base64
import json
from typing import Any

from sandbox.market.protocol.filters import FilterInvalid


def encode(value: object) -> str:
    """Return the token of a JSON value."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def decode(token: str) -> Any:
    """Return a token's value. Raises FilterInvalid where the token is none."""
    try:
        return json.loads(base64.urlsafe_b64decode(token.encode()))
    except ValueError:
        raise refused() from None


def refused() -> FilterInvalid:
    """Return what is said of a token that we never gave."""
    return FilterInvalid("invalid_token", "The after_token is not one of ours.")
