"""`gpu-fleet key`: the API key with which a client asks the controller for instances."""

import json

import click

from cli.command import command, json_option, stack_option
from cli.controller_url import controller_url
from cli.errors import CommandError
from cli.stacks import chosen, maker, read
from providers.elastic import applied


@command("key")
@click.argument("client")
@json_option
@stack_option
def key(client: str, as_json: bool, stack: str | None) -> None:
    """Print the API key of a client of stack config, for the header X-API-Key of the controller's API.

    The key is a secret: its holder can rent within the client's limits.
    """
    name = chosen(stack)
    outputs = read(name, "stack", "output", "--json")
    found = key_of(client, outputs, name)
    print(
        json.dumps({"client": client, "key": found, "url": controller_url(name, outputs) or None}) if as_json else found
    )


def key_of(client: str, outputs: dict[str, object], stack: str) -> str:
    """Return a client's API key from a stack's outputs. Raises CommandError."""
    try:
        known = applied.parse(outputs[applied.NAME]).clients if applied.NAME in outputs else {}
    except applied.UnreadableOutputError as error:
        raise CommandError(f"stack {stack}: {error}; {maker(stack)} writes it anew") from None
    if client in known:
        return known[client].api_key.get_secret_value()
    names = ", ".join(sorted(known)) or "none"
    raise CommandError(
        f"stack {stack} has no client {client} (it has {names}): add gpu-fleet:clients.{client} to its config, and apply it "
        f"by {maker(stack)}"
    )
