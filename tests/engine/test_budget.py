"""A budget on the real engine: a rent over it is refused and touches nothing that runs; the raised budget lets it through."""

import copy
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bootstrap.clock import SystemClock
from bootstrap.probe import probe
from cli.review import look_of
from review.publishing import standing_of
from review.report import Review
from review.reviewing import Asked, base_of, review
from sandbox.market.server import KEY
from tests.doubles.cloud import REPO, Cloud
from tests.doubles.fleet_stack import stack_of_its_own
from tests.doubles.plain_tree import NAME, plain_tree
from tests.doubles.pulumi_stack import Engine, Stack
from tests.engine.test_operating import blocks, follow

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=4)]

RAISE = re.compile(r"`(pulumi config set --path gpu-fleet:budget\.usdPerMonth [\d.]+)`")


def ids(cloud: Cloud) -> dict[str, int]:
    return {row["label"].rpartition("/")[2]: row["id"] for row in cloud.rented()}


def figures(stack: Stack) -> dict[str, Any]:
    told = follow(stack, ["gpu-fleet budget --json"])
    return dict(json.loads(told[told.index("{") :]))


def reviewed(stack: Stack, before: Mapping[str, Any], after: Mapping[str, Any], spent: float, folder: Path) -> Review:
    """Review an edit as a pull request shows it, with what runs and the month's spend, against the stack's own market."""
    tiny = {"models/tiny.json": REPO / "models/tiny.json"}
    base, head = plain_tree(folder / "base", before, tiny), plain_tree(folder / "head", after, tiny)
    standing = standing_of(NAME, stack.state(), {}, time.time(), spent_this_month=spent)
    old, notes = base_of(base, NAME)
    return review(
        Asked(NAME, base, head, time.time(), standing), old, look_of(old, NAME, {"VAST_REVIEW_KEY": KEY}), notes
    )


def test_a_rent_over_budget_is_refused_and_the_raised_budget_lets_it_through(
    cloud: Cloud, engine: Engine, tmp_path: Path
) -> None:
    with stack_of_its_own(cloud, engine) as stack:
        config = cloud.stack_config()
        stack.write_config(config)
        stack.up()
        before = ids(cloud)
        month = figures(stack)["periods"][1]
        assert month["budget"] is None, "the stack has none yet"

        served = copy.deepcopy(config)
        fleets = config["gpu-fleet:fleets"]
        fleets["extra"] = dict(fleets["chat"])
        config["gpu-fleet:budget"] = {"usdPerMonth": month["spent"] + 1.5 * month["running"]}
        stack.write_config(config)
        shown = reviewed(stack, served, config, month["spent"], tmp_path)
        assert any("budget.usdPerMonth: what the edit rents costs at least $" in one for one in shown.refusals)
        larger = {**config, "gpu-fleet:budget": {"usdPerMonth": month["spent"] + 9 * month["running"]}}
        assert reviewed(stack, served, larger, month["spent"], tmp_path).refusals == ()
        assert "budget  from now on a rent that could pass the stack's budget is refused" in stack.preview().text

        refused = stack.up(check=False)

        assert refused.status != 0
        assert "extra-0: not rented, because at $" in refused.text
        assert "and the month's budget of $" in refused.text
        assert ids(cloud) == before, "what runs is not touched"
        found = stack.outputs()
        assert probe(
            found["endpoints"]["chat-0"], found["caCertificate"], found["tokens"]["chat-0"], "tiny", SystemClock(), 30
        )
        command = RAISE.search(" ".join(refused.text.split()))
        assert command, refused.text

        told = follow(stack, [command[1], *blocks("A rent is refused because of the budget")[0]])

        assert "reserved" in told
        after = ids(cloud)
        assert set(after) == {"chat-0", "extra-0"}
        assert after["chat-0"] == before["chat-0"]
        told_now = figures(stack)
        assert (told_now["enforced"], told_now["shared"]) == (True, True)
        assert told_now["periods"][1]["countedBy"] in {"our own count", "the market's charges"}
        stack.destroy()
        assert cloud.rented() == []
