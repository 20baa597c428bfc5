"""A controller in a cluster that starts before its database waits for it, and says after a minute that it does not answer."""

from collections.abc import Callable

import pytest

from controller.store.errors import StoreDown, StoreRefused
from controller.world.starting import IN_CLUSTER_SECONDS, open_patiently
from tests.doubles.clock import FakeClock


def failing(times: int, error: Exception) -> tuple[Callable[[], None], list[int]]:
    calls: list[int] = []

    def open_store() -> None:
        calls.append(1)
        if len(calls) <= times:
            raise error

    return open_store, calls


def test_a_database_that_starts_beside_it_is_waited_for() -> None:
    clock = FakeClock()
    open_store, calls = failing(3, StoreDown("PostgreSQL does not answer"))
    began = clock.monotonic()

    open_patiently(open_store, clock, IN_CLUSTER_SECONDS)

    assert len(calls) == 4
    assert clock.monotonic() - began == 3


def test_one_that_never_answers_is_told() -> None:
    clock = FakeClock()
    open_store, _calls = failing(10_000, StoreDown("PostgreSQL does not answer"))
    began = clock.monotonic()

    with pytest.raises(StoreDown):
        open_patiently(open_store, clock, IN_CLUSTER_SECONDS)
    assert clock.monotonic() - began == IN_CLUSTER_SECONDS


def test_one_of_another_stack_is_refused_at_once() -> None:
    clock = FakeClock()
    open_store, calls = failing(1, StoreRefused("the database of another stack"))

    with pytest.raises(StoreRefused):
        open_patiently(open_store, clock, IN_CLUSTER_SECONDS)
    assert len(calls) == 1


def test_elsewhere_a_database_that_does_not_answer_is_told_at_once() -> None:
    open_store, calls = failing(1, StoreDown("PostgreSQL does not answer"))

    with pytest.raises(StoreDown):
        open_patiently(open_store, FakeClock(), 0.0)
    assert len(calls) == 1
