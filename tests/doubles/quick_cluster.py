"""Providers of the cluster whose pauses take no time."""

from pulumi.dynamic import ConfigureRequest

from providers.cluster.resource import AccountProvider, NodeProvider
from tests.doubles.clock import FakeClock


class QuickAccountProvider(AccountProvider):
    """Checks the project."""

    def configure(self, req: ConfigureRequest) -> None:
        """Take a clock that does not wait."""
        super().configure(req)
        self._clock = FakeClock()  # type: ignore[assignment]


class QuickNodeProvider(NodeProvider):
    """Brings k3s on the server."""

    def configure(self, req: ConfigureRequest) -> None:
        """Take a clock that does not wait."""
        super().configure(req)
        self._clock = FakeClock()  # type: ignore[assignment]
