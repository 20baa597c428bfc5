"""Declare the services that the bootstrap gets from its caller: progress, the store, kept compile caches, the fleet's CA."""

from collections.abc import Callable
from typing import Protocol

Progress = Callable[[str, str], None]  # takes a phase and one line for people; never raises: give-backs come after it


class Store(Protocol):
    """URLs of blobs, and this machine's own view of the store."""

    def presign(self, sha256: str, seconds: int) -> str:
        """Return a URL by which a host may fetch a blob for some seconds."""

    def store_trouble(self) -> str:
        """Return why this machine cannot reach the store either; empty if it can."""

    def store_mbps(self, sha256: str, size: int) -> float | None:
        """Return the rate in Mb/s at which this machine gets a blob of the store; None if it gets nothing."""


class Services(Store, Protocol):
    """The store, kept compile caches and the fleet's CA."""

    def warm_archive(self, key: str) -> bytes | None:
        """Return the compile cache that may be used on this machine for a key; None if there is none."""

    def sign(self, csr_pem: str, addresses: tuple[str, ...]) -> str:
        """Return a certificate, PEM, for the key of a host's request. Raises ValueError if the request cannot be signed."""
