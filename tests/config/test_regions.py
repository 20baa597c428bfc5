"""Regions are understood in any case, by code and by name."""

import pytest

from config.regions import countries, is_understood


@pytest.mark.parametrize(
    ("written", "meant"),
    [("us", "US"), ("US", "US"), ("Germany", "DE"), ("united states", "US"), ("UK", "GB"), ("South_Korea", "KR")],
)
def test_a_country(written: str, meant: str) -> None:
    assert countries([written]) == (meant,)
    assert is_understood(written)


def test_the_union_is_its_members_each_once() -> None:
    assert len(countries(["DE", "eu"])) == 27
    assert countries(["DE", "eu"])[0] == "DE"


@pytest.mark.parametrize("written", ["Europe", "Texas", "fsn1", "", "Narnia"])
def test_what_is_no_country(written: str) -> None:
    assert not is_understood(written)
