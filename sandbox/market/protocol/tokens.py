"""Tokens for the next page of a list: opaque to clients, JSON for the market."""

import base64
import json
from typing import Any

from sandbox.market.protocol.filters import FilterInvalid


def encode(value: object) -> str:
    """Return the token of a JSON value."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def decode(token: str) -> Any:
    """Return a token's value. Raises FilterInvalid for an invalid token."""
    try:
        return json.loads(base64.urlsafe_b64decode(token.encode()))
    except ValueError:
        raise refused() from None


def refused() -> FilterInvalid:
    """Return the error for an invalid token."""
    return FilterInvalid("invalid_token", "The after_token is not one of ours.")
