"""The sandbox's command line. `python -m sandbox` and `gpu-fleet sandbox` run the same commands."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import click

from sandbox import lifecycle
from sandbox import settings as defaults
from sandbox.errors import SandboxError
from sandbox.faults.catalogue import FAULTS
from sandbox.market.keys import SCOPES
from sandbox.settings import Settings, folders

# Field of an arming -> option of the command line.
ARMING = {
    "times": "times",
    "nth": "nth",
    "instance": "instance",
    "call": "call",
    "field": "field",
    "probability": "probability",
    "seed": "seed",
    "after": "after",
    "seconds": "for",
}


class Refusal(click.ClickException):
    """Shows a SandboxError to the operator as one sentence on stderr."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it."""
        print(f"sandbox: {self.message}", file=file or sys.stderr)


class Command(click.Command):
    """Turns a SandboxError of a command into one sentence."""

    def invoke(self, ctx: click.Context) -> None:
        """Run the command."""
        try:
            super().invoke(ctx)
        except SandboxError as error:
            raise Refusal(str(error)) from None


class Group(click.Group):
    """The group of these commands."""

    command_class = Command


def known_faults(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a fault."""
    return sorted(name for name in FAULTS if name.startswith(incomplete))


def _state(_ctx: click.Context, _parameter: click.Parameter, given: Path | None) -> Path:
    return given.resolve() if given else folders(os.environ)[0]


state_option = click.option(
    "--state",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    callback=_state,
    help="Folder of the sandbox's state.",
)


@click.group("sandbox", cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def sandbox() -> None:
    """Run the emulated cloud on this machine: market, hosts, object store, monitoring.

    One daemon holds all of it. When the daemon ends, in whatever way, all of that ends with it.
    """


def _ports(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `up` an option for the port of each service."""
    for field in reversed([name for name in Settings.__dataclass_fields__ if name.endswith("_port")]):
        option = f"--{field.replace('_', '-')}"
        command = click.option(option, default=getattr(defaults, field.upper()), show_default=True)(command)
    return command


@sandbox.command("up")
@click.option("--vllm", type=click.Choice(("real", "double")), default="real", help="The vLLM that hosts run.")
@click.option(
    "--monitoring",
    type=click.Choice(("on", "off")),
    default="off",
    help="Prometheus, Alertmanager, exporter, receiver, API server.",
)
@click.option(
    "--node-images",
    type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
    metavar="FOLDER",
    help="Run monitoring as pods of the stack, on a real node, from the images in this folder. Hetzner's servers then run "
    "pods, too.",
)
@click.option(
    "--hetzner",
    type=click.Choice(("on", "api", "off")),
    default="off",
    help="An emulated Hetzner Cloud, whose servers are machines (on) or only records (api).",
)
@click.option(
    "--time-scale",
    type=click.FloatRange(min=0, min_open=True),
    default=defaults.TIME_SCALE,
    show_default=True,
    help="Market seconds in a real second.",
)
@click.option("--seed", default=1, show_default=True, help="Which machines the market has.")
@click.option("--old-list", is_flag=True, help="The market's list also has its first version.")
@click.option("--market-only", is_flag=True, help="Without an object store, and with hosts without a login.")
@click.option("--foreground", is_flag=True, help="Stay in this process until it is terminated.")
@_ports
@state_option
@click.pass_context
def up(ctx: click.Context, /, foreground: bool, monitoring: str, **wanted: Any) -> None:
    """Start the sandbox. If it runs, start its monitoring if that is wanted and missing, and print its status."""
    settings = Settings(cache=folders(os.environ)[1], monitoring=monitoring == "on", **wanted)
    lifecycle.up(settings, _words(ctx), foreground)


def _words(ctx: click.Context) -> list[str]:
    """Return the options that differ from their defaults as command-line arguments for the daemon's process."""
    words: list[str] = []
    for parameter in ctx.command.params:
        value = ctx.params.get(str(parameter.name))
        if value is None or value is False or value == parameter.get_default(ctx):  # a port of 0 is neither
            continue
        words += [parameter.opts[0]] if value is True else [parameter.opts[0], str(value)]
    return words


@sandbox.command("down")
@state_option
def down(state: Path) -> None:
    """End the sandbox and everything in it."""
    lifecycle.down(state)


@sandbox.command("clean")
@state_option
def clean(state: Path) -> None:
    """Remove the data that an ended sandbox's object store has kept."""
    lifecycle.clean(state)


@sandbox.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
@state_option
def status(as_json: bool, state: Path) -> None:
    """Print the running services, and the market's meter."""
    lifecycle.status(state, as_json)


@sandbox.command("controller")
@click.option("--stack", metavar="NAME", help="The stack whose elastic fleets it starts and ends.")
@click.option("--off", is_flag=True, help="End the controller; what is rented stays.")
@state_option
def controller(stack: str | None, off: bool, state: Path) -> None:
    """Run the controller of elastic fleets in the sandbox, with this shell's Pulumi, backend and passphrase.

    Call it in the program's folder.
    """
    if off:
        lifecycle.stop_controller(state)
    elif stack:
        lifecycle.run_controller(state, stack, os.environ)
    else:
        raise SandboxError("Name the stack: python -m sandbox controller --stack NAME")


@sandbox.command("hetzner")
@click.option(
    "--api-only", is_flag=True, help="Servers are only records, which needs neither root nor their file system."
)
@state_option
def hetzner(api_only: bool, state: Path) -> None:
    """Start an emulated Hetzner Cloud in the sandbox, if it has none, and print how clients reach it."""
    lifecycle.start_hetzner(state, api_only)


@sandbox.command("faults")
@click.option("--armed", is_flag=True, help="List the armed faults, and how often each struck.")
@state_option
def faults(armed: bool, state: Path) -> None:
    """List the faults that you can arm, or the armed ones."""
    print(_armed(lifecycle.reach(state, "faults")["armed"]) if armed else _listed())


@sandbox.command("fault")
@click.argument("name", shell_complete=known_faults)
@click.option("--times", type=int, help="Strike at most so many times; the default is once.")
@click.option("--nth", type=int, help="Strike from the n-th occasion on.")
@click.option("--instance", help="Strike this instance: its id, or the end of its label, such as chat-0.")
@click.option("--call", help="Strike this kind of call to the market: search, create, list, destroy, ...")
@click.option("--field", help="Spoil this field of the row, for faults of one row.")
@click.option("--probability", type=float, help="Strike each occasion with this probability, from 0 to 1.")
@click.option("--seed", type=int, help="Seed of the random numbers for --probability.")
@click.option("--after", type=float, help="Strike only after so many market seconds.")
@click.option(
    "--for", "seconds", type=float, help="Strike for so many market seconds, then mend the damage if possible."
)
@click.option("--off", is_flag=True, help="Switch the fault off, and mend the damage if possible.")
@state_option
def fault(name: str, off: bool, state: Path, **arming: Any) -> None:
    """Arm a fault. `faults` lists the names."""
    given = {field: value for field, value in arming.items() if value is not None}
    lifecycle.arm(state, {"name": name, "off": off, **given})


@sandbox.command("key")
@click.option("--account", help="Name of the account, made if it does not exist; the default is the first account.")
@click.option("--scopes", required=True, help=f"Comma-separated: {', '.join(SCOPES)}.")
@state_option
def key(account: str | None, scopes: str, state: Path) -> None:
    """Make a market key that opens only the calls of its scopes."""
    lifecycle.make_key(state, scopes, account)


def _listed() -> str:
    """Return every fault with its room, one a line."""
    return "\n".join(f"{fault.name:30}{fault.room:8}{fault.sentence}" for fault in FAULTS.values())


def _armed(report: list[Mapping[str, Any]]) -> str:
    """Return every arming with its strikes, one a line."""
    return "\n".join(_line(one) for one in report) or "No fault is armed."


def _line(one: Mapping[str, Any]) -> str:
    how = " ".join(f"--{option} {one[field]}" for field, option in ARMING.items() if field in one)
    state = "over" if one["over"] else "armed"
    return f"{one['name']:30}{state:8}struck {one['struck']} of {one['seen']} occasions  {how}".rstrip()
