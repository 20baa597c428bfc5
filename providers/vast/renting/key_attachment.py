"""Attach our public SSH key to one instance at the market.

A key of the account would open every other instance of the account, so the key is never attached there. The start
script puts the key on the host, too. But the market rewrites a host's keys at times, and then only attached keys
remain. So an error here is no failure: the operator is told, and the login decides.
"""

from bootstrap.services import Progress
from providers.vast.api import errors
from providers.vast.api.attached_keys import KeyRing


def attach(market: KeyRing, instance_id: int, public_key: str, report_progress: Progress) -> None:
    """Attach a key to an instance. Reports a refusal of the market, and does not raise."""
    if not public_key:
        return
    try:
        market.attach_key(instance_id, words(public_key))
    except errors.VastError as error:
        report_progress("connect", f"our SSH key is not attached to instance {instance_id} through the market: {error}")


def detach(market: KeyRing, instance_id: int, public_key: str, report_progress: Progress) -> None:
    """Detach a key from an instance. Reports a refusal of the market, and does not raise."""
    try:
        market.detach_key(instance_id, words(public_key))
    except errors.VastError as error:
        report_progress("connect", f"the old SSH key stays attached to instance {instance_id} at the market: {error}")


def words(public_key: str) -> str:
    """Return a public key's line in the form for comparisons: one blank between words, none around."""
    return " ".join(public_key.split())
