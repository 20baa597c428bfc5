"""A stack's config file alone, without Pulumi: what the exporter in a container works with, and its command line."""

from pathlib import Path

import pytest
import yaml

from config.messages import ConfigError
from monitoring.exporter.__main__ import main
from monitoring.exporter.account import read_account

CONFIG = {
    "gpu-fleet:market": {"url": "http://127.0.0.1:1", "timeScale": 30},
    "gpu-fleet:vastApiKey": {"secure": "v1:abc:def"},
    "gpu-fleet:store": {"endpoint": "http://127.0.0.1:2", "region": "fsn1", "bucket": "models"},
    "gpu-fleet:storeAccessKey": {"secure": "v1:abc:def"},
    "gpu-fleet:budget": {"usdPerDay": 5},
}
ENVIRON = {"VAST_API_KEY": "of the environment", "STORE_ACCESS_KEY": "access", "STORE_SECRET_KEY": "secret"}


def file(folder: Path, text: str = "") -> Path:
    made = folder / "Pulumi.dev.yaml"
    made.write_text(text or yaml.safe_dump({"config": CONFIG}))
    return made


def test_what_is_encrypted_comes_from_the_environment(tmp_path: Path) -> None:
    account = read_account(file(tmp_path), ENVIRON)

    assert account.market.scale == 30
    assert (account.store_keys.access, account.store_keys.secret) == ("access", "secret")
    assert account.stack.budget.usd_per_day == 5


def test_a_key_of_its_own_goes_before_the_stacks(tmp_path: Path) -> None:
    assert read_account(file(tmp_path), {}, "own").market
    with pytest.raises(ConfigError, match="No key of the market is known"):
        read_account(file(tmp_path), {})


@pytest.mark.parametrize("text", ["[]", "config: [1]", "{", "config", "a: 1"])
def test_what_is_no_config_file_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"Pulumi.dev.yaml is no config file of a stack"):
        read_account(file(tmp_path, text), ENVIRON)
    with pytest.raises(ConfigError, match="is no config file"):
        read_account(tmp_path / "missing.yaml", ENVIRON)


def test_a_file_that_is_newer_or_has_encrypted_leaves_is_read(tmp_path: Path) -> None:
    fleet = """
        model: tiny
        gpu: {name: RTX 4090, sparkle: 1}
        maxUsdPerHour: 0.5
        reliability: {secure: v1:a:b}
        regions: [NO]
        environment: {WANDB_API_KEY: {secure: v1:a:b}, A: 1}
        registry: {server: ghcr.io, user: me, password: {secure: v1:a:b}}
"""
    text = yaml.safe_dump({"config": {**CONFIG, "gpu-fleet:ofTomorrow": {"a": 1}}})
    text += f"  gpu-fleet:models: {{tiny: {{manifest: m.json}}}}\n  gpu-fleet:fleets:\n    chat:{fleet}"

    found = read_account(file(tmp_path, text), ENVIRON).stack

    chat = found.fleets["chat"]
    assert (chat.regions, chat.environment, chat.reliability) == (
        ("NO",),
        {"WANDB_API_KEY": "[secret]", "A": "1"},
        0.95,
    )


def test_a_file_that_cannot_be_read_ends_the_program_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(tmp_path / "missing.yaml")]) == 1

    told = capsys.readouterr().err
    assert told.startswith("exporter: ")
    assert "is no config file of a stack" in told
    assert told.count("\n") == 1
