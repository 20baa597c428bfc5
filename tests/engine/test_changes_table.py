"""docs/changes.md on the real engine: what the preview says of an edit is what `up` does, and its plan allows it.

Each fleet is a lane in which one row after the other is played: those that are in place, and those that replace.
"""

import copy
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bootstrap.manifest import of_folder
from components.consequences import EDITS
from tests.doubles.cloud import REPO, Cloud
from tests.doubles.fleet_stack import cloud
from tools.stack import Engine, Stack

__all__ = ["cloud"]

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.deep, pytest.mark.timeout(900)]

Row = tuple[str, str]  # key and where, as in the table
FLEET = "fleets.<name>."
KINDS = {"another machine": "another machine", "in place": "in place", "nothing on the machine": "written down"}
WORDS = re.compile(rf"(\w+-\d)  change  ({'|'.join(KINDS)})")


class Table:
    """One stack whose rows are played; `played` are their keys and places."""

    def __init__(self, cloud: Cloud, stack: Stack) -> None:
        self.cloud, self.stack = cloud, stack
        self.played: set[Row] = set()
        self.config = cloud.stack_config(maxUsdPerHour=2.0, diskGb=20)
        chat = self.config["gpu-fleet:fleets"].pop("chat")
        self.config["gpu-fleet:fleets"] = {name: copy.deepcopy(chat) for name in "abcde"}
        self.config["gpu-fleet:models"]["other"] = {"manifest": "other.json", "source": "other"}
        stack.write_config(self.config)

    def set(self, path: str, value: Any, *rows: Row) -> None:
        """Edit a key of the stack's config; `fleets.a.regions` is one of a fleet."""
        section, _, rest = path.partition(".")
        *parents, last = [f"gpu-fleet:{section}", *filter(None, rest.split("."))]
        place = self.config
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = (
            {**place[last], **value} if isinstance(value, dict) and isinstance(place.get(last), dict) else value
        )
        self.played.update(rows)

    def ids(self) -> dict[str, int]:
        return {row["label"].rpartition("/")[2]: row["id"] for row in self.cloud.rented()}

    def play(self, **expected: str) -> None:
        """Preview and up; `expected` is by instance, without its dash. What is not named is not to be touched."""
        wanted = {f"{name[0]}-{name[1:]}": kind for name, kind in expected.items()}
        self.stack.write_config(self.config)
        before = self.ids()
        previewed = self.stack.preview("--save-plan", "plan.json").text
        done = self.stack.up("--plan", "plan.json").text

        after = self.ids()
        foretold = {name: KINDS[words] for name, words in WORDS.findall(previewed)}
        assert foretold == wanted, previewed
        assert {name: did(name, before, after, done) for name in wanted} == wanted, done
        untouched = before.keys() - wanted.keys()
        assert {name: after.get(name) for name in untouched & after.keys()} == {
            name: before[name] for name in untouched & after.keys()
        }


def did(name: str, before: Mapping[str, int], after: Mapping[str, int], told: str) -> str:
    """Say what an update has done to an instance."""
    if before[name] != after[name]:
        return "another machine"
    return "in place" if f"{name}  probe  https://" in told else "written down"


def second_model(folder: Path) -> None:
    shutil.copytree(REPO / "models" / "tiny", folder)
    (folder / "README.md").write_text("the second version\n")
    folder.with_suffix(".json").write_text(of_folder("tiny", folder).model_dump_json())


def test_what_the_preview_says_of_each_row_is_what_up_does(cloud: Cloud, engine: Engine) -> None:
    stack = engine.stack(REPO)
    second_model(stack.folder / "other")
    table = Table(cloud, stack)
    stack.up()
    machines = {
        row["outputs"]["name"]: row["outputs"]["machine"] for row in stack.resources() if "Instance" in row["type"]
    }
    here = machines["d-0"]["country"]

    table.set("fleets.b.vllmArguments", ["--max-model-len", "256"], (f"{FLEET}vllmArguments", ""))
    table.set("fleets.c.environment", {"VLLM_LOGGING_LEVEL": "DEBUG"}, (f"{FLEET}environment", ""))
    table.set("fleets.d.model", "other", (f"{FLEET}model", ""))
    table.set("fleets.e.warmStart", True, (f"{FLEET}warmStart", ""))
    table.play(b0="in place", c0="in place", d0="in place", e0="in place")

    country = next(code for code in ("US", "DE", "PL", "CZ") if code != here)
    table.set("fleets.b.image", "vllm/vllm-openai-cpu:v0.31.0", (f"{FLEET}image", ""))
    table.set("fleets.c.gpu.count", 2, (f"{FLEET}gpu.count", ""))
    table.set("fleets.d.regions", [country], (f"{FLEET}regions", "the machine stands elsewhere"))
    table.set("fleets.e.diskGb", 24, (f"{FLEET}diskGb", "more than was rented"))
    table.play(b0="another machine", c0="another machine", d0="another machine", e0="another machine")

    dear = next(one for one in cloud.sandbox.books.all() if one.id == table.ids()["e-0"])
    dear.meter.reprice(cloud.sandbox.books.clock.now(), 1.8)
    stack.refresh()
    seen = next(row["outputs"] for row in stack.resources() if row["outputs"].get("name") == "b-0")
    other = "RTX 3090" if seen["machine"]["gpuName"] == "RTX 4090" else "RTX 4090"
    table.set("fleets.b.gpu.name", other, (f"{FLEET}gpu.name", "the running GPU is not named any more"))
    table.set("fleets.e.maxUsdPerHour", 1.5, (f"{FLEET}maxUsdPerHour", "the instance costs more"))
    table.play(b0="another machine", e0="another machine")
    assert table.played <= {(edit.key, edit.when) for edit in EDITS}
    stack.destroy()
