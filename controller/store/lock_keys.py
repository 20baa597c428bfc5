"""The numbers of the advisory locks in a controller's database; pure."""

import hashlib


def lock_key(*words: str | int) -> int:
    """Return the signed 64-bit number of a lock: the first bytes of SHA-256, so that two locks do not meet."""
    digest = hashlib.sha256("\0".join(("gpu-fleet", *map(str, words))).encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


MIGRATIONS = lock_key("migrations")
LEADER = lock_key("leader")
EVENTS = lock_key("events")  # held from an event's number to its commit, so that numbers appear in their order


def slot_key(fleet: str, index: int) -> int:
    """Return the lock of a slot's process."""
    return lock_key("slot", fleet, index)


def owner_key(owner: str) -> int:
    """Return the lock under which a client's claims are counted and added."""
    return lock_key("owner", owner)
