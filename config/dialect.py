"""Reads YAML 1.2 as Pulumi's own loader reads stack config: `NO` is Norway, and `on` is a word."""

import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError


class DialectError(ValueError):
    """The text is no YAML."""


class _Constructor(SafeConstructor):
    """Follows Pulumi in its two departures from YAML 1.2: `0777` is octal, and a date becomes a text of its own form."""

    def number(self, node: Any) -> int | float:
        """Return a whole number, or a float if it does not fit in 64 bits, as in JSON."""
        found = int(node.value, 8) if OCTAL.match(node.value) else self.construct_yaml_int(node)
        return found if abs(found) < 2**64 else float(found)

    def date(self, node: Any) -> str:
        """Return a date in the form that Pulumi hands to programs."""
        return f"{self.construct_yaml_timestamp(node):%Y-%m-%d %H:%M:%S} +0000 UTC"


OCTAL = re.compile(r"[-+]?0[0-7]+\Z")
_Constructor.add_constructor("tag:yaml.org,2002:int", _Constructor.number)
_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.date)


def read_yaml(text: str) -> Any:
    """Return the document as mappings, lists, texts, numbers, booleans and None; every key is a text. Raises DialectError."""
    loader = YAML(typ="safe", pure=True)
    loader.Constructor = _Constructor
    try:
        return _with_text_keys(loader.load(text))
    except (YAMLError, ValueError, TypeError, OverflowError) as error:
        raise DialectError(" ".join(str(error).split())) from None


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_key(key): _with_text_keys(item) for key, item in value.items()}
    return [_with_text_keys(item) for item in value] if isinstance(value, list) else value


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return str(key).lower()
    return "null" if key is None else str(key)
