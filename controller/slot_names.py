"""The names of slots' stacks, which stand in `config`, because the rules of sweeps need them, too."""

from config.slot_names import SlotName, parse, slot_stack

__all__ = ["SlotName", "parse", "slot_stack"]
