"""What all sub-commands share: their class, their common options, and a group that imports a command at its first use."""

import importlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from cli.errors import CommandError

STACK_FILE = re.compile(r"Pulumi\.(.+)\.yaml")
Decorator = Callable[[Callable[..., Any]], click.Command]


class Misused(click.UsageError):
    """A mistake in the words of the command line, with the exit status that the command has for it."""

    def __init__(self, error: click.UsageError, status: int) -> None:
        super().__init__(error.format_message(), error.ctx)
        self.status = status

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """Return the exit status of the command."""
        return self.status


class Command(click.Command):
    """A sub-command. Errors of `known` types become one sentence; an int that the function returns is the exit status.

    `misused` is the exit status of wrong usage.
    """

    known: tuple[type[Exception], ...] = ()
    misused = 2

    def make_context(self, *arguments: Any, **extra: Any) -> click.Context:
        """Read the words of the command line."""
        try:
            return super().make_context(*arguments, **extra)
        except click.UsageError as error:
            raise Misused(error, self.misused) from None

    def invoke(self, ctx: click.Context) -> None:
        """Run the command."""
        try:
            status = super().invoke(ctx)
        except CommandError as error:
            error.command = ctx.command_path
            raise
        except self.known as error:
            _refuse(ctx, error)
        if isinstance(status, int) and status:
            ctx.exit(status)


def _refuse(ctx: click.Context, error: Exception) -> NoReturn:
    refused = CommandError(str(error) or type(error).__name__)
    refused.command = ctx.command_path
    raise refused from None


def command(name: str, *known: type[Exception], misused: int = Command.misused, **options: Any) -> Decorator:
    """Make a function a sub-command. Errors of the `known` types are sentences for the operator.

    `misused` is the exit status of wrong usage.
    """
    made = type("Command", (Command,), {"known": known, "misused": misused})
    return click.command(name, cls=made, **options)


class LazyGroup(click.Group):
    """A group whose commands are imported at their first use: most need libraries that take a second to load.

    `places` maps a command's name to (module, attribute, help). The help is a line of the list of commands.
    """

    def __init__(self, *arguments: Any, places: Mapping[str, tuple[str, str, str]], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.places = places

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return the names in the order of the table."""
        return list(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None if there is none of that name."""
        if cmd_name not in self.places:
            return None
        module, attribute, _help = self.places[cmd_name]
        found: click.Command = getattr(importlib.import_module(module), attribute)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_module, _attribute, text) in self.places.items()])


def known_stacks(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a stack by the config files in this folder."""
    names = (match[1] for file in Path().glob("Pulumi.*.yaml") if (match := STACK_FILE.fullmatch(file.name)))
    return sorted(name for name in names if name.startswith(incomplete))


stack_option = click.option(
    "--stack", metavar="NAME", shell_complete=known_stacks, help="The stack; without it, the selected one."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
