"""The controller's API over HTTP on loopback, with what is applied and the clock in the test's hands."""

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from config.elastic import Elastic
from controller.api.app import create_app
from controller.api.streams import Bell
from controller.offers import Client, Offered, Offers
from controller.slots import Slot, SlotEvent, advance
from controller.store.event_rows import Record
from controller.store.store import Store
from sandbox.services.http_server import Server, listener

LLAMA = Offered("burst", "llama-3.1-8b", ("RTX 4090",), Elastic(max=4), 0.5)
LARGE = Offered("large", "llama-3.1-70b", ("H100 SXM", "H100 PCIE"), Elastic(min=1, max=2), 6.0)
KEYS = {
    "ci": "key-of-ci-0123456789",
    "other": "key-of-other-0123456789",
    "boss": "key-of-boss",
    "viewer": "key-of-viewer",
}
SCOPES = {"boss": {"admin"}, "viewer": {"read"}}
SEED = {"model": "llama-3.1-8b", "gpu_type": "rtx4090"}
NOW = 1_800_000_000.0


def clients() -> dict[str, Client]:
    return {
        name: Client(name, key, frozenset(SCOPES.get(name, {"provision", "read"})), 3, 120.0)
        for name, key in KEYS.items()
    }


def offers() -> Offers:
    return Offers((LLAMA, LARGE), clients(), lambda name: f"token-of-{name}")


@dataclass
class Api:
    """A running API. `applied` is what the application gets, or what is raised to it."""

    store: Store
    applied: Offers | Exception = field(default_factory=offers)
    now: float = NOW
    url: str = ""
    bell: Bell = field(init=False)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def offers(self) -> Offers:
        if isinstance(self.applied, Exception):
            raise self.applied
        return self.applied

    def call(self, method: str, path: str, client: str | None = "ci", **options: Any) -> httpx.Response:
        headers = {**({"X-API-Key": KEYS[client]} if client else {}), **options.pop("headers", {})}
        return self.http.request(method, self.url + path, headers=headers, **options)

    def ask(self, client: str = "ci", key: str | None = None, **body: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self.call("POST", "/provision", client, json={**SEED, **body}, headers=headers)

    def claimed(self, **body: Any) -> str:
        answer = self.ask(**body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    # -- what the controller's loop would do

    def rent(self, claim: str, index: int = 0) -> Slot:
        """Rent a slot for a claim."""
        row = next((one for one in self.store.slots("burst") if one.index == index), Slot(index))
        renting = replace(advance(row, SlotEvent.RENT, self.now), claim=claim)
        says = ({"rule": "start", "says": "1 is missing"},)
        assert self.store.write("burst", row, renting, [Record(self.now, "burst", index, "rent", says)])
        return renting

    def serve(self, slot: Slot, price: float = 0.3) -> Slot:
        """Let a slot serve."""
        self.store.set_endpoint("burst", slot.index, f"https://192.0.2.{slot.index}:8443")
        ready = advance(slot, SlotEvent.SERVED, self.now, price)
        assert self.store.write("burst", slot, ready, [Record(self.now, "burst", slot.index, "served")])
        return ready


@contextlib.contextmanager
def running_api(store: Store) -> Iterator[Api]:
    api = Api(store)
    app = create_app(store, api.offers, lambda: api.now, lambda: f"claim-{next(api.ids)}")
    api.bell = app.state.bell
    server = Server(app, listener())
    server.start()
    api.url = server.url
    try:
        yield api
    finally:
        api.http.close()
        server.stop()


def error_of(answer: httpx.Response) -> Mapping[str, Any]:
    """Return the error of an answer, which has the one shape and names no key."""
    body = answer.json()
    assert list(body) == ["error"], body
    error: Mapping[str, Any] = body["error"]
    for name in ("code", "message", "next"):
        assert isinstance(error[name], str)
        assert error[name]
    assert not [key for key in KEYS.values() if key in answer.text]
    return error
