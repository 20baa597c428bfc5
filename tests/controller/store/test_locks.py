"""Locks, and what the store does when PostgreSQL is cut off, down, or read-only."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from controller.demand import Claim
from controller.slots import Slot, SlotEvent, advance
from controller.store.errors import StoreDown
from controller.store.store import Store
from sandbox.services.postgres import Postgres
from tests.doubles.database import cut_connections

pytestmark = pytest.mark.service

HOLD = """
import sys
from controller.store.store import Store
store = Store(sys.argv[1])
store.open()
lock = store.slot_lock("burst", 0)
with lock as held:
    print(store.lead(), bool(held), flush=True)
    sys.stdin.read()
"""


def opened(dsn: str) -> Store:
    store = Store(dsn)
    store.open()
    return store


def test_one_of_two_controllers_leads_until_it_closes(dsn: str) -> None:
    one, other = opened(dsn), opened(dsn)
    assert one.lead()
    assert not other.lead()
    assert one.lead()
    one.close()
    assert other.lead()
    other.close()


def test_a_lost_connection_is_a_lost_lead_and_is_noticed(postgres: Postgres, dsn: str) -> None:
    one, other = opened(dsn), opened(dsn)
    assert one.lead()
    cut_connections(postgres, dsn)
    assert other.lead()
    assert not one.lead()
    assert not one.lead()
    other.close()
    assert one.lead()
    one.close()


def test_a_leader_without_a_rival_hears_once_that_its_lead_was_lost(postgres: Postgres, dsn: str) -> None:
    one = opened(dsn)
    assert one.lead()
    cut_connections(postgres, dsn)
    assert [one.lead(), one.lead(), one.lead()] == [False, True, True]
    one.close()


def test_a_slot_is_locked_for_one_process_and_free_again_at_once(dsn: str) -> None:
    one, other = opened(dsn), opened(dsn)
    for _turn in range(20):
        with (
            one.slot_lock("burst", 0) as held,
            other.slot_lock("burst", 0) as second,
            other.slot_lock("burst", 1) as free,
        ):
            assert (bool(held), bool(second), bool(free)) == (True, False, True)
            assert (held.still(), second.still()) == (True, False)
    one.close()
    other.close()


def test_a_lost_connection_is_a_lost_slot(postgres: Postgres, dsn: str) -> None:
    one = opened(dsn)
    with one.slot_lock("burst", 0) as held:
        cut_connections(postgres, dsn)
        with one.slot_lock("burst", 0) as second:
            assert (bool(second), held.still()) == (True, False)
    one.close()


def test_the_locks_of_a_killed_controller_are_free(dsn: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, dsn], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    store = opened(dsn)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True True\n"
        with store.slot_lock("burst", 0) as held:
            assert (bool(held), store.lead()) == (False, False)
        holder.kill()
        holder.wait()
        deadline = time.monotonic() + 20
        while not store.lead():
            assert time.monotonic() < deadline
        with store.slot_lock("burst", 0) as held:
            assert held
    finally:
        holder.kill()
        holder.communicate()
        store.close()


def test_connections_that_were_cut_are_replaced(postgres: Postgres, dsn: str) -> None:
    store = opened(dsn)
    store.ping()
    cut_connections(postgres, dsn)
    store.ping()
    assert store.slots("burst") == ()
    store.close()


def test_a_connection_that_breaks_within_a_transaction_leaves_nothing_of_it(postgres: Postgres, dsn: str) -> None:
    store = opened(dsn)

    def cut(_claims: tuple[Claim, ...]) -> None:
        cut_connections(postgres, dsn)

    with pytest.raises(StoreDown):
        store.add_claim(Claim("c-1", "burst", 1, 9.0, "ci"), 1.0, {}, "key", cut)
    assert store.claims() == ()
    assert store.claim_of_key("ci", "key") is None
    assert store.add_claim(Claim("c-2", "burst", 1, 9.0, "ci"), 1.0, {}, "key").claim.id == "c-2"
    store.close()


def test_a_read_only_server_is_down(postgres: Postgres, dsn: str) -> None:
    store = opened(dsn)
    name = urlsplit(dsn).path[1:]
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(f"alter database {name} set default_transaction_read_only = on".encode())
    cut_connections(postgres, dsn)
    with pytest.raises(StoreDown):
        store.write("burst", Slot(0), advance(Slot(0), SlotEvent.RENT, 0))
    store.close()


def test_a_server_that_is_down_is_one_class_of_error_and_comes_back(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "pg")
    server.start()
    store = opened(server.dsn)
    watch = store.watch()
    assert store.lead()
    watch.wait(0)
    server.stop()
    try:
        for call in (
            store.ping,
            store.claims,
            lambda: watch.wait(0.01),
            lambda: watch.wait(0.01),
            store.slot_lock("burst", 0).__enter__,
        ):
            with pytest.raises(StoreDown) as down:
                call()
            assert "pg" not in str(down.value).removeprefix("PostgreSQL")  # no address
        assert not store.lead()
        with pytest.raises(StoreDown):
            store.lead()
        server.start()
        began = time.monotonic()
        while True:
            try:
                store.ping()
                break
            except StoreDown:
                assert time.monotonic() - began < 20
        assert store.lead()
        assert watch.wait(0) == {"slots", "claims", "events"}
    finally:
        watch.close()
        store.close()
        server.remove()


def test_a_server_that_hangs_is_down(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "pg")
    server.start()
    store = opened(server.dsn)
    other = Store(server.dsn)
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreDown):
            other.open()
    finally:
        os.kill(pid, signal.SIGCONT)
        other.close()
        store.close()
        server.remove()
