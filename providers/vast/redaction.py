"""Replace known secrets in all text that leaves a provider process. All such text passes through here."""

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel, SecretStr

from config.masking import cleaned, forms
from providers.vast.settings import InstanceSettings


@dataclass(frozen=True)
class Redaction:
    """The known secrets of one call."""

    secrets: tuple[str, ...]

    @classmethod
    def of(cls, *sources: str | Mapping[str, Any] | BaseModel) -> "Redaction":
        """Collect secrets: plain strings, and the secret fields of property maps and models at any depth."""
        return cls(forms(secret for source in sources for secret in _secrets_of(source)))

    def clean(self, text: str) -> str:
        """Return the text with every known secret, every line of one, and every URL's password replaced."""
        return cleaned(text, self.secrets)


@cache
def secret_fields(model: type[BaseModel]) -> frozenset[str]:
    """Return the property names of all SecretStr fields in a model and in its nested models."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        parts = list(_parts(field.annotation))
        if SecretStr in parts:
            found.add(field.alias or name)
        for part in parts:
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= secret_fields(part)
    return frozenset(found)


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for argument in typing.get_args(annotation):
        yield from _parts(argument)


def _secrets_of(source: Any) -> Iterator[str]:
    if isinstance(source, str):
        yield source
    elif isinstance(source, BaseModel):
        yield from _within_model(source)
    else:
        yield from _within_map(source)


def _within_model(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _within_model(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _within_model(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _within_model(item)


def _within_map(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item) if key in secret_fields(InstanceSettings) else _within_map(item)
    elif isinstance(value, list):
        for item in value:
            yield from _within_map(item)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)
