"""The config page and Pulumi.yaml say what the models say."""

from pathlib import Path

import yaml

from components.reference import page, top_level

PROJECT = Path(__file__).parents[2]


def test_the_config_page_is_the_generated_one() -> None:
    assert (PROJECT / "docs/config.md").read_text() == page(), "run: python -m components.reference > docs/config.md"


def test_pulumi_yaml_describes_every_top_level_key() -> None:
    described = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]

    assert {key: entry["description"] for key, entry in described.items()} == top_level()


def test_the_dev_stack_holds_no_secret() -> None:
    config = yaml.safe_load((PROJECT / "Pulumi.dev.yaml").read_text())["config"]

    assert not [key for key in config if key.lower().endswith("key")]
