"""One sandbox: market, hosts, object store, database, controller and monitoring."""

import json
import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from sandbox.corruption import corrupt_largest_blob, truncate_largest_blob
from sandbox.errors import SandboxError
from sandbox.faults import Faults
from sandbox.hetzner.service import Hetzner
from sandbox.hosts.spec import Hosts, HostsError, NoHosts
from sandbox.market.calls import Account, Accounts
from sandbox.market.host_network import HostNetwork
from sandbox.market.market import Market
from sandbox.market.proxy import SshProxy
from sandbox.market.records.clock import MarketClock
from sandbox.market.records.contracts import Contract
from sandbox.market.records.machines import generate
from sandbox.market.records.states import actual_status
from sandbox.market.server import KEY, MOVE, application
from sandbox.observability import Observability
from sandbox.services.child import ServiceError
from sandbox.services.controller import Controller
from sandbox.services.http_server import Server, listener
from sandbox.services.object_store import NAME_FOR_HOSTS, ObjectStore
from sandbox.services.postgres import Postgres
from sandbox.services.store_front import StoreFront
from sandbox.settings import Settings, Vllm

if TYPE_CHECKING:
    from sandbox.hosts.images import Images

LOOPBACK = "127.0.0.1"
MARKET_FOR_HOSTS = "market.sandbox.internal"


class Sandbox:
    """Market, hosts and store of one process. Start it once; `stop` ends every host and the store."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._front: StoreFront | None = None
        self._market: Market | None = None
        self._server: Server | None = None
        self._accounts: Accounts | None = None
        self._observability: Observability | None = None
        self._images: Images | None = None
        self._postgres: Postgres | None = None
        self._hetzner = Hetzner(settings)
        self._network = HostNetwork()
        self._controller = Controller(settings.state / "controller", settings.controller_port)
        self._undo: list[Callable[[], None]] = []

    def start(self) -> None:
        """Start everything and return when all of it answers. On a failure, end everything and raise SandboxError."""
        try:
            with ThreadPoolExecutor(2) as beside:
                self._start(beside)
        except (ServiceError, HostsError, OSError) as error:
            self.stop()
            raise SandboxError(str(error)) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything in reverse order, the controller first. Stopping twice is harmless."""
        self._controller.remove()
        while self._undo:
            self._undo.pop()()

    def arm(self, name: str, times: int | None = None, **options: Any) -> None:
        """Arm a fault; the options are those of Arming. Raises FaultUnknown."""
        self.market.faults.arm(name, times, **options)

    def disarm(self, name: str) -> int:
        """Switch every arming of a fault off and return their number. Raises FaultUnknown."""
        return self.market.faults.disarm(name)

    def switch_vllm(self, vllm: Vllm) -> None:
        """Choose the vLLM of hosts that the market makes from now on."""
        if self._images is not None:
            self._images.vllm = vllm

    def join_monitoring(self) -> None:
        """Start monitoring and the cluster beside the rest, if they do not run. Raises SandboxError; the rest goes on."""
        if self.settings.market_only or self._observability is None:
            raise SandboxError("A market alone has no monitoring: its hosts have no login, and report nothing.")
        try:
            self._observability.join()
        except (ServiceError, OSError) as error:
            raise SandboxError(str(error)) from error

    def join_hetzner(self, *, with_machines: bool = True) -> None:
        """Start the emulated Hetzner beside the rest, if it does not run. Raises SandboxError; the rest goes on.

        Without machines its servers are only records.
        """
        if with_machines and self.settings.market_only:
            raise SandboxError("A market alone has no machines for Hetzner's servers. Start the API alone: --api-only")
        outward, ca_pem, market = self._network.outward, self._network.ca_pem, self.market
        try:
            self._hetzner.start(market.clock, market.faults, outward, ca_pem, with_machines=with_machines)
        except (ServiceError, HostsError, OSError) as error:
            raise SandboxError(str(error)) from error

    def run_controller(self, stack: str, environment: Mapping[str, str]) -> None:
        """Start the controller of a stack's elastic fleets, or leave the one that runs. Raises SandboxError.

        `environment` has the PATH, backend and passphrase with which Pulumi runs this stack.
        """
        if self._postgres is None or self._observability is None:
            raise SandboxError("A market alone has no database, so no controller runs beside it.")
        try:
            self._controller.run(stack, self._postgres.dsn, environment)
            self._observability.scrape_controller(self._controller.url.partition("://")[2])
        except (ServiceError, OSError) as error:
            raise SandboxError(str(error)) from error

    def stop_controller(self) -> None:
        """End the controller, and nothing that is rented. Harmless if none runs."""
        if self._observability is not None:
            self._observability.scrape_controller(None)  # first: an end on purpose is no silence
        self._controller.stop()

    @property
    def controller_pid(self) -> int | None:
        """Return the process id of the controller, None while none runs."""
        return self._controller.pid

    @property
    def market(self) -> Market:
        """Return the market of the first account. Raises SandboxError before the start."""
        if self._market is None:
            raise SandboxError("The sandbox has not been started.")
        return self._market

    @property
    def account(self) -> Account:
        """Return the first account. Raises SandboxError before the start."""
        return self.accounts.first

    @property
    def accounts(self) -> Accounts:
        """Return the market's accounts. Raises SandboxError before the start."""
        if self._accounts is None:
            raise SandboxError("The sandbox has not been started.")
        return self._accounts

    def make_key(self, scopes: Collection[str], account: str = "") -> str:
        """Return a new key of this account, by default of the first one. Raises ScopeUnknown."""
        owner = self.accounts.named(account) if account else self.account
        return owner.keys.make("made by hand", scopes, owner.number).secret

    def status(self) -> dict[str, Any]:
        """Return the running services and their cost, as `python -m sandbox status --json` prints them."""
        market, store, account = self.market, self._front, self.account
        assert self._server is not None
        return {
            "pid": os.getpid(),
            "vllm": self._images and self._images.vllm,
            "time_scale": self.settings.time_scale,
            "faults": market.faults.armed(),
            "market": {
                "url": self._server.url,
                "key": KEY,
                "instances": [
                    _instance(contract, market.clock.now(), one)
                    for one in self.accounts.all()
                    for contract in one.market.all()
                ],
                "usd_per_hour": round(sum(one.market.usd_per_hour() for one in self.accounts.all()), 6),
                "usd_billed": round(sum(one.market.usd_billed() for one in self.accounts.all()), 6),
                "rented_in_all": sum(len(one.market.contracts()) for one in self.accounts.all()),
                "calls": account.thresholds.calls,
                "calls_too_early": account.thresholds.too_early,
                "not_emulated": dict(account.not_emulated),
            },
            "store": store
            and {
                "endpoint": store.endpoint,
                "https_port": store.https_port,
                "host_endpoint": f"https://{NAME_FOR_HOSTS}",
            },
            "postgres": self._postgres and {"dsn": self._postgres.dsn},
            "controller": {"url": self._controller.url} if self._controller.url else None,
            "monitoring": self._observability.urls if self._observability else {},
            "node": self._observability is not None and self._observability.has_node,
            "hetzner": self._hetzner.status(),
        }

    def _start(self, beside: ThreadPoolExecutor) -> None:
        settings = self.settings
        # First, because two sandboxes most often collide on this port.
        bound = listener(settings.market_port, "the market", MOVE)
        self._undo.append(bound.close)
        watchers = self._observability = Observability(settings)
        self._undo.append(watchers.stop)
        if settings.watched:
            watchers.plan()
            cluster = beside.submit(watchers.start_cluster)
        if not settings.market_only:
            # For the controller. A new sandbox has another market, so an orderly end removes the data.
            self._postgres = Postgres(settings.state / "postgres")
            self._undo.append(self._postgres.remove)
            database = beside.submit(self._postgres.start)
        hosts = self._hosts()
        faults = Faults(missing=frozenset({"store", "hetzner"}))
        self._undo.append(hosts.close)
        if not settings.market_only:
            store = ObjectStore(settings.store)
            store.start()
            self._undo.append(store.stop)
            faults = self._faults(store)
            self._front = StoreFront(
                store, faults, settings.store_port, settings.store_https_port, like_s3=settings.store_like_s3
            )
            self._undo.append(self._front.stop)
            outward = {
                f"{NAME_FOR_HOSTS}:443": (LOOPBACK, self._front.https_port),
                f"{MARKET_FOR_HOSTS}:80": (LOOPBACK, bound.getsockname()[1]),
                **watchers.outward,
            }
            proxy = SshProxy()
            self._undo.append(proxy.stop)
            self._network = HostNetwork(outward, store.ca_pem + watchers.ca_pem, proxy)
        machines = generate(settings.seed, settings.machines, settings.address)
        self._market = Market(MarketClock(settings.time_scale), machines, hosts, faults, self._network)
        self._undo.append(self._market.close)
        app = application(self._market, KEY, settings.thresholds, old_list=settings.old_list)
        self._accounts = app.state.accounts
        self._server = Server(app, bound)
        self._server.start()
        self._undo.append(self._server.stop)
        self._undo.append(self._hetzner.stop)
        if settings.hetzner != "off":
            self.join_hetzner(with_machines=settings.hetzner == "on")
        if settings.watched:
            watchers.start_monitoring()
            cluster.result()
        if not settings.market_only:
            database.result()

    def _hosts(self) -> Hosts:
        if self.settings.market_only:
            return NoHosts()
        # Only now: hosts need Linux, root and namespaces, and a market alone does not.
        from sandbox.hosts.backend import NamespaceHosts  # noqa: PLC0415
        from sandbox.hosts.images import Images  # noqa: PLC0415

        self._images = Images(self.settings.vllm, self.settings.cache)
        return NamespaceHosts(self.settings.cache, self._images)

    @staticmethod
    def _faults(store: ObjectStore) -> Faults:
        return Faults(
            {
                "corrupt-blob": lambda: corrupt_largest_blob(store.endpoint),
                "truncated-blob": lambda: truncate_largest_blob(store.endpoint),
            },
            missing=frozenset({"hetzner"}),
        )


def _instance(contract: Contract, now: float, account: Account) -> dict[str, Any]:
    return {
        "account": account.name,
        "id": contract.id,
        "label": contract.label,
        "status": actual_status(contract, now) or "scheduled",
        "usd_per_hour": round(contract.meter.usd_per_hour(), 6),
        "usd_billed": round(contract.usd(now), 6),
        "machine_id": contract.machine.machine_id,
        "gpu": f"{contract.machine.num_gpus} x {contract.machine.gpu.name}",
        "ports": json.loads(json.dumps(dict(contract.host.ports))) if contract.host else {},
    }
