"""Derive a bearer token for each instance, so that no landlord learns another host's. Only the secret is stored.

API keys of the controller's clients derive from the same secret.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from secrets import token_bytes

SECRET_BYTES = 32
SECRET = re.compile(r"[0-9a-f]{64}\Z")


def new_token_secret(random: Callable[[int], bytes] = token_bytes) -> str:
    """Return 256 random bits in hex."""
    return random(SECRET_BYTES).hex()


def token_for(secret: str, name: str, epoch: int) -> str:
    """Return the token of the instance `name`: 43 characters of letters, digits, `_` and `-`.

    HMAC-SHA256 of name and epoch, so that another epoch changes every token. A character that no name has separates them:
    `a-1` at epoch 2 and `a-12` at no epoch must never be the same.
    """
    return _derived(secret, "token", name, epoch)


def api_key_for(secret: str, client: str, epoch: int) -> str:
    """Return the API key of a client of the controller: 43 characters, as a token's. No instance's token equals it."""
    return _derived(secret, "api-key", client, epoch)


def seed_for(secret: str, kind: str) -> bytes:
    """Return 32 bytes for one purpose of the stack's own cluster. No token or key of another kind equals them."""
    return _digest(secret, f"cluster-{kind}", "", 0)


def _derived(secret: str, kind: str, name: str, epoch: int) -> str:
    return base64.urlsafe_b64encode(_digest(secret, kind, name, epoch)).decode().rstrip("=")


def _digest(secret: str, kind: str, name: str, epoch: int) -> bytes:
    if not SECRET.match(secret):
        raise ValueError("the stack's token secret is not 64 hexadecimal digits; its state was edited or damaged")
    if "\0" in name:
        raise ValueError("a name has no zero byte")
    return hmac.new(bytes.fromhex(secret), f"{kind}\0{name}\0{int(epoch)}".encode(), hashlib.sha256).digest()
