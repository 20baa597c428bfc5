"""What commands know of a stack: its config as Pulumi tells it, its requirements, and no secret in any message."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.context import CommandContext, open_context, read_config, requirements_for
from cli.errors import CommandError
from config.messages import ConfigError
from config.stack import StackConfig


@pytest.mark.parametrize(
    ("image", "own", "cuda"),
    [("vllm/vllm-openai:v0.32.0", 0, 13.0), ("vllm/vllm-openai:v0.32.0-cu129", 0, 12.9), ("mine:1", 12.4, 12.4)],
)
def test_the_commands_wish_what_the_provider_does(
    monkeypatch: pytest.MonkeyPatch, image: str, own: float, cuda: float
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    chat = {
        "model": "tiny",
        "gpu": {"name": "h100"},
        "maxUsdPerHour": 3,
        "image": image,
        "minCuda": own,
        "regions": ["us"],
        "hosting": "datacenter",
        "replicas": 3,
    }
    store = {"endpoint": "https://s3.example", "region": "r", "bucket": "bucket"}
    models = {"tiny": {"manifest": "models/tiny.json"}}
    stack = StackConfig.model_validate({"store": store, "models": models, "fleets": {"chat": chat}})

    requirements = requirements_for(stack, stack.fleets["chat"])

    assert (requirements.min_cuda, requirements.instances, requirements.datacenter, requirements.regions) == (
        cuda,
        3,
        True,
        ("US",),
    )
    assert requirements.gpu_names == ("H100 SXM", "H100 PCIE", "H100 NVL")


KEY = "0123456789abcdef-of-wandb"
SECTIONS: dict[str, Any] = {
    "fleets": {"chat": {"model": "tiny", "gpu": {"name": "RTX 4090"}, "maxUsdPerHour": 0.5, "replicas": KEY}},
    "store": {"endpoint": "http://127.0.0.1:2", "region": "fsn1", "bucket": "models"},
    "models": {"tiny": {"manifest": "m.json"}},
}


def opened(folder: Path, sections: dict[str, Any], secret: str) -> CommandContext:
    """A context as Pulumi's command line tells of the stack; one section has a secret leaf, which the file does not mark."""
    rows: dict[str, Any] = {
        f"gpu-fleet:{name}": {"value": json.dumps(value), "objectValue": value, "secret": name == secret}
        for name, value in sections.items()
    }
    rows["gpu-fleet:vastApiKey"] = {"value": "key of the market", "secret": True}
    return open_context("me/gpu-fleet/dev", {}, run=lambda _: json.dumps(rows), project=folder)


def test_no_message_beside_the_engine_shows_a_secret_leaf(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read_config(opened(tmp_path, SECTIONS, "fleets"), None)

    assert "fleets.chat.replicas is '[secret]'" in str(refused.value)


def test_the_stacks_file_tells_which_leaf_is_secret_beside_the_engine_too(tmp_path: Path) -> None:
    fleet = {**SECTIONS["fleets"]["chat"], "replicas": "many", "environment": {"WANDB_API_KEY": KEY}}
    marked = {"chat": {**fleet, "environment": {"WANDB_API_KEY": {"secure": "v1:a:b"}}}}
    (tmp_path / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": {"gpu-fleet:fleets": marked}}))

    context = opened(tmp_path, {**SECTIONS, "fleets": {"chat": fleet}}, "fleets")

    assert context.secret_leaves.values == {KEY}
    with pytest.raises(ConfigError, match=r"fleets.chat.replicas is 'many'"):
        read_config(context, None)


@pytest.mark.parametrize("market", [KEY, {"timeScale": KEY}, {"timeScale": {"a": KEY}}, [KEY]])
def test_a_market_that_cannot_be_read_is_refused_without_its_value(tmp_path: Path, market: Any) -> None:
    with pytest.raises(CommandError, match=r"gpu-fleet:market") as refused:
        opened(tmp_path, {**SECTIONS, "market": market}, "market")

    assert KEY not in str(refused.value)


@pytest.mark.parametrize(
    ("limits", "minutes"), [({"bootMinutes": 60}, 60), ({"bootMinutes": "a"}, 40), ([KEY], 40), ({}, 40)]
)
def test_a_command_waits_for_a_boot_as_long_as_config_says(tmp_path: Path, limits: Any, minutes: float) -> None:
    assert opened(tmp_path, {**SECTIONS, "limits": limits}, "limits").limits.boot_seconds == minutes * 60
