"""Renders docs/config.md from the models, so that the page cannot fall behind the code.

`python -m config.page` prints the page; a test compares it with the committed one.
"""

import inspect
import types
import typing
from typing import Any

from pydantic import AliasChoices, BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from config.base import PROJECT
from config.secret_keys import ALL_SECRETS
from config.stack import SECTIONS, StackConfig


def page() -> str:
    """Return docs/config.md."""
    lines = [
        "# Configuration",
        "",
        "Every key of stack config, generated from the models in `config/`.",
        f"Keys stand in `Pulumi.<stack>.yaml` as `{PROJECT}:<section>`; anything that is not listed here is refused.",
        "",
        "## Secrets",
        "",
        "| key | meaning | set with |",
        "| --- | --- | --- |",
        *(f"| `{key}` | {text} | `pulumi config set --secret {PROJECT}:{key}` |" for key, text in ALL_SECRETS.items()),
    ]
    for path, model in SECTIONS.items():
        lines += ["", f"## {path}", "", inspect.cleandoc(str(model.__doc__)), "", "| key | type | default | meaning |"]
        lines += ["| --- | --- | --- | --- |"]
        fields = sorted(
            model.model_fields.items(),
            key=lambda item: (not item[1].is_required(), item[0] not in model.__annotations__),
        )
        lines += [_row(name, field) for name, field in fields]
    return "\n".join(lines) + "\n"


def top_level() -> dict[str, str]:
    """Return the meaning of each top-level key, secrets included: the descriptions that Pulumi.yaml repeats."""
    sections = {name: str(field.description) for name, field in StackConfig.model_fields.items()}
    return {**sections, **ALL_SECRETS}


def _row(name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"`{_shown(_default(field))}`"
    return f"| `{field.alias or name}` | {_type(field.annotation)} | {default} | {field.description}{_older(field)} |"


def _older(field: FieldInfo) -> str:
    choices = field.validation_alias
    older = (
        [f"`{name}`" for name in choices.choices if name != field.alias] if isinstance(choices, AliasChoices) else []
    )
    return f" Older spelling: {', '.join(older)}." if older else ""


def _default(field: FieldInfo) -> Any:
    return field.default if field.default is not PydanticUndefined else field.get_default(call_default_factory=True)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, BaseModel):
        return "its defaults"
    return str(value).lower() if isinstance(value, bool) else str(list(value) if isinstance(value, tuple) else value)


def _type(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin is tuple:
        return f"list of {_type(typing.get_args(annotation)[0])}"
    if origin is typing.Annotated:
        return _type(typing.get_args(annotation)[0])
    if origin is dict:
        return "map"
    if origin in {types.UnionType, typing.Union}:
        return " or ".join(_type(arg) for arg in typing.get_args(annotation) if arg is not type(None))
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in typing.get_args(annotation))
    words = {int: "integer", float: "number", str: "text", SecretStr: "secret", bool: "true or false"}
    return words.get(annotation, "section")


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 -- the page is this command's output
