"""The label: our mark on an instance, written with the rent call, and the only identity that a lost reply leaves us.

`gpu-fleet/<stack id>/<fleet>-<index>`. The stack id is made once for each stack, because two laptops may share one
account and one project name; nothing outside the own stack id is ever adopted, counted or given back.
"""

from dataclasses import dataclass

PREFIX = "gpu-fleet"


@dataclass(frozen=True)
class Label:
    """The parts of a label. `str(label)` is what the market stores (256 characters at most)."""

    stack_id: str
    name: str

    def __str__(self) -> str:
        """Return the form that the market stores."""
        return f"{PREFIX}/{self.stack_id}/{self.name}"


def parse(text: str | None) -> Label | None:
    """Read a label of ours; None for anything that is not exactly one."""
    parts = (text or "").split("/")
    if len(parts) != 3 or parts[0] != PREFIX or not parts[1] or not parts[2]:
        return None
    return Label(parts[1], parts[2])
