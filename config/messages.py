"""Writes the operator's sentences about mistakes in stack config: each names the key, the mistake, and the remedy."""

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from config.base import PROJECT, path_of
from config.masking import HIDDEN
from config.secret_leaves import SecretLeaves
from config.stack import SECTIONS, StackConfig

NAMED = ("models", "fleets", "clients")  # sections whose keys are names


class ConfigError(Exception):
    """Stack config cannot be used. The message names each key, its mistake, and the remedy."""


def list_mistakes(mistakes: list[str]) -> str:
    """Return one message about all mistakes: a line for one, else a heading and a line each."""
    if len(mistakes) == 1:
        return f"Stack config: {mistakes[0]}"
    return "\n".join(["Stack config has mistakes:", *(f"  {mistake}" for mistake in mistakes)])


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the sentence about a top-level key that does not exist, with the key that was probably meant."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {PROJECT}:{near[0]}?" if near else f"known keys are {', '.join(sorted(known))}."
    return f"{PROJECT}:{key} is not a known key; {hint}"


def describe_error(row: Any, secret_leaves: SecretLeaves) -> str:
    """Return the sentence about one error of pydantic; a secret value is not repeated."""
    *parents, last = row["loc"]
    path = path_of(*row["loc"])
    if row["type"] == "extra_forbidden":
        model = _model_at([str(part) for part in parents])
        names = {field.alias or name for name, field in model.model_fields.items()} if model else set()
        near = difflib.get_close_matches(str(last), names, n=1, cutoff=0.5)
        return f"{path} is not a known key; " + (
            f"did you mean {near[0]}?" if near else f"known keys here are {', '.join(sorted(names))}."
        )
    if row["type"] == "missing":
        return f"{path} is missing; set it with: pulumi config set --path '{path}' VALUE"
    shown = row["input"] if isinstance(row["input"], str | int | float | bool) else type(row["input"]).__name__
    if secret_leaves.holds(row["input"]):
        shown = HIDDEN
    return f"{path} is {shown!r}: {row['msg'][0].lower()}{row['msg'][1:]}."


def _model_at(path: list[str]) -> type[BaseModel] | None:
    if not path:
        return StackConfig
    named = [path[0], "<name>", *path[2:]] if path[0] in NAMED else path
    return SECTIONS.get(".".join(named))
