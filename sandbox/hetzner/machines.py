"""The machines behind the API: those of servers, and the traffic of load balancers."""

from ipaddress import IPv4Address
from typing import Any, Protocol


class MachinesError(Exception):
    """A server's machine cannot be made or changed. The message says why."""


class Machines(Protocol):
    """Makes machines of servers. The API calls it under the project's lock, so each call is short."""

    def public_address(self, number: int) -> str:
        """Return a public IPv4 address for a new server or load balancer of that id."""

    def update(self, project: Any, server: Any) -> None:
        """Bring a server's machine to what its record says: power, networks, volumes, firewalls. Makes it at first."""

    def restart(self, server: Any) -> None:
        """Start a server's machine anew; its disk stays."""

    def rebuild(self, server: Any) -> None:
        """Give a server's machine a new disk with the image on it."""

    def delete(self, server: int) -> None:
        """End a server's machine and its disk. Harmless if there is none."""

    def forget_volume(self, volume: int) -> None:
        """Remove a volume's content."""

    def answers(self, server: int, address: IPv4Address, port: int) -> bool:
        """Say whether a server accepts a connection on an address of its own."""

    def balance(self, project: Any, balancer: Any) -> None:
        """Carry what a load balancer's record says from now on."""

    def end_balance(self, balancer: int) -> None:
        """Carry nothing for a load balancer any more."""


class NoMachines:
    """Servers without machines: the API alone. Each port of a server that runs counts as open."""

    def public_address(self, number: int) -> str:
        """Return an address for documentation, which leads nowhere."""
        return f"203.0.113.{number % 250 + 1}"

    def update(self, project: Any, server: Any) -> None:
        """Do nothing."""

    def restart(self, server: Any) -> None:
        """Do nothing."""

    def rebuild(self, server: Any) -> None:
        """Do nothing."""

    def delete(self, server: int) -> None:
        """Do nothing."""

    def forget_volume(self, volume: int) -> None:
        """Do nothing."""

    def answers(self, server: int, address: IPv4Address, port: int) -> bool:  # noqa: ARG002 -- the Protocol's
        """Return True: there is no machine that could refuse."""
        return True

    def balance(self, project: Any, balancer: Any) -> None:
        """Do nothing."""

    def end_balance(self, balancer: int) -> None:
        """Do nothing."""
