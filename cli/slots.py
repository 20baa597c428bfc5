"""The stacks of a stack's slots: what a command shows of them, how it ends them, and how it removes empty ones."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bootstrap.cache import cache_folder
from config.slot_names import slot_of
from controller.pulumi_cli import PulumiFolders
from controller.slot_stack import SlotBusyError, SlotError, SlotStack
from providers.vast.pulumi_state import StackState

AT_ONCE = 8
Slots = Callable[[str, str], SlotStack]  # from the names of the main stack and of the slot's stack


@dataclass(frozen=True)
class SlotRow:
    """One slot's stack. `instances` are ids in its state; `creating`: an unfinished create is recorded there."""

    stack: str
    instances: tuple[int, ...]
    creating: bool = False
    trouble: str = ""

    def is_empty(self, listed: frozenset[int]) -> bool:
        """Return whether nothing of it is rented, for certain; `listed` are the ids that the market lists."""
        return not (self.trouble or self.creating or listed & set(self.instances))

    def describe(self, listed: frozenset[int]) -> str:
        """Describe the stack in one line."""
        if self.trouble:
            return f"slot {self.stack}: its state cannot be read ({self.trouble})"
        if self.creating:
            return f"slot {self.stack}: an `up` is creating its instance, or was killed while it did"
        here = [str(number) for number in self.instances if number in listed]
        return f"slot {self.stack}: " + (f"instance {', '.join(here)}" if here else "nothing is rented for it")


def rows(main: str, known: Sequence[StackState]) -> list[SlotRow]:
    """Return the slots of a main stack among the states."""
    return [
        SlotRow(
            state.stack.rpartition("/")[2],
            tuple(sorted(number for ids in state.instances.values() for number in ids)),
            bool(state.creating),
            state.trouble or "",
        )
        for state in known
        if slot_of(main, state.stack)
    ]


def open_slot(main: str, name: str) -> SlotStack:
    """Return a slot's stack, whose commands run from the current folder's program."""
    slot = slot_of(main, name)
    if slot is None:
        raise SlotError(f"{name} is no slot of stack {main}")
    return SlotStack(slot, PulumiFolders(Path.cwd(), cache_folder() / "slots"), os.environ)


def end(
    main: str,
    names: Sequence[str],
    report: Callable[[str], None],
    open_one: Slots = open_slot,
    spare_busy: bool = False,
) -> list[str]:
    """Give back what slots rent and remove their stacks, several at once; return a sentence for each that failed.

    `spare_busy`: a slot on which another process works is only reported.
    """

    def end_one(name: str) -> str:
        try:
            slot = open_one(main, name)
            slot.destroy(lambda phase, text: report(f"{name}  {phase}  {text}"))
            slot.remove()
        except SlotError as error:
            if spare_busy and isinstance(error, SlotBusyError):
                report(str(error))
                return ""
            return str(error)
        report(f"{name}  removed")
        return ""

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [sentence for sentence in pool.map(end_one, names) if sentence]
