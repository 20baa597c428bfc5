"""The label: our mark on an instance. The rent call writes it, so it identifies an instance whose rent reply got lost.

Form: `gpu-fleet/<stack id>/<fleet>-<index>`. Each stack gets its stack id once, because two laptops may share one
account and one project name. A stack never adopts, counts or gives back an instance with another stack id.
"""

from dataclasses import dataclass

PREFIX = "gpu-fleet"


@dataclass(frozen=True)
class Label:
    """The parts of a label. The market stores `str(label)` (256 characters at most)."""

    stack_id: str
    name: str

    def __str__(self) -> str:
        """Return the form that the market stores."""
        return f"{PREFIX}/{self.stack_id}/{self.name}"


def parse(text: str | None) -> Label | None:
    """Read a label of gpu-fleet; None for any other text."""
    parts = (text or "").split("/")
    if len(parts) != 3 or parts[0] != PREFIX or not parts[1] or not parts[2]:
        return None
    return Label(parts[1], parts[2])
