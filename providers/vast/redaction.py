"""The one choke point for what leaves a provider process as text: known secrets are replaced before anybody reads it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SECRET_FIELDS = frozenset({"sshPrivateKey", "caKey", "token"})
SHORTEST = 8  # anything shorter would blank ordinary words


@dataclass(frozen=True)
class Redaction:
    """Knows the secrets of one call."""

    secrets: tuple[str, ...]

    @classmethod
    def of(cls, *sources: str | Mapping[str, Any]) -> "Redaction":
        """Collect secrets: strings as they are, and the secret fields of property maps at any depth."""
        found: list[str] = []
        for source in sources:
            found.extend([source] if isinstance(source, str) else _secrets_in(source))
        return cls(tuple(sorted({secret for secret in found if len(secret) >= SHORTEST}, key=len, reverse=True)))

    def clean(self, text: str) -> str:
        """Return the text with every known secret, and every line of one, replaced."""
        for secret in self.secrets:
            text = text.replace(secret, "[secret]")
        return text


def _secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in SECRET_FIELDS and isinstance(item, str):
                yield item
                yield from (line for line in item.splitlines() if not line.startswith("-----"))
            else:
                yield from _secrets_in(item)
