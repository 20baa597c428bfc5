"""What a run takes follows from the commit; a quarantined test decides nothing and is listed."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.tiers import Tier, head, tier_of

REPO = Path(__file__).resolve().parents[1]
PLUGIN = "from tests.conftest import *\n"
TESTS = """
import pytest

@pytest.mark.rotating(of=3)
@pytest.mark.parametrize("n", range(7))
def test_one(n):
    pass

@pytest.mark.rotating(of=2)
@pytest.mark.parametrize("n", range(2))
def test_two(n):
    pass

@pytest.mark.rotating(of=2)
def test_plain():
    pass

@pytest.mark.rotating(of=2)
def test_plain_as_well():
    pass

@pytest.mark.quarantine(reason="two hosts want one port")
def test_fails():
    assert False

@pytest.mark.quarantine(reason="seen once")
def test_passes():
    pass
"""


@given(st.integers(2, 9), st.integers(0, 40))
def test_each_row_is_in_one_of_the_slices(of: int, rows: int) -> None:
    slices = [Tier(False, seed).slice(range(rows), of) for seed in range(of)]

    assert sorted(row for one in slices for row in one) == list(range(rows))
    assert Tier(True, 0).slice(range(rows), of) == list(range(rows))


def test_the_slice_follows_from_the_commit_unless_it_is_named() -> None:
    assert tier_of({}, "ff") == Tier(False, 255)
    assert tier_of({}, "") == Tier(False, 0)
    assert tier_of({"TEST_SEED": "12"}, "ff") == Tier(False, 12)
    assert tier_of({"TIER": "deep"}, "ff").deep
    assert set(head()) <= set("0123456789abcdef")


def test_a_run_takes_its_slice_and_lists_what_is_quarantined(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(PLUGIN)
    (tmp_path / "test_it.py").write_text(TESTS)
    runs = [_run(tmp_path, seed) for seed in (7, 8, 9)]
    said = runs[0]

    ones = [[int(number) for number in re.findall(r"::test_one\[(\d)\] PASSED", one)] for one in runs]
    assert sorted(itertools.chain(*ones)) == list(range(7)), "three commits run them all"
    assert all(later - earlier == 3 for one in ones for earlier, later in itertools.pairwise(one))
    twos = [re.findall(r"::test_two\[(\d)\] PASSED", one) for one in runs[:2]]
    assert sorted(twos) == [["0"], ["1"]]
    assert "TEST_SEED=7 plays it again" in said
    end = said.partition("quarantined tests")[2]
    assert re.search(r"failed .*test_it.py::test_fails: two hosts want one port\n", end)
    assert re.search(r"passed .*test_it.py::test_passes: seen once\n", end)
    plain = [re.findall(r"::test_(plain\w*) PASSED", one) for one in runs[:2]]
    assert sorted(plain) == [["plain"], ["plain_as_well"]]


def _run(folder: Path, seed: int) -> str:
    options = ("-v", "-p", "no:cacheprovider", "-c", f"{REPO}/pyproject.toml", str(folder))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        env={**os.environ, "PYTHONPATH": str(REPO), "TIER": "", "TEST_SEED": str(seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
