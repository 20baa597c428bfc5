"""The instance that a create shall bring online, and the body of the call that rents it. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from providers.vast.renting.onstart import script
from providers.vast.search.requirements import Requirements
from providers.vast.settings import InstanceSettings


def always_wanted(_is_rented: bool) -> None:
    """Raise nothing: the instance is wanted for as long as its create runs."""


@dataclass(frozen=True)
class InstanceRequest:
    """Instance to bring online. `label` is its identity. `confirm_wanted` raises if it is not wanted any more."""

    name: str
    label: str
    requirements: Requirements
    image: str
    onstart: str
    gate_port: int
    image_login: str | None = field(default=None, repr=False)  # flags of `docker login`, including a password
    ssh_public_key: str = ""  # attached to the instance through the market
    confirm_wanted: Callable[[bool], None] = always_wanted  # asked with False before a rent, with True once it serves

    @classmethod
    def of(
        cls, settings: InstanceSettings, confirm_wanted: Callable[[bool], None] = always_wanted
    ) -> "InstanceRequest":
        """Return the request of one instance's settings."""
        access, unattended = settings.access, settings.to_limits().unattended_seconds
        return cls(
            name=settings.name,
            label=settings.label,
            requirements=settings.to_requirements(),
            image=settings.server.image,
            onstart=script(access.ssh_public_key, settings.market.url_of_hosts, unattended),
            gate_port=settings.server.port,
            image_login=settings.registry.flags if settings.registry else None,
            ssh_public_key=access.ssh_public_key,
            confirm_wanted=confirm_wanted,
        )

    def rent_body(self, disk_gb: float) -> dict[str, Any]:
        """Return the body of the call that rents it."""
        return rent_body(self.image, disk_gb, self.label, self.onstart, self.gate_port, self.image_login)


def rent_body(
    image: str, disk_gb: float, label: str, onstart: str, gate_port: int, image_login: str | None = None
) -> dict[str, Any]:
    """Return the body of the rent call: on demand, without a bid price.

    If the instance cannot start, the market refuses the rent; it does not leave a stopped instance.
    """
    return {
        "client_id": "me",
        "image": image,
        "disk": disk_gb,
        "label": label,
        "onstart": onstart,
        "runtype": "ssh_direc ssh_proxy",
        "env": {f"-p {gate_port}:{gate_port}": "1"},
        "target_state": "running",
        "cancel_unavail": True,
        **({"image_login": image_login} if image_login else {}),
    }
