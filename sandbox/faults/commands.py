"""The command line of faults: `faults`, `faults --armed`, `fault NAME ...` and `fault NAME --off`."""

import argparse
from collections.abc import Mapping
from typing import Any

from sandbox.faults.catalogue import FAULTS

# Option of the command line -> field of an arming.
OPTIONS = {
    "times": "times",
    "nth": "nth",
    "instance": "instance",
    "call": "call",
    "field": "field",
    "probability": "probability",
    "seed": "seed",
    "after": "after",
    "for": "seconds",
}


def describe_list(command: argparse.ArgumentParser) -> None:
    """Describe `faults`."""
    command.add_argument("--armed", action="store_true", help="what is armed here, and how often it struck")


def describe_one(command: argparse.ArgumentParser) -> None:
    """Describe `fault`."""
    command.add_argument("name")
    command.add_argument("--times", type=int, help="strike so many times at most; once, unless told otherwise")
    command.add_argument("--nth", type=int, help="strike from the n-th occasion on")
    command.add_argument("--instance", help="strike this instance: its id, or the end of its label, such as chat-0")
    command.add_argument("--call", help="strike this kind of call to the market: search, create, list, destroy, ...")
    command.add_argument("--field", help="spoil this field of the row, for faults of one row")
    command.add_argument("--probability", type=float, help="strike each occasion with this probability, from 0 to 1")
    command.add_argument("--seed", type=int, help="what the probability's dice start from")
    command.add_argument("--after", type=float, help="strike only after so many market seconds")
    command.add_argument("--for", type=float, help="strike for so many market seconds, and mend what can be mended")
    command.add_argument("--off", action="store_true", help="switch the fault off, and mend what can be mended")


def asked(options: argparse.Namespace) -> dict[str, Any]:
    """Return what `fault` was asked for as the daemon takes it."""
    given = {field: getattr(options, option) for option, field in OPTIONS.items()}
    return {"name": options.name, "off": options.off, **{key: one for key, one in given.items() if one is not None}}


def listed() -> str:
    """Return every fault with its room, a line each."""
    return "\n".join(f"{fault.name:30}{fault.room:8}{fault.sentence}" for fault in FAULTS.values())


def armed(report: list[Mapping[str, Any]]) -> str:
    """Return every arming with how often it struck, a line each."""
    return "\n".join(_line(one) for one in report) or "No fault is armed."


def _line(one: Mapping[str, Any]) -> str:
    how = " ".join(f"--{option} {one[field]}" for option, field in OPTIONS.items() if field in one)
    state = "over" if one["over"] else "armed"
    return f"{one['name']:30}{state:8}struck {one['struck']} of {one['seen']} occasions  {how}".rstrip()
