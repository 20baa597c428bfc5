"""The names of the Pulumi stacks that hold slots: `<stack>.slot.<fleet>-<index>`.

Two slots never share a name, and a name leads back to its slot. A fleet's name has no dot, so the last dot of a slot's name
ends the part that the operator's stack gave. Stack `dev-a` with fleet `b` and stack `dev` with fleet `a-b` are apart.
"""

import re
from dataclasses import dataclass

MARK = ".slot."
LONGEST = 100  # characters that Pulumi takes
_STACK = re.compile(r"[A-Za-z0-9_.-]+\Z")  # the names that Pulumi takes for a stack
_SLOT = re.compile(
    r"(?P<stack>[A-Za-z0-9_.-]+)\.slot\.(?P<fleet>[a-z][a-z0-9]*(?:-[a-z0-9]+)*)-(?P<index>0|[1-9][0-9]{0,5})\Z"
)


@dataclass(frozen=True)
class SlotName:
    """Which slot of which fleet of which stack."""

    stack: str
    fleet: str
    index: int

    @property
    def own(self) -> str:
        """The name of its stack."""
        return slot_stack(self.stack, self.fleet, self.index)

    @property
    def instance(self) -> str:
        """The name of the instance, as in its label. No instance of a fixed fleet has it: those end in `-<number>`."""
        return f"{self.fleet}-s{self.index}"


def slot_stack(stack: str, fleet: str, index: int) -> str:
    """Return the name of a slot's stack. Raises ValueError if Pulumi would not take it, or it would lead to another slot."""
    name = f"{stack}{MARK}{fleet}-{index}"
    if not _STACK.match(stack):
        raise ValueError(f"{stack!r} is no name of a stack: letters, digits, dots, dashes and underscores")
    if parse(stack) is not None:
        raise ValueError(f"{stack!r} is the name of a slot's stack; a stack with elastic fleets needs another")
    if len(name) > LONGEST:
        most = LONGEST - len(name) + len(stack)
        raise ValueError(
            f"{name!r} is longer than Pulumi's {LONGEST} characters; the stack's name may have {most} here"
        )
    if parse(name) != SlotName(stack, fleet, index):
        raise ValueError(f"fleet {fleet!r} with index {index} makes no name of a slot")
    return name


def parse(name: str) -> SlotName | None:
    """Return the slot whose stack has this name; None if the name is no slot's."""
    found = _SLOT.match(name)
    return SlotName(found["stack"], found["fleet"], int(found["index"])) if found else None


def of_instance(stack: str, instance: str) -> SlotName | None:
    """Return the slot of `stack` whose instance has this name, such as `burst-s0`; None for any other name."""
    fleet, _, index = instance.rpartition("-s")
    found = parse(f"{stack.rpartition('/')[2]}{MARK}{fleet}-{index}")
    return found if found and found.instance == instance else None


def slot_of(stack: str, name: str) -> SlotName | None:
    """Return the slot of `stack` that the stack `name` holds; None for any other. Both may be qualified names."""
    found = parse(name.rpartition("/")[2])
    return found if found and found.stack == stack.rpartition("/")[2] else None
