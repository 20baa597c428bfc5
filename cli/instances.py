"""The instances of a stack and of its slots by name, as their states have them. A slot has a stack of its own."""

from collections.abc import Callable
from typing import Any

from cli.errors import CommandError
from cli.stacks import maker, read
from config.slot_names import of_instance, slot_of
from providers.vast.pulumi_state import INSTANCE, BackendError, run_pulumi, slots_of, unwrapped

Outputs = dict[str, Any]


def in_state(stack: str) -> dict[str, Outputs]:
    """Return the outputs of the instances in one stack's state by name, secrets in plain. Raises CommandError."""
    resources = read(stack, "stack", "export")["deployment"].get("resources") or []
    rows = [row for row in resources if row["type"] == INSTANCE and not row.get("delete")]
    found = [unwrapped(row["outputs"]) for row in rows]
    return {str(outputs["name"]): outputs for outputs in found}


def slot_stacks(stack: str) -> dict[str, str]:
    """Return the stacks of a stack's slots by the names of their instances. Raises CommandError."""
    try:
        names = slots_of(run_pulumi, stack)
    except BackendError as error:
        raise CommandError(str(error)) from None
    return {slot.instance: name for name in names if (slot := slot_of(stack, name))}


def pick(
    stack: str,
    name: str,
    states: Callable[[str], dict[str, Outputs]] = in_state,
    slots: Callable[[str], dict[str, str]] = slot_stacks,
) -> tuple[str, Outputs]:
    """Return the stack and the outputs of one instance; without a name, of the first one of the stack, else of a slot.

    Raises CommandError naming those there are.
    """
    own = {} if of_instance(stack, name) else states(stack)
    if own and not name:
        name = min(own)
    if name in own:
        return stack, own[name]
    there = slots(stack)
    for wanted in [name] if name else sorted(there):
        if wanted in there and wanted in (found := states(there[wanted])):
            return there[wanted], found[wanted]
    if name in there:
        raise CommandError(f"{name} boots or ends: the state of its stack {there[name]} has no instance")
    others = sorted({*(own or states(stack)), *there})
    if others:
        raise CommandError(f"there is no instance {name or 'that serves'}; the stack has {', '.join(others)}")
    raise CommandError(
        f"the stack {stack} has no instance{f' {name}' if name else ''}; {maker(stack)} brings those of its config online"
    )
