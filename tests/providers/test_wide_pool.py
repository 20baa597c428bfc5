"""One provider process serves all calls that the engine sends, those included that came before it could say so."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from pulumi.dynamic import ResourceProvider

from providers import wide_pool
from providers.wide_pool import is_wide_possible, widen
from tests.doubles.dynamic_process import DynamicProcess, ProviderError
from tests.doubles.gathering import GATHERED, GatheringProvider, NarrowProvider


def created_at_once(provider: ResourceProvider, seconds: float) -> list[str]:
    """The answers of the first calls of a process, all sent at once."""
    with DynamicProcess(provider) as process, ThreadPoolExecutor(GATHERED) as callers:

        def create(_number: int) -> str:
            try:
                return process.create({"seconds": seconds})[0]
            except ProviderError as error:
                return str(error)

        process.configure({})
        return list(callers.map(create, range(GATHERED)))


def test_twelve_first_calls_run_at_once_in_one_process() -> None:
    assert created_at_once(GatheringProvider(), 240) == ["met"] * GATHERED


def test_the_sdk_alone_serves_four_so_that_this_is_worth_its_while() -> None:
    assert "met" not in created_at_once(NarrowProvider(), 1)


def test_it_is_known_beforehand_whether_a_process_can_be_widened(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_wide_possible()
    monkeypatch.setattr(wide_pool, "_is_served_by_a_pool", lambda: False)
    assert not is_wide_possible()


def test_a_pool_that_cannot_be_raised_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide_pool, "_pool_of", lambda _frame: object())
    monkeypatch.setattr(wide_pool, "TRIAL_SECONDS", 0.1)
    assert not widen()
    assert not is_wide_possible()


def test_who_is_in_no_pool_widens_nothing() -> None:
    assert not widen()


def test_a_thread_that_only_seems_idle_keeps_no_call_waiting() -> None:
    met, go = threading.Barrier(2), threading.Event()

    def first() -> None:
        assert go.wait(60)
        assert widen()
        met.wait(60)

    with ThreadPoolExecutor(max_workers=1) as pool:
        calls: list[Future[Any]] = [pool.submit(first), pool.submit(met.wait, 60)]
        pool._idle_semaphore.release()  # as a thread leaves it that took the next call at once
        go.set()
        for call in calls:
            call.result()


def test_a_thread_that_seems_idle_later_keeps_no_later_call_waiting() -> None:
    met = threading.Barrier(2)

    with ThreadPoolExecutor(max_workers=1) as pool:

        def first() -> bool:
            assert widen()
            pool._idle_semaphore.release()  # as a thread does that then takes the next call at once
            second = pool.submit(met.wait, 60)
            met.wait(60)
            return second.result(60) in (0, 1)

        assert pool.submit(first).result()


def test_a_call_in_a_thread_of_its_own_is_in_a_wide_pool() -> None:
    with ThreadPoolExecutor(max_workers=1) as pool:
        assert pool.submit(widen).result()
        assert pool.submit(widen).result()


def test_a_call_that_fails_fails_for_who_waits_and_none_is_taken_after_the_end() -> None:
    def fail() -> None:
        raise KeyError

    with ThreadPoolExecutor(max_workers=1) as pool:
        assert pool.submit(widen).result()
        with pytest.raises(KeyError):
            pool.submit(fail).result()
    with pytest.raises(RuntimeError):
        pool.submit(fail)


def test_a_wider_pool_stays_as_wide_as_it_is() -> None:
    with ThreadPoolExecutor(max_workers=8) as pool:
        assert pool.submit(widen).result()
        met = threading.Barrier(8)
        calls = [pool.submit(met.wait, 240) for _ in range(8)]
        assert sorted(call.result() for call in calls) == list(range(8))
