"""What a review says of generated edits is what the real engine's preview says, and what its `up` then does."""

import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from review.publishing import standing_of
from review.report import Action
from review.revision import StackRevision, read_revision
from review.verdicts import Judge
from tests.doubles.changes_table import KINDS, WORDS, second_model
from tests.doubles.cloud import REPO, Cloud
from tests.doubles.config_edits import edited
from tests.doubles.plain_tree import NAME, plain_tree
from tests.doubles.pulumi_stack import Engine, Stack

CASES, ROUNDS, LANES = 10, 4, 5  # 200 edits of fleets, and some of the stack
WORDS_OF = {"another machine": Action.ANOTHER_MACHINE, "in place": Action.IN_PLACE, "written down": Action.RECORDED}
pytestmark = [pytest.mark.engine, pytest.mark.host]


class Reviewed:
    """A stack whose config is edited, and the folders from which a review reads it before and after an edit."""

    def __init__(self, cloud: Cloud, stack: Stack, folder: Path) -> None:
        self.cloud, self.stack, self.folder = cloud, stack, folder
        second_model(stack.folder / "other")
        config = cloud.stack_config(maxUsdPerHour=2.0, diskGb=20)
        chat = config["gpu-fleet:fleets"].pop("chat")
        config["gpu-fleet:fleets"] = {f"f{number}": dict(chat) for number in range(LANES)}
        config["gpu-fleet:models"]["other"] = {"manifest": "other.json", "source": "other"}
        self.config: dict[str, Any] = config

    def revision(self, config: Mapping[str, Any]) -> StackRevision:
        """Read a config as a review does, from a folder of plain files."""
        manifests = {"models/tiny.json": REPO / "models/tiny.json", "other.json": self.stack.folder / "other.json"}
        return read_revision(plain_tree(self.folder, config, manifests), NAME)

    def ids(self) -> dict[str, int]:
        return {row["label"].rpartition("/")[2]: row["id"] for row in self.cloud.rented()}

    def reviews(self, after: Mapping[str, Any]) -> dict[str, str]:
        """Return what the review says of each instance."""
        standing = standing_of(NAME, self.stack.state(), {}, time.time())
        assert standing.unreadable == 0
        found = Judge(self.revision(self.config), self.revision(after), standing).instances()
        return {one.name: one.action.value for one in found}

    def does(self, after: dict[str, Any]) -> tuple[dict[str, str], dict[str, str], str]:
        """Apply the edit. Return what the preview said of running instances, and what `up` did with each instance."""
        self.stack.write_config(after)
        before = self.ids()
        previewed = self.stack.preview("--save-plan", "plan.json").text
        foretold = {name: WORDS_OF[KINDS[words]].value for name, words in WORDS.findall(previewed)}
        done = self.stack.up("--plan", "plan.json").text
        now = self.ids()
        self.config = after
        return foretold, {name: did(name, before, now, foretold, done) for name in before | now}, done


def did(name: str, before: Mapping[str, int], now: Mapping[str, int], foretold: Mapping[str, str], told: str) -> str:
    """Say what an update has done to an instance, from the market's records and the update's lines."""
    if name not in before:
        return Action.RENTED.value
    if name not in now:
        return Action.GIVEN_BACK.value
    if before[name] != now[name]:
        return Action.ANOTHER_MACHINE.value
    if f"{name}  probe  https://" in told:
        return Action.IN_PLACE.value
    return Action.RECORDED.value if name in foretold else Action.UNCHANGED.value


@pytest.mark.timeout(900)
@pytest.mark.rotating(of=CASES)
@pytest.mark.parametrize("seed", range(CASES))
def test_a_review_is_the_preview_and_what_up_does(seed: int, cloud: Cloud, engine: Engine, tmp_path: Path) -> None:
    random = Random(seed)
    reviewed = Reviewed(cloud, engine.stack(REPO), tmp_path / "revision")
    reviewed.stack.write_config(reviewed.config)
    reviewed.stack.up()
    for number in range(ROUNDS):
        after, keys = edited(reviewed.config, random, LANES)
        says = reviewed.reviews(after)
        foretold, does, told = reviewed.does(after)

        where = f"seed {seed}, round {number}: {keys}\n{told}"
        assert says == does, where
        changed = {name: action for name, action in says.items() if name in foretold}
        assert changed == foretold, where
    reviewed.stack.destroy()
