"""`gpu-fleet completion SHELL`: print the lines by which a shell completes sub-commands, options and the names of stacks."""

import click
from click.shell_completion import get_completion_class

from cli.command import command
from cli.errors import CommandError

VARIABLE = "_GPU_FLEET_COMPLETE"


@command("completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the shell lines that complete this command's words.

    For bash: eval "$(gpu-fleet completion bash)"
    """
    made = get_completion_class(shell)
    if made is None:
        raise CommandError(f"nothing completes in {shell}")
    print(made(ctx.find_root().command, {}, "gpu-fleet", VARIABLE).source())
