"""Registries, pure: the images that need a login, the tag that no image has, and docker's errors for both."""

import shlex
from collections.abc import Mapping

# Server -> (user, password). Public by design, as all keys of the sandbox.
PRIVATE: Mapping[str, tuple[str, str]] = {"registry.sandbox.internal": ("sandbox", "sandbox-registry-password")}
DENIED = (
    "Error response from daemon: pull access denied for {image}, repository does not exist or may require 'docker login': "
    "denied: requested access to the resource is denied"
)
NO_SUCH_TAG = "no-such-tag"
UNKNOWN = "Error response from daemon: manifest for {image} not found: manifest unknown: manifest unknown"
FLAGS = {"-u": "user", "--username": "user", "-p": "password", "--password": "password"}


def login_of(flags: str | None) -> dict[str, str]:
    """Return user, password and server of flags for `docker login`, such as `-u USER -p PASSWORD SERVER`.

    Raises ValueError for other flags.
    """
    words, found = shlex.split(flags or ""), {}
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if name in FLAGS:
            if not (equals or words):
                raise ValueError(f"{name} has no value")
            found[FLAGS[name]] = value if equals else words.pop(0)
        elif word.startswith("-") or "server" in found:
            raise ValueError(f"{word!r} is no flag of docker login")
        else:
            found["server"] = word
    return found


def refusal(image: str, flags: str | None) -> str:
    """Return docker's error for a missing image, or for a private one without its login; else an empty text."""
    if image.endswith(f":{NO_SUCH_TAG}"):
        return UNKNOWN.format(image=image)
    server = image.partition("/")[0]
    if server not in PRIVATE:
        return ""
    login = login_of(flags)
    right = (login.get("server"), (login.get("user"), login.get("password"))) == (server, PRIVATE[server])
    return "" if right else DENIED.format(image=image.partition("@")[0])
