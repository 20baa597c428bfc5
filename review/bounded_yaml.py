"""Reads YAML of other authors: bounded in size and depth, and without aliases, anchors and tags."""

from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent

from config.dialect import DialectError, read_yaml

MOST_BYTES = 256 * 1024
DEEPEST = 40


class UnfitYaml(ValueError):
    """The text is not read. The message says why, without any of the text."""


def read_bounded(text: str) -> Any:
    """Return the document as `config.dialect.read_yaml` does. Raises UnfitYaml."""
    if len(text) > MOST_BYTES or len(text.encode(errors="surrogatepass")) > MOST_BYTES:
        raise UnfitYaml(f"it has more than {MOST_BYTES // 1024} KB")
    try:
        _look_through(text)
        found = read_yaml(text)
    except (YAMLError, DialectError) as error:
        mark = getattr(error, "problem_mark", None)
        raise UnfitYaml(f"it is no YAML{f' (line {mark.line + 1})' if mark else ''}") from None
    if not all(_is_whole(each) for each in _texts(found)):
        raise UnfitYaml("a text of it has half a character, such as \\ud800, which nothing can print")
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _look_through(text: str) -> None:
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor is not None):
            raise UnfitYaml(f"line {event.start_mark.line + 1} has an anchor or an alias; write the value out")
        if isinstance(event, NodeEvent) and getattr(event, "tag", None) is not None:
            raise UnfitYaml(f"line {event.start_mark.line + 1} has a tag; stack config has none")
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEEPEST:
            raise UnfitYaml(f"line {event.start_mark.line + 1} is nested deeper than {DEEPEST} levels")
