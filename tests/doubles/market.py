"""A market in memory for the renting rules: instances boot as the clock moves, and any call can be told to go wrong.

The HTTP client has the emulator for its tests; this one is for rules that need exact moments.
"""

from collections.abc import Callable
from typing import Any

from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.api.offer import Offer
from providers.vast.api.offer_claims import Unclaimed
from providers.vast.api.responses import Account, PriceIncrease
from tests.doubles.clock import FakeClock

HOST_KEY = "SHA256:" + "A" * 43


def offer(number: int, **changes: Any) -> Offer:
    """An offer that fits `wishes()` below unless changed."""
    row: dict[str, Any] = {
        "id": number,
        "machine_id": 1000 + number,
        "gpu_name": "RTX 4090",
        "num_gpus": 1,
        "gpu_ram": 24_000,
        "dph_base": 0.30 + number / 100,
        "storage_cost": 0.1,
        "inet_down": 900,
        "inet_down_cost": 0.001,
        "disk_space": 200,
        "reliability2": 0.99,
        "verification": "verified",
        "geolocation": "Texas, US",
        "direct_port_count": 20,
        "cuda_max_good": 13.0,
        "compute_cap": 890,
    }
    return Offer.model_validate({**row, **changes})


class FakeMarket(Unclaimed):
    """Satisfies `Market`. `boot_seconds`: rent -> running. `fail[call]` holds functions called before the n-th call."""

    def __init__(self, clock: FakeClock, offers: list[Offer] | None = None, boot_seconds: float = 30) -> None:
        self.clock = clock
        self.offers = [offer(n) for n in range(1, 6)] if offers is None else offers
        self.boot_seconds = boot_seconds
        self.few = True
        self.owner = Account(id=7, username="team")
        self.rows: dict[int, dict[str, Any]] = {}
        self.keys: dict[int, set[str]] = {}  # public keys that are attached
        self.calls: list[tuple[str, Any]] = []
        self.before: dict[str, list[Callable[..., None] | None]] = {}
        self.after: dict[str, list[Callable[..., None] | None]] = {}
        self.never_boots: set[int] = set()
        self.messages: dict[int, str] = {}  # by machine: the market's text about one that boots
        self._next = 500

    def verify_key(self) -> None:
        self._step("account", None)

    def account(self) -> Account:
        self._step("whose", None)
        return self.owner

    def search(self, query: dict[str, Any]) -> list[Offer]:
        self._step("search", query)
        return list(self.offers)

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        self._step("rent", offer_id)
        found = next((row for row in self.offers if row.id == offer_id), None)
        if found is None:
            raise errors.OfferGone(offer_id, "no_such_ask")
        self.offers.remove(found)
        instance_id = self.add(body["label"], found, image=body["image"], disk=body["disk"])
        self._run(self.after, "rent", instance_id)
        return instance_id

    def add(self, label: str, source: Offer, image: str = "image", disk: float = 20) -> int:
        """Put an instance on the books, as if somebody had rented it now."""
        self._next += 1
        self.rows[self._next] = {
            "id": self._next,
            "label": label,
            "machine_id": source.machine_id,
            "gpu_name": source.gpu_name,
            "num_gpus": source.num_gpus,
            "gpu_ram": source.gpu_ram,
            "image_uuid": image,
            "disk_space": disk,
            "dph_total": source.dph_base,
            "geolocation": source.geolocation,
            "born": self.clock.now,
        }
        return self._next

    def show(self, instance_id: int) -> Instance | None:
        self._step("show", instance_id)
        row = self.rows.get(instance_id)
        return self._instance(row) if row else None

    def few_wait(self, _instance_id: int) -> bool:
        return self.few

    def forget_search(self, query: dict[str, Any]) -> None:
        self.calls.append(("forget", query))

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> list[Instance]:
        self._step("list", label)
        rows = [self._instance(row) for row in self.rows.values()]
        return [row for row in rows if label in {None, row.label}]

    def destroy(self, instance_id: int) -> None:
        self._step("destroy", instance_id)
        self.rows.pop(instance_id, None)

    def start(self, instance_id: int) -> None:
        self._step("start", instance_id)
        for key in ("seen", "until", "answers"):
            self.rows.get(instance_id, {}).pop(key, None)

    def attach_key(self, instance_id: int, public_key: str) -> None:
        self._step("attach", instance_id)
        self.keys.setdefault(instance_id, set()).add(public_key)

    def detach_key(self, instance_id: int, public_key: str) -> None:
        self._step("detach", instance_id)
        self.keys.get(instance_id, set()).discard(public_key)

    def price_increases(self) -> list[PriceIncrease]:
        return []

    def log(self, instance_id: int, lines: int = 1000) -> str:
        self._step("log", instance_id)
        return f"start\ngpu-fleet host key {HOST_KEY}\n" if instance_id in self.rows else ""

    def last_log(self, instance_id: int, daemon: bool, seconds: float) -> str:
        self._step("last log", (instance_id, daemon, seconds))
        return f"{'daemon' if daemon else 'container'} of {instance_id}\n" if instance_id in self.rows else ""

    def _instance(self, row: dict[str, Any]) -> Instance:
        up = self.clock.now - row["born"] >= self.boot_seconds and row["machine_id"] not in self.never_boots
        running = {
            "actual_status": "running",
            "public_ipaddr": "203.0.113.7 ",
            "ports": {
                "22/tcp": [{"HostIp": "0.0.0.0", "HostPort": "40022"}],
                "8443/tcp": [{"HostPort": "48443"}],
            },
        }
        said = {"status_msg": self.messages.get(row["machine_id"])}
        status = running if up else {"actual_status": "loading", "ports": None, **said}
        seen = row.get("seen", {})  # what a test has the market say in place of the truth
        return Instance.model_validate({"intended_status": "running", "cur_state": "running", **row, **status, **seen})

    def _step(self, call: str, argument: Any) -> None:
        self.calls.append((call, argument))
        self._run(self.before, call, argument)

    def _run(self, hooks: dict[str, list[Callable[..., None] | None]], call: str, argument: Any) -> None:
        queue = hooks.get(call) or []
        hook = queue.pop(0) if queue else None
        if hook:
            hook(argument)


def raising(error: Exception) -> Callable[..., None]:
    """A hook that raises."""

    def hook(_argument: Any) -> None:
        raise error

    return hook
