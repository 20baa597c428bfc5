"""What the agent says of a host that may end itself, and that it says nothing of any other."""

import json
from pathlib import Path

import pytest

from monitoring.agent.collector import own_end_families
from monitoring.agent.own_end import OwnEnd, own_end
from monitoring.receiver.admission import Sender, own_labels


def said(file: Path, **known: object) -> OwnEnd | None:
    file.write_text(json.dumps({"ending": "", "since": 900.0, "lease_until": None, **known}))
    return own_end(file, lambda: 1000.0)


def values(found: OwnEnd | None) -> dict[str, float]:
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in own_end_families(found)
        for sample in family.samples
    }


def test_a_host_that_ends_itself_says_since_when_and_why(tmp_path: Path) -> None:
    assert values(said(tmp_path / "said", ending="idle")) == {"vast_instance_ending_seconds idle": 100.0}


@pytest.mark.parametrize(("until", "left"), [(1600.0, 600.0), (970.0, -30.0)])
def test_a_lease_is_counted_down_and_below_zero(tmp_path: Path, until: float, left: float) -> None:
    assert values(said(tmp_path / "said", lease_until=until)) == {"vast_instance_lease_remaining_seconds": left}


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"ending": "idle", "since": "x", "lease_until": 1}'])
def test_a_host_without_limits_or_with_a_damaged_file_says_nothing(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "said"
    if text is not None:
        file.write_text(text)

    assert values(own_end(file)) == {}


def test_the_receiver_takes_all_of_it() -> None:
    rows = [sample for family in own_end_families(OwnEnd("idle", 5.0, -3.0)) for sample in family.samples]

    assert len(rows) == 2
    for row in rows:
        named = [("__name__", row.name), ("job", "agent"), *row.labels.items()]
        assert own_labels(named, Sender("7", "chat-0", "abc")) is not None
