"""The config page and Pulumi.yaml say what the models say."""

from pathlib import Path

import pytest
import yaml

from components import changes_page
from config.dialect import read_yaml
from config.page import page, top_level
from config.stack import SECTIONS

PROJECT = Path(__file__).parents[2]


def test_the_config_page_is_the_generated_one() -> None:
    assert (PROJECT / "docs/config.md").read_text() == page(), "run: python -m config.page > docs/config.md"


def test_pulumi_yaml_describes_every_top_level_key() -> None:
    described = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]

    assert {key: entry["description"] for key, entry in described.items()} == top_level()


def test_the_dev_stack_holds_no_secret() -> None:
    config = read_yaml((PROJECT / "Pulumi.dev.yaml").read_text())["config"]

    assert not [key for key in config if key.lower().endswith("key")]


def test_the_page_of_changes_is_the_computed_one_and_leaves_no_key_out() -> None:
    assert (PROJECT / "docs/changes.md").read_text() == changes_page.page(), (
        "run: python -m components.changes_page > docs/changes.md"
    )
    keys = {
        f"{path}.{field.alias or name}"
        for path, model in SECTIONS.items()
        for name, field in model.model_fields.items()
    }
    assert {edit.key for edit in changes_page.EDITS} == keys - {
        "cluster.backups",
        "cluster.k3s",
        "fleets.<name>.gpu",
        "fleets.<name>.lease",
        "fleets.<name>.preflight",
        "fleets.<name>.registry",
        "fleets.<name>.rollout",
    }


@pytest.mark.parametrize("edit", changes_page.EDITS, ids=lambda edit: f"{edit.key} {edit.when}")
def test_no_edit_of_a_key_goes_unnoticed(edit: changes_page.Edit) -> None:
    assert edit.says or changes_page.effect(edit) != "nothing"
