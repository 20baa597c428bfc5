"""`gpu-fleet pin`: write the digest of what an instance's machine compiled beside its model's manifest."""

from pathlib import Path

import click

from cli.command import command, stack_option
from cli.context import open_selected, read_config
from cli.errors import CommandError
from config.messages import ConfigError
from providers.vast.api.errors import VastError
from providers.vast.pulumi_state import BackendError, outputs_of, run_pulumi
from weights.pinned_caches import pins_file, with_pin


@command("pin", BackendError, VastError, ConfigError)
@click.argument("name")
@stack_option
def pin(name: str, stack: str | None) -> None:
    """Let any machine start a model with what this instance's machine compiled.

    NAME is the instance, such as chat-0; its fleet has warmStart. A compile cache is code. Only the machine that made it
    gets it back, unless its digest is pinned in a committed file. Pin what a machine made that you trust: the command
    writes the digest beside the model's manifest.
    """
    context = open_selected(stack)
    outputs, config = outputs_of(run_pulumi, context.stack, name), read_config(context)
    fleet = config.fleets.get(name.rpartition("-")[0])
    if outputs is None or fleet is None:
        raise CommandError(f"stack {context.stack} has no instance {name}")
    warm = outputs.get("warm")
    if not warm:
        raise CommandError(
            f"nothing is kept of what {name} compiled: its fleet needs warmStart, and a start since then"
        )
    file = pins_file(Path(config.models[fleet.model].manifest))
    file.write_text(with_pin(file.read_text() if file.exists() else "", warm))
    machine = int((outputs.get("machine") or {}).get("id") or 0)
    print(
        f"{file}: {warm['sha256'][:12]}, made on machine {machine}. Commit it if you trust that machine with every other."
    )
