"""Ask whether the main stack of a slot still wants instances, before a slot rents and once its instance serves.

A destroy of the main stack gives back the instances with the stack's id, until the market's list stays empty for its
longest lag. It takes the rentals out of state last. The create of an instance rented later ends after that. It finds here
that the main stack is gone. Pulumi also marks the rentals as `deleting` while it deletes them, but not if it runs the program
meanwhile.
"""

from dataclasses import dataclass

from providers.vast.api.errors import VastError
from providers.vast.pulumi_state import IDENTITY, RENTALS, BackendError, Run, deployment_of


class MainStackEnds(VastError):
    """The main stack is destroyed, or is being destroyed: its slots rent nothing more."""


class MainStackUnknown(VastError):
    """The main stack's state cannot be read, so nothing is rented for a slot."""


@dataclass(frozen=True)
class MainStack:
    """The main stack of a slot: its name at the backend, and its stack id. An empty name: the instance is of no slot."""

    run: Run
    name: str
    stack_id: str

    def confirm(self, is_rented: bool) -> None:
        """Raise MainStackEnds if the stack ends. Raise MainStackUnknown if that is unknown and nothing is rented yet."""
        if not self.name:
            return
        try:
            deployment = deployment_of(self.run, self.name)
        except (BackendError, ValueError) as error:
            if is_rented:
                return  # doubt ends no instance
            raise MainStackUnknown(
                f"the state of the main stack {self.name} cannot be read ({error}), so nothing was rented. Mend that, then "
                "start the slot again"
            ) from None
        resources = deployment.get("resources") or []
        ids = {(row.get("outputs") or {}).get("stackId") for row in resources if row.get("type") == IDENTITY}
        rentals = [row.get("urn") for row in resources if row.get("type") == RENTALS]
        pending = deployment.get("pending_operations") or []
        ending = [row for row in pending if row.get("type") == "deleting" and row["resource"].get("type") == RENTALS]
        if self.stack_id not in ids or len(rentals) <= len(ending):
            raise MainStackEnds(
                f"the main stack {self.name} is destroyed, or is being destroyed, so its slots rent nothing. If a destroy of "
                f"it was killed, go on with it: pulumi destroy --stack {self.name}"
            )
