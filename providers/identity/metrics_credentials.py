"""Credentials of hosts at the metrics receiver: one for each instance, derived from the receiver's key and never stored.

The user names instance, name and stack. The password proves that the stack gave the credential out. So the receiver needs
no list, and a new instance may write from its first second. Another key changes every password.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

KEY_LENGTH = 16  # characters at least
USER = re.compile(r"(?P<instance_id>[0-9]{1,20})\.(?P<name>[a-z0-9-]{1,60})\.(?P<stack_id>[a-z0-9]{1,40})\Z")


@dataclass(frozen=True)
class Reporter:
    """The owner of a credential."""

    instance_id: str
    name: str
    stack_id: str

    @property
    def user(self) -> str:
        """Return the user name of the credential."""
        return f"{self.instance_id}.{self.name}.{self.stack_id}"


def password_for(key: str, user: str) -> str:
    """Return a user's password: 43 characters of letters, digits, `_` and `-`."""
    digest = hmac.new(key.encode(), f"metrics\0{user}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def reporter_of(key: str, user: str, password: str) -> Reporter | None:
    """Return the owner of a credential; None if it does not derive from this key."""
    found = USER.match(user)
    if not key or not found or not hmac.compare_digest(password_for(key, user).encode(), password.encode()):
        return None
    return Reporter(**found.groupdict())
