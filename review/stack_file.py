"""Reads a stack's file of one revision as Pulumi hands it to the program, with opaque texts in place of ciphertexts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.base import PROJECT
from config.masking import HIDDEN
from config.reading import find_secret_leaves, own_values
from config.secret_keys import ALL_SECRETS
from config.secret_leaves import NONE, SecretLeaves, is_ciphertext
from config.stack import StackConfig
from review.bounded_yaml import UnfitYaml, read_bounded
from review.tree import Tree, UnfitFile

PROJECT_FILE = "Pulumi.yaml"
ENGINE_KEYS = ("secretsprovider", "encryptionsalt", "encryptedkey", "environment")  # of a stack's file, beside `config`
DEFAULT_FORM = HIDDEN + " {}"
# Keys whose values have a form of their own, which the text in place of a ciphertext must have, too.
FORMS: dict[tuple[str, ...], str] = {
    ("store", "bucket"): "secret-{}",
    ("store", "endpoint"): "https://secret-{}.invalid",
    ("store", "hostEndpoint"): "https://secret-{}.invalid",
    ("store", "referenceUrl"): "https://secret-{}.invalid",
    ("metrics", "url"): "https://secret-{}.invalid",
    ("market", "url"): "https://secret-{}.invalid",
}


class NoStackFile(ValueError):
    """The revision has no such stack, or its file is not read. The message is a sentence for the reviewer."""


@dataclass(frozen=True)
class StackFile:
    """A stack's file. `values`: of our own keys, as the program gets them; a ciphertext is an opaque text.

    `secrets`: a mark of each secret key's value, which differs if the value was set anew. `engine`: what the engine reads
    of the file beside config, such as the secrets provider. `project`: the same of Pulumi.yaml.
    """

    path: str
    text: str
    values: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    secret_leaves: SecretLeaves = NONE
    engine: Mapping[str, Any] = field(default_factory=dict)
    project: Mapping[str, Any] = field(default_factory=dict)


def read_stack_file(tree: Tree, stack: str) -> StackFile:
    """Read `Pulumi.<stack>.yaml` and the project's own config of a revision. Raises NoStackFile."""
    path = f"Pulumi.{stack.rpartition('/')[2]}.yaml"
    if not tree.has(path):
        raise NoStackFile(f"{path} is not in {tree.name}")
    try:
        text = tree.text(path)
        document = read_bounded(text) or {}
        project = read_bounded(tree.text(PROJECT_FILE)) if tree.has(PROJECT_FILE) else {}
    except (UnfitFile, UnfitYaml) as error:
        raise NoStackFile(f"{path} of {tree.name} is not read: {error}") from None
    config = document.get("config") if isinstance(document, Mapping) else None
    if not isinstance(config or {}, Mapping):
        raise NoStackFile(f"{path} of {tree.name} is not read: config is no mapping")
    project = project if isinstance(project, Mapping) else {}
    written = {**project_values(project), **own_values(config or {})}
    values = {key: opaque(value, (key,)) for key, value in written.items()}
    secret = [key for key in StackConfig.model_fields if key in written and _has_ciphertext(written[key])]
    return StackFile(
        path,
        text,
        values,
        {key: _mark(written[key]) for key in ALL_SECRETS if key in written},
        find_secret_leaves(values, secret, written),
        {key: document[key] for key in ENGINE_KEYS if key in document},
        {key: value for key, value in project.items() if key not in ("config", "description")},
    )


def project_values(project: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that Pulumi.yaml gives to our keys in all stacks."""
    rows = project.get("config")
    if not isinstance(rows, Mapping):
        return {}
    spelt = {key if ":" in key else f"{PROJECT}:{key}": row for key, row in rows.items()}
    given = {key: _given(row) for key, row in spelt.items()}
    return own_values({key: value for key, value in given.items() if value is not None})


def opaque(value: Any, place: tuple[str, ...] = ()) -> Any:
    """Return a value with a text in place of each ciphertext. Equal texts mean equal ciphertexts; none opens anything."""
    if is_ciphertext(value):
        return FORMS.get(place, DEFAULT_FORM).format(_mark(value))
    if isinstance(value, Mapping):
        return {key: opaque(item, (*place, str(key))) for key, item in value.items()}
    return [opaque(item, (*place, "")) for item in value] if isinstance(value, list) else value


def _given(row: Any) -> Any:
    """Return what a row of the project's config gives: a plain value, or a declaration with a value or a default."""
    if not isinstance(row, Mapping):
        return row
    return row.get("value", row.get("default"))


def _mark(value: Any) -> str:
    return hashlib.sha256(str(value).encode()).hexdigest()[:16]


def _has_ciphertext(value: Any) -> bool:
    if is_ciphertext(value):
        return True
    if isinstance(value, Mapping):
        return any(map(_has_ciphertext, value.values()))
    return isinstance(value, list) and any(map(_has_ciphertext, value))
