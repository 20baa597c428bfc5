"""Scale-downs under load, on hosts with the real gate: the shipped drain ends 200 slots, and no client loses a request.

What ends a slot is the shipped loop over PostgreSQL: it closes the gate, looks, opens it again if somebody got in, looks once
more under the slot's lock, and then ends the slot. That end is a `kill -9` of gate and vLLM, so that a request under way is
lost for certain, and its client knows. A make test plays 10 ends, the deep tier four times 50.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from controller.leaving import Answer, GateLook, Leaving, Next
from controller.loop.rules import Rules
from controller.reasons import Reason, Rule
from controller.slots import SlotEvent
from controller.store.store import Store
from sandbox.hosts.backend import NamespaceHosts
from sandbox.services.postgres import Postgres
from tests.doubles.database import fresh_database
from tests.doubles.leaving_hosts import LeavingHosts
from tests.doubles.load import KINDS, Load, Sent, cut
from tests.doubles.rented import Rented, Things, rent

pytestmark = [pytest.mark.host, pytest.mark.timeout(1200)]

ENDS, MACHINES = 10, 2
DEEP_RUNS, DEEP_ENDS, DEEP_MACHINES = 4, 50, 4


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    server = Postgres(tmp_path / "postgres")
    server.start()
    with fresh_database(server) as dsn:
        opened = Store(dsn)
        opened.open()
        yield opened
        opened.close()
    server.remove()


@contextlib.contextmanager
def under_load(
    hosts: NamespaceHosts, things: Things, store: Store, machines: int, seed: int = 0, *, calm: bool = True
) -> Iterator[tuple[LeavingHosts, list[Load]]]:
    """Rent hosts that serve, and send them requests until the block ends; then every request has come to its end."""
    rented: list[Rented] = []
    with contextlib.ExitStack() as stack:
        for _machine in range(machines):
            rented.append(rent(hosts, things))
            stack.callback(rented[-1].host.destroy)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda one: one.converge(), rented))
        world = LeavingHosts(rented, store, seed=seed)
        stack.callback(world.end)
        loads = [
            Load(
                f"https://127.0.0.1:{one.host.ports[8443]}",
                one.spec.token,
                things.authority.certificate,
                100 * seed + number,
                calm,
            )
            for number, one in enumerate(rented)
        ]
        for load in loads:
            load.start()
            stack.callback(load.stop)
        yield world, loads


def all_cut(world: LeavingHosts, loads: list[Load]) -> list[Sent]:
    """Return every request that was cut."""
    found = []
    for place, load in zip(world.places, loads, strict=True):
        found += cut(load.sent, world.spans(place), world.doors[place].kills)
    return found


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.deep) for seed in range(1, DEEP_RUNS + 1))])
def test_scale_downs_under_load_cut_no_request(hosts: NamespaceHosts, things: Things, store: Store, seed: int) -> None:
    ends, machines = (DEEP_ENDS, DEEP_MACHINES) if seed else (ENDS, MACHINES)
    with under_load(hosts, things, store, machines, seed) as (world, loads):
        world.play(ends)

    told = Counter(kind for load in loads for kind in map(what_became, load.sent))
    print(
        f"\n{world.counts['destroyed']} ends, {world.counts[SlotEvent.REOPEN.value]} reopened; requests: {dict(told)}"
    )
    assert world.counts["destroyed"] == ends
    found = all_cut(world, loads)
    assert found == [], "\n".join(map(str, found))
    served = {one.kind for load in loads for one in load.sent if one.served}
    assert served >= {kind for kind in KINDS if "left" not in kind}
    assert told["refused"] > 0, "no client met a closed gate"
    assert told["left"] > 0


@pytest.mark.rotating(of=3)
def test_an_end_that_waits_for_nothing_is_noticed(hosts: NamespaceHosts, things: Things, store: Store) -> None:
    def hasty(leaving: Leaving, _look: GateLook) -> Answer:
        return Answer(Next.END, Reason(Rule.QUIET, "without a look"), leaving)

    with under_load(hosts, things, store, 1, calm=False) as (world, loads):
        world.play(2, Rules(leave=hasty))

    assert len(all_cut(world, loads)) > 0


def what_became(one: Sent) -> str:
    """Return in a word what became of a request."""
    words = {"served": one.served, "refused": one.refused, "left": one.left}
    return next((word for word, holds in words.items() if holds), "no answer" if one.status is None else "cut")
