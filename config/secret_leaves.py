"""Secret leaves of structured stack config, which stay secret in state, messages and files.

Pulumi hands a program a section with a secret leaf in plain, and does not say which leaf it was. The stack's own file
marks it (`secure: ...`). If that file does not tell, every leaf of the section counts as secret.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.masking import HIDDEN, SHORTEST, cleaned, forms, masked

Place = tuple[str, ...]


@dataclass(frozen=True)
class SecretLeaves:
    """The leaves that are secret. `places`: their paths, the section first; `values`: their texts.

    `marked`: the stack's file names each of them. If not, they are all leaves of a section.
    """

    places: tuple[Place, ...] = ()
    values: frozenset[str] = frozenset()
    marked: bool = True

    @classmethod
    def of(cls, sections: Mapping[str, Any], file: Mapping[str, Any]) -> "SecretLeaves":
        """Find the secret leaves.

        `sections`: those with a secret leaf, in plain; `file`: the sections as the stack's file has them.
        """
        places: list[Place] = []
        marked = True
        for name, plain in sections.items():
            found = list(_marks(file.get(name), (name,)))
            if not found or _without(plain, found, (name,)) != _without(file.get(name), found, (name,)):
                found, marked = [place for place, _ in leaves(plain, (name,))], False
            places += found
        texts = {
            text for place, text in leaves(dict(sections), ()) if any(place[: len(each)] == each for each in places)
        }
        return cls(tuple(places), frozenset(texts - {""}), marked)

    @property
    def sections(self) -> frozenset[str]:
        """The sections with a secret leaf."""
        return frozenset(place[0] for place in self.places)

    def holds(self, value: Any) -> bool:
        """Say whether a leaf is secret or contains a secret."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return False
        text = str(value)
        return text in self.values or masked(text) != text or any(part in text for part in self._long)

    def among(self, value: Any) -> list[str]:
        """Return the secrets that are leaves of the value or parts of them, in order."""
        texts = [text for _, text in leaves(value, ())]
        return sorted(
            {one for one in self.values for text in texts if one == text or (one in self._long and one in text)}
        )

    def without(self, value: Any) -> Any:
        """Return the value without its secret leaves."""
        if isinstance(value, Mapping):
            return {key: self.without(item) for key, item in value.items() if not self.holds(item)}
        return [self.without(item) for item in value if not self.holds(item)] if isinstance(value, list) else value

    def clean(self, text: str) -> str:
        """Return a message with every secret in it replaced."""
        return cleaned(text, forms(self.values))

    @property
    def _long(self) -> frozenset[str]:
        # A shorter secret counts only if it is a whole leaf.
        return frozenset(value for value in self.values if len(value) >= SHORTEST)


NONE = SecretLeaves()


def stack_sections(folder: Path, stack: str, project: str) -> dict[str, Any]:
    """Return the project's own keys of a stack's file; nothing if it cannot be read."""
    from config.dialect import DialectError, read_yaml  # noqa: PLC0415 -- slow to import, and few stacks have secret leaves

    try:
        config = read_yaml((folder / f"Pulumi.{stack}.yaml").read_text())["config"]
        return {key.removeprefix(f"{project}:"): value for key, value in config.items()}
    except (OSError, DialectError, KeyError, TypeError, AttributeError):
        return {}


def is_ciphertext(value: Any) -> bool:
    """Say whether a value of a stack's file is encrypted."""
    return isinstance(value, Mapping) and set(value) == {"secure"}


def readable(value: Any) -> Any:
    """Return a value of a stack's file with a mark for each leaf that is encrypted in it."""
    if is_ciphertext(value):
        return HIDDEN
    if isinstance(value, Mapping):
        return {key: readable(item) for key, item in value.items()}
    return [readable(item) for item in value] if isinstance(value, list) else value


def leaves(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """Yield path and text of every leaf; switches are no secrets."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, (*place, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from leaves(item, (*place, str(index)))
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield place, str(value)


def _marks(value: Any, place: Place) -> Iterator[Place]:
    if is_ciphertext(value):
        yield place
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _marks(item, (*place, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _marks(item, (*place, str(index)))


def _without(value: Any, places: list[Place], place: Place) -> Any:
    if place in places:
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(key): _without(item, places, (*place, str(key))) for key, item in value.items()}
    if isinstance(value, list):
        return [_without(item, places, (*place, str(index))) for index, item in enumerate(value)]
    return value
