"""`gpu-fleet ask`: one completion from an endpoint of the stack, as a client anywhere would ask for it.

TLS is verified against the stack's own certificate authority and no other.
"""

from __future__ import annotations

import json
import re
import ssl
import sys
import time
from dataclasses import dataclass
from typing import Any

import click
import httpx

from cli.command import command, json_option, stack_option
from cli.errors import CommandError
from cli.instances import pick as pick_instance
from cli.instances import slot_stacks
from cli.stacks import chosen, maker, read, silent
from config.slot_names import of_instance

FIRST_WORD_S = 120.0  # a CPU takes its time over a first completion
CONNECT_S = 10.0


class Closed(Exception):
    """The gate lets no client through until the instance has proven itself."""


@dataclass(frozen=True)
class Completion:
    """One answer of an endpoint. `seconds` includes asking for the model's name."""

    name: str
    url: str
    model: str
    text: str
    seconds: float


@command("ask", httpx.HTTPError, ssl.SSLError)
@click.argument("prompt", default="Hello")
@click.option(
    "--name",
    default="",
    help="The endpoint, such as chat-0, or burst-s0 of an elastic fleet; without it, the first one.",
)
@click.option("--max-tokens", default=32, show_default=True, help="How long the answer may become.")
@json_option
@stack_option
def ask(prompt: str, name: str, max_tokens: int, as_json: bool, stack: str | None) -> None:
    """Ask an endpoint for one completion: the text on stdout, the latency on stderr.

    PROMPT is "Hello" if none is given.
    """
    if not prompt.strip():
        raise CommandError('the prompt is empty; ask something, such as "Hello"')
    owner, name, (url, token, ca) = endpoint(chosen(stack), name)
    with client(url, token, ca) as http:
        found = completion(http, name, owner, prompt, max_tokens)
    if as_json:
        print(json.dumps(vars(found)))
        return
    print(f"{found.name} ({found.url}) answered with {found.model} in {found.seconds * 1000:.0f} ms.", file=sys.stderr)
    print(found.text)


def completion(http: httpx.Client, name: str, stack: str, prompt: str, max_tokens: int) -> Completion:
    """Ask one endpoint. Raises CommandError."""
    began, url = time.monotonic(), str(http.base_url).rstrip("/")
    try:
        model = model_of(http)
        text = complete(http, model, prompt, max_tokens)
    except httpx.TransportError as error:
        cause = reason(error)
        if "[SSL" in cause:
            raise CommandError(
                f"the server at {url} does not prove that it is {name}, so it was not asked: {cause}"
            ) from None
        raise CommandError(silent(name, url, stack, cause)) from None
    except Closed:
        raise CommandError(
            f"{name} is closed until its instance has proven itself: it is being changed, or a change of it failed; "
            f"{maker(stack)} proves it, and `gpu-fleet log {name}` shows what its vLLM says"
        ) from None
    return Completion(name, url, model, text, time.monotonic() - began)


def endpoint(stack: str, name: str) -> tuple[str, str, tuple[str, str, str]]:
    """Return the stack that has the endpoint asked for, its name, and its URL, token and CA (PEM). Raises CommandError."""
    if not of_instance(stack, name):
        outputs = read(stack, "stack", "output", "--json")
        if outputs.get("endpoints") or not slot_stacks(stack):
            name, url, token, ca = pick(outputs, name, stack)
            return stack, name, (url, token, ca)
    owner, found = pick_instance(stack, name)
    access = found["access"]
    return owner, str(found["name"]), (str(found["endpoint"]), str(access["token"]), str(access["caCertificate"]))


def pick(found: dict[str, Any], name: str, stack: str) -> tuple[str, str, str, str]:
    """Return name, URL, token and CA (PEM) of the endpoint asked for, or of the first by name."""
    endpoints, tokens = found.get("endpoints") or {}, found.get("tokens") or {}
    if not endpoints:
        raise CommandError(f"the stack {stack} has no endpoints; {maker(stack)} makes those of its config")
    chosen = name or min(endpoints)
    if chosen not in endpoints or chosen not in tokens:
        raise CommandError(f"there is no endpoint {chosen}; the stack has {', '.join(sorted(endpoints))}")
    if not found.get("caCertificate"):
        raise CommandError("the stack has no output caCertificate, so no endpoint's answer could be trusted")
    return chosen, str(endpoints[chosen]), str(tokens[chosen]), str(found["caCertificate"])


def client(url: str, token: str, ca_pem: str) -> httpx.Client:
    """Make a client that trusts only the stack's authority and carries the endpoint's token."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.load_verify_locations(cadata=ca_pem)
    return httpx.Client(
        base_url=url,
        verify=trust,
        headers={"Authorization": f"Bearer {token}"},
        timeout=httpx.Timeout(FIRST_WORD_S, connect=CONNECT_S),
        trust_env=False,
    )


def model_of(http: httpx.Client) -> str:
    """Return the name of the model that is served, as the endpoint itself says."""
    return str(answer(http.get("/v1/models"))["data"][0]["id"])


def complete(http: httpx.Client, model: str, prompt: str, max_tokens: int) -> str:
    """Return the text of one completion."""
    body = {"model": model, "prompt": prompt, "max_tokens": max_tokens, "temperature": 0}
    return str(answer(http.post("/v1/completions", json=body))["choices"][0]["text"])


def answer(response: httpx.Response) -> Any:
    """Return the JSON of a good answer; Closed or CommandError with what the endpoint said otherwise."""
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE and '"closed"' in response.text:
        raise Closed
    if response.status_code != 200:
        raise CommandError(f"{response.request.url} answered {response.status_code}: {response.text[:200]}")
    return response.json()


def reason(error: httpx.TransportError) -> str:
    """Say in a few words why there was no connection, without the system's number for it."""
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
