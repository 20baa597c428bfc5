"""Our public key at the market: attached to one instance, never to the account, which would open every other instance.

The start script puts the key on the host, too. But the market rewrites a host's keys at times, and only attached ones remain.
What goes wrong here is therefore a doubt and no failure: it is said, and the login decides.
"""

from collections.abc import Callable

from providers.vast.api import errors
from providers.vast.api.attached_keys import KeyRing

Say = Callable[[str, str], None]


def attach(market: KeyRing, instance_id: int, public_key: str, say: Say) -> None:
    """Attach a key, as far as the market lets us."""
    if not public_key:
        return
    try:
        market.attach_key(instance_id, words(public_key))
    except errors.VastError as error:
        say("connect", f"our SSH key is not attached to instance {instance_id} through the market: {error}")


def detach(market: KeyRing, instance_id: int, public_key: str, say: Say) -> None:
    """Take a key from an instance, as far as the market lets us."""
    try:
        market.detach_key(instance_id, words(public_key))
    except errors.VastError as error:
        say("connect", f"the old SSH key stays attached to instance {instance_id} at the market: {error}")


def words(public_key: str) -> str:
    """Return a public key's line as it is compared: one blank between its words, none around."""
    return " ".join(public_key.split())
