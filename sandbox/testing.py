"""Runs a market for tests: on a free port, with hosts without a login unless the test passes others."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.faults import Faults
from sandbox.hosts.spec import Hosts, NoHosts
from sandbox.market.calls import Account, Accounts
from sandbox.market.host_network import HostNetwork
from sandbox.market.market import Market
from sandbox.market.records.clock import MarketClock
from sandbox.market.records.machines import Machine, generate
from sandbox.market.server import CREDIT_USD, KEY, application
from sandbox.services.http_server import Server, listener


@dataclass(frozen=True)
class RunningMarket:
    """A running market. `emulator` is the first account's state, for assertions about meter and contracts.

    `account` is the first account, and `accounts` has all of them.
    """

    url: str
    key: str
    emulator: Market
    time_scale: float
    account: Account
    accounts: Accounts

    def arm(self, name: str, times: int | None = None, **options: Any) -> None:
        """Arm a fault; the options are those of Arming. Raises FaultUnknown."""
        self.emulator.faults.arm(name, times, **options)


@contextlib.contextmanager
def running_market(
    *,
    time_scale: float = 300.0,
    seed: int = 1,
    machines: list[Machine] | None = None,
    hosts: Hosts | None = None,
    network: HostNetwork | None = None,
    thresholds: bool = False,
    old_list: bool = False,
    credit: float = CREDIT_USD,
    corrupt_next_blob: Callable[[], None] | None = None,
) -> Iterator[RunningMarket]:
    """Run a market until the block ends; then destroy its hosts and close `hosts`.

    `time_scale`: market seconds in a real second; 300 lets a machine boot in less than 0.3 s. `old_list`: see
    `application`; `credit` in $. Without `machines`, the market has those of the `seed`. `thresholds` enforces the
    request thresholds.
    """
    hosts = hosts or NoHosts()
    market = Market(
        MarketClock(time_scale),
        generate(seed) if machines is None else machines,
        hosts,
        Faults({"corrupt-blob": corrupt_next_blob} if corrupt_next_blob else {}),
        network,
    )
    app = application(market, KEY, thresholds, credit, old_list)
    server = Server(app, listener())
    url = server.url
    server.start()
    try:
        yield RunningMarket(url, KEY, market, time_scale, app.state.accounts.first, app.state.accounts)
    finally:
        server.stop()
        market.close()
        hosts.close()
