"""A revision as plain files in a folder, from a stack's config: what a review reads of it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from review.tree import WorkTree

NAME = "test"


class Plain(yaml.SafeDumper):
    """Writes values out, without anchors."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Write each value out."""
        return True


def plain_tree(folder: Path, config: Mapping[str, Any], manifests: Mapping[str, Path]) -> WorkTree:
    """Write a config as the stack NAME, with manifests by their paths in the project; return the folder as a revision."""
    shutil.rmtree(folder, ignore_errors=True)
    for path, source in manifests.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / path)
    (folder / f"Pulumi.{NAME}.yaml").write_text(yaml.dump({"config": dict(config)}, Dumper=Plain))
    return WorkTree(folder)
