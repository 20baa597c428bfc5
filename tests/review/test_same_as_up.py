"""Verdicts of generated edits are those of the provider's own diff of state and program, played over several updates.

tests/engine/test_review_is_up.py asks the real engine. Here the state is made of the program's inputs, and nothing is rented.
"""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from components.instance_inputs import FleetParts, OpaqueValues, instance_inputs
from components.models import Model, load_models
from config.reading import load, own_values
from config.rotation import RotationConfig
from config.stack import StackConfig
from providers.identity.tokens import token_for
from providers.vast.lifecycle import compare
from providers.vast.pulumi_state import IDENTITY, INSTANCE
from providers.vast.settings import InstanceSettings
from providers.vast.written import read_settings
from review.publishing import ACCESS, standing_of
from review.revision import StackRevision, read_revision
from review.tree import WorkTree
from review.verdicts import Judge
from tests.doubles.config_edits import COUNTRIES, GPUS, edited
from tests.doubles.dynamic_process import SECRET, SIGNATURE
from tests.doubles.plain_tree import Plain
from tests.doubles.reviewed_repository import manifest

SEEDS, ROUNDS, LANES = 12, 5, 5  # 300 edits of fleets
KIT = manifest("kit", 0.05)
CONFIG: dict[str, Any] = {
    "gpu-fleet:market": {"url": "http://127.0.0.1:1", "hostUrl": "http://market.sandbox.internal", "timeScale": 30},
    "gpu-fleet:store": {"endpoint": "http://127.0.0.1:2", "region": "sandbox", "bucket": "test-bucket"},
    "gpu-fleet:models": {"tiny": {"manifest": "tiny.json"}, "other": {"manifest": "other.json"}},
    **{f"gpu-fleet:{key}": {"secure": key} for key in ("vastApiKey", "storeAccessKey", "storeSecretKey")},
    "gpu-fleet:fleets": {
        f"f{number}": {
            "model": "tiny",
            "gpu": {"name": list(GPUS)},
            "maxUsdPerHour": 2.0,
            "diskGb": 20,
            "image": "vllm/vllm-openai-cpu:v0.32.0",
        }
        for number in range(LANES)
    },
}


class Program:
    """A stack's program and state, as the engine would keep it, with rents by chance."""

    def __init__(self, folder: Path, random: Random) -> None:
        self.folder, self.random = folder, random
        self.state: dict[str, dict[str, Any]] = {}  # outputs by name
        self.rotation: dict[str, Any] = {}
        for name, size in (("tiny", 1.0), ("other", 1.5)):
            (folder / f"{name}.json").write_text(manifest(name, size).to_json())

    def inputs(self, config: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Return what the program passes for each instance."""
        values = {key: value for key, value in own_values(config).items() if key in StackConfig.model_fields}
        stack = load(values, self.folder)
        models = load_models(stack, self.folder)
        return {
            f"{fleet}-{index}": self._inputs(stack, fleet, models[section.model], index)
            for fleet, section in stack.fleets.items()
            for index in section.indexes
        }

    def _inputs(self, stack: StackConfig, fleet: str, model: Model, index: int) -> dict[str, Any]:
        name, rotation = f"{fleet}-{index}", stack.rotation
        opaque = OpaqueValues(
            label=f"gpu-fleet/abc/{name}",
            token=token_for("5e" * 32, name, rotation.tokens),
            ssh_public_key=f"ssh-ed25519 REAL{rotation.ssh}",
            ssh_private_key=f"a real key {rotation.ssh}",
            ca_certificate=f"a real certificate {rotation.ca}",
            ca_key="a real key",
        )
        section = stack.fleets[fleet]
        parts = FleetParts(name=fleet, fleet=section, stack=stack, model=model.manifest, kit=KIT, pins=model.pins)
        return instance_inputs(parts, opaque, name, index)

    def does(self, config: dict[str, Any]) -> dict[str, str]:
        """Return what `up` does with each instance, by the provider's own diff, and keep the state that it leaves."""
        wanted, found = self.inputs(config), {}
        for name in self.state.keys() | wanted.keys():
            old, new = self.state.get(name), wanted.get(name)
            if old is None and new is not None:
                found[name], self.state[name] = "rented", self._rented(new)
            elif new is None:
                found[name] = "given back"
                del self.state[name]
            elif old is not None:
                found[name] = self._changed(name, old, new)
        self.rotation = RotationConfig.model_validate(config.get("gpu-fleet:rotation", {})).model_dump()
        return found

    def _changed(self, name: str, old: dict[str, Any], new: dict[str, Any]) -> str:
        judged = compare(read_settings(old)[0], InstanceSettings.from_props(new), old)
        if judged.replace:
            self.state[name] = self._rented(new)
            return "another machine"
        if judged.any:
            self.state[name] = {**old, **new}
        return "in place" if judged.in_place else "recorded" if judged.recorded else "unchanged"

    def _rented(self, inputs: dict[str, Any]) -> dict[str, Any]:
        wishes = InstanceSettings.from_props(inputs).requirements
        price = round(self.random.uniform(0.2, wishes.max_usd_per_hour), 4)
        machine = {
            "id": 7,
            "gpuName": self.random.choice([*wishes.market_gpus, ""]),
            "gpuCount": wishes.gpu_count,
            "diskGb": inputs["diskGb"],
            "country": self.random.choice([*(wishes.countries or COUNTRIES), ""]),
        }
        charged = self.random.choice([None, price, round(price * 1.3, 4)])
        return {
            **inputs,
            "machine": machine,
            "usdPerHour": price,
            "chargedUsdPerHour": charged,
            "phases": {},
            "drift": [],
        }

    def deployment(self) -> dict[str, Any]:
        """Return the state as `pulumi stack export` writes it, secrets encrypted."""
        rows = [
            {"type": INSTANCE, "id": "7", "inputs": {"label": outs["label"]}, "outputs": _encrypted(outs)}
            for outs in self.state.values()
        ]
        identity = {"type": IDENTITY, "id": "abc", "inputs": {"rotation": self.rotation}, "outputs": {"stackId": "abc"}}
        return {"resources": [identity, *json.loads(json.dumps(rows))]}

    def revision(self, config: dict[str, Any]) -> StackRevision:
        """Read a config as a review does."""
        (self.folder / "Pulumi.test.yaml").write_text(yaml.dump({"config": config}, Dumper=Plain))
        return read_revision(WorkTree(self.folder), "test")


def _encrypted(outs: dict[str, Any]) -> dict[str, Any]:
    access = {
        key: {SIGNATURE: SECRET, "ciphertext": "x"} if key in ACCESS else one for key, one in outs["access"].items()
    }
    return {**outs, "access": access}


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_review_says_what_the_provider_s_diff_says(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    program, config, applied = Program(tmp_path, random), CONFIG, 0
    program.does(config)
    for number in range(ROUNDS):
        after, keys = edited(config, random, LANES)
        standing = standing_of("test", program.deployment(), {}, 1_000.0)
        judge = Judge(program.revision(config), program.revision(after), standing)
        says = {one.name: one.action.value for one in judge.instances()}
        if random.random() < 0.3:  # merged and not applied: the next review is of a state that is behind
            config = after
            continue
        assert says == program.does(after), f"seed {seed}, round {number}: {keys}"
        config, applied = after, applied + 1
    assert applied
