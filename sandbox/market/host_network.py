"""What every host of a market gets besides what was rented."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.market.proxy import SshProxy
from sandbox.market.records.contracts import Contract


@dataclass(frozen=True)
class HostNetwork:
    """See HostSpec for the first two. `proxy` leads to instances over SSH; without it nobody answers there."""

    inward: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    ca_pem: str = ""
    proxy: SshProxy | None = None

    def welcome(self, contract: Contract) -> None:
        """Give a fresh contract its port of the proxy."""
        if self.proxy is not None and contract.request.takes_logins:
            contract.proxy_port = self.proxy.open(contract)

    def dismiss(self, contract: Contract) -> None:
        """Close the port of a contract that has ended."""
        if self.proxy is not None:
            self.proxy.close(contract)
