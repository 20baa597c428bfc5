"""The network around the hosts of a market: outward names, an extra authority, and the SSH proxy."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.market.proxy import SshProxy
from sandbox.market.records.contracts import Contract


@dataclass(frozen=True)
class HostNetwork:
    """HostSpec describes the first two fields. `proxy` leads to instances over SSH; without it the proxy's ports are
    closed.
    """

    outward: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    ca_pem: str = ""
    proxy: SshProxy | None = None

    def open_proxy(self, contract: Contract) -> None:
        """Give a new contract its port of the proxy."""
        if self.proxy is not None and contract.request.takes_logins:
            contract.proxy_port = self.proxy.open(contract)

    def close_proxy(self, contract: Contract) -> None:
        """Close the proxy's port of an ended contract."""
        if self.proxy is not None:
            self.proxy.close(contract)
