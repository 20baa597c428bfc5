"""Calls that are waited for: also where the process ends and no thread can be begun."""

import threading

import pytest

from bootstrap.interruptible import begin, run_interruptibly
from tests.doubles.clock import FakeClock


def test_a_call_that_cannot_be_begun_timed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    with pytest.raises(TimeoutError, match="interpreter shutdown"):
        run_interruptibly(lambda: 1, FakeClock(), 5)
    assert isinstance(begin(lambda: 1).exception(), TimeoutError)
