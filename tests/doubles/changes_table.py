"""The edits of docs/changes.md, row by row, on one stack: what the preview says of an edit is what `up` does.

Each fleet is a lane in which one row after the other is played; rows that are written down are played together, as any of
them that were more would show. A rehearsal plays nothing: it tells which rows a play reaches.
"""

import copy
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.changes_page import EDITS, effect
from tests.doubles.cloud import REPO, Cloud
from tests.doubles.pulumi_stack import Stack
from weights.manifest import of_folder

Row = tuple[str, str]  # key and where, as in the table
FLEET = "fleets.<name>."
KINDS = {"another machine": "another machine", "in place": "in place", "nothing on the machine": "written down"}
WORDS = re.compile(rf"(\w+-\d)  change  ({'|'.join(KINDS)})")
ELSEWHERE = {
    "kubernetes.": "changes objects of a cluster; tests/engine/test_kubernetes.py",
    "store.bucket": "moves the bucket; tests/engine/test_store.py",
    "store.region": "the sandbox has one region",
    "store.endpoint": "the sandbox's store has one address",
    "store.hostEndpoint": "the sandbox's hosts know its store by one name",
    "store.versioning": "is the store's",
    "fleets.<name>.registry.": "holds a secret; tests/engine/test_private_image.py",
    "fleets.<name>.without": "is played with replicas; tests/engine/test_fleet.py",
    "fleets.<name>.replicas.": "makes the fleet elastic; tests/engine/test_elastic.py",
    "clients.": "is the controller's; tests/engine/test_elastic.py",
    "controller.": "is the controller's; tests/engine/test_controller_cluster.py",
    "cluster.": "changes a cluster on Hetzner; tests/engine/test_cluster_life.py",
}
# Key of a lane's fleet or of the stack -> value, and the row that it plays.
WRITTEN_DOWN: dict[str, Any] = {
    "gpu.name": ["rtx_4090", "RTX 3090", "H100 SXM"],
    "gpu.ramGb": 20,
    "maxUsdPerHour": 1.9,
    "overCeiling": "replace",
    "reliability": 0.5,
    "downloadMbps": 40,
    "minCuda": 12.2,
    "hosting": "datacenter",
    "cpuCores": 1,
    "memoryGb": 1,
    "preflight": {"cpuCores": 1, "memoryGb": 1, "diskMbps": 1, "clockSeconds": 400, "gpuCelsius": 90},
    "verified": False,
    "minDays": 0.5,
    "diskGb": 18,
    "rollout": {"maxUnavailable": 2},
}
OF_THE_STACK: dict[str, Any] = {
    "limits": {"attempts": 4, "bootMinutes": 14, "connectMinutes": 0.2, "totalMinutes": 6, "expectedHours": 9}
    | {"downMinutes": 16, "rentsPerHour": 150},
    # At the market's pace here, what runs until midnight costs thousands.
    "budget": {"usdPerDay": 5e6, "usdPerMonth": 5e7, "enforce": True, "controllerShare": 0.4},
    "market.timeScale": 99,
    "store.referenceUrl": "http://127.0.0.1:1/file",
    "store.onDestroy": "keep",
    "store.verify": "sizes",
    "policy": {"verifiedHosts": True, "pinnedImages": True, "regions": ["US"], "gpus": ["H100"], "maxUsdPerHour": 9}
    | {"maxFleetUsdPerHour": 9, "maxReplicas": 9, "manifests": True, "budget": "refuse"},
}


class Table:
    """One stack whose rows are played; `played` are their keys and places."""

    def __init__(self, cloud: Cloud, stack: Stack) -> None:
        self.cloud, self.stack = cloud, stack
        second_model(stack.folder / "other")
        self._begin(cloud.stack_config(maxUsdPerHour=2.0, diskGb=20))
        stack.write_config(self.config)
        stack.up()

    def _begin(self, config: dict[str, Any]) -> None:
        self.played: set[Row] = set()
        self.config = config
        chat = config["gpu-fleet:fleets"].pop("chat")
        config["gpu-fleet:fleets"] = {name: copy.deepcopy(chat) for name in "abcde"}
        config["gpu-fleet:models"]["other"] = {"manifest": "other.json", "source": "other"}

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

    def machines(self) -> dict[str, dict[str, Any]]:
        """Return what state knows of each instance's machine, by the instance's name."""
        return {
            row["outputs"]["name"]: row["outputs"]["machine"]
            for row in self.stack.resources()
            if "machine" in row.get("outputs", {})
        }

    def raise_price(self, name: str, usd_per_hour: float) -> None:
        """Have the landlord raise an instance's price, and state learn of it."""
        market = self.cloud.sandbox.market
        dear = next(one for one in market.all() if one.id == self.ids()[name])
        dear.meter.reprice(market.clock.now(), usd_per_hour)
        self.stack.refresh()

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


def rows_of(keys: Mapping[str, Any], prefix: str) -> set[Row]:
    """The rows of the table that keys play, which are written down or nothing to an instance."""
    names = {f"{prefix}{key}" for key in keys}
    names |= {f"{prefix}{key}.{inner}" for key, value in keys.items() if isinstance(value, dict) for inner in value}
    return {
        (edit.key, edit.when)
        for edit in EDITS
        if edit.key in names and (edit.says or effect(edit)) not in ("another machine", "in place")
    }


class Rehearsal(Table):
    """A table whose play changes nothing."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._begin(config)

    def ids(self) -> dict[str, int]:
        fleets = self.config["gpu-fleet:fleets"].items()
        return {f"{name}-{number}": 1 for name, fleet in fleets for number in range(fleet.get("replicas", 1))}

    def machines(self) -> dict[str, dict[str, Any]]:
        return {name: {"country": "US", "gpuName": "RTX 4090"} for name in self.ids()}

    def raise_price(self, name: str, usd_per_hour: float) -> None:
        """Do nothing."""

    def play(self, **expected: str) -> None:
        """Do nothing."""


def play_all(table: Table) -> None:
    """Play every row that is not played elsewhere."""
    machines = table.machines()
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

    table.raise_price("e-0", 1.8)
    seen = table.machines()["b-0"]
    other = "RTX 3090" if seen["gpuName"] == "RTX 4090" else "RTX 4090"
    table.set("fleets.b.gpu.name", other, (f"{FLEET}gpu.name", "the running GPU is no longer named"))
    table.set("fleets.e.maxUsdPerHour", 1.5, (f"{FLEET}maxUsdPerHour", "the instance costs more"))
    table.play(b0="another machine", e0="another machine")

    for name in "bcde":
        table.set(f"fleets.{name}.replicas", 0)
    table.play()
    for path, value in (
        ("rotation.tokens", 1),
        ("rotation.ssh", 1),
        ("rotation.certificates", 1),
        ("rotation.ca", 1),
        ("models.tiny.manifest", "other.json"),
    ):
        table.set(path, value, (path.replace(".tiny.", ".<name>."), ""))
        if path == "models.tiny.manifest":
            table.set("models.tiny.source", "other", ("models.<name>.source", ""))
        table.play(a0="in place")

    url = str(table.config["gpu-fleet:market"]["url"])
    of_hosts = str(table.config["gpu-fleet:market"]["hostUrl"])
    table.set("market.hostUrl", f"{of_hosts}/", ("market.hostUrl", "no host of the fleet ends itself"))
    table.play(a0="written down")
    for key, value in (("idleMinutes", 600), ("maxHours", 48), ("lease.minutes", 600)):
        table.set(f"fleets.a.{key}", value, (f"{FLEET}{key}", ""))
    table.play(a0="in place")

    table.set("market.hostUrl", of_hosts, ("market.hostUrl", "hosts of the fleet end themselves"))
    table.play(a0="in place")

    for key, value in WRITTEN_DOWN.items():
        table.set(f"fleets.a.{key}", value)
    table.set("fleets.a.regions", [machines["a-0"]["country"], "Germany"])
    table.played |= rows_of({**WRITTEN_DOWN, "regions": []}, FLEET)
    table.play(a0="written down")

    for key, value in OF_THE_STACK.items():
        table.set(key, value)
    table.set("models.tiny.comparedWith", ["openai/gpt-4o-mini"], ("models.<name>.comparedWith", ""))
    table.played |= rows_of(OF_THE_STACK, "")
    table.play(a0="written down")

    table.set("fleets.a.replicas", 2, (f"{FLEET}replicas", ""))
    # How many there are stands in every instance's inputs, and no rule asks it.
    table.play()
    assert table.ids().keys() == {"a-0", "a-1"}
    table.set("fleets.a.replicas", 1)
    table.play()

    table.config["gpu-fleet:metricsKey"] = "sandbox-metrics-key"
    table.set("metrics", {"url": "https://metrics.example:9443", "intervalSeconds": 15})
    table.play(a0="in place")
    table.set("metrics.url", "https://others.example:9443", ("metrics.url", ""))
    table.play(a0="in place")
    table.set("metrics.intervalSeconds", 7, ("metrics.intervalSeconds", ""))
    table.play(a0="in place")

    table.set("fleets.a.hosting", "any")
    table.set("market.url", url.replace("127.0.0.1", "localhost"), ("market.url", ""))
    table.play(a0="another machine")


def missing(played: set[Row]) -> set[Row]:
    """Return the rows of the page that are neither played nor elsewhere."""
    rows = {(edit.key, edit.when) for edit in EDITS}
    return {row for row in rows - played if not row[0].startswith(tuple(ELSEWHERE))}


def unknown(played: set[Row]) -> set[Row]:
    """Return the rows that a play names and the page does not have."""
    return played - {(edit.key, edit.when) for edit in EDITS}
