"""One completion from an endpoint of the stack, as a client anywhere would ask for it: `make ask PROMPT="Hello"`.

    python -m tools.ask --stack local --prompt TEXT [--name chat-0] [--max-tokens N]

TLS is verified against the stack's own certificate authority and no other.
"""

from __future__ import annotations

import argparse
import json
import ssl
import subprocess
import sys
import time
from typing import Any

import httpx

FIRST_WORD_S = 120.0  # a CPU takes its time over a first completion


class AskError(Exception):
    """The question cannot be put, or the endpoint refused it; the message is a sentence for the operator."""


def main(arguments: list[str]) -> int:
    """Ask, print the text on stdout and the latency on stderr."""
    parser = argparse.ArgumentParser(prog="python -m tools.ask", description=__doc__.splitlines()[0])
    parser.add_argument("--stack", default="local")
    parser.add_argument("--prompt", default="Hello")
    parser.add_argument("--name", help="the endpoint's name; the first one by default")
    parser.add_argument("--max-tokens", type=int, default=32)
    options = parser.parse_args(arguments)
    try:
        name, url, token, ca = pick(outputs(options.stack), options.name)
        with client(url, token, ca) as http:
            began = time.monotonic()
            model = model_of(http)
            text = complete(http, model, options.prompt, options.max_tokens)
            seconds = time.monotonic() - began
    except (AskError, httpx.HTTPError, ssl.SSLError) as error:
        print(f"make ask: {str(error) or type(error).__name__}", file=sys.stderr)
        return 1
    print(text)
    print(f"{name} ({url}) answered with {model} in {seconds * 1000:.0f} ms.", file=sys.stderr)
    return 0


def outputs(stack: str) -> dict[str, Any]:
    """Read the stack's outputs, secrets in plain: they stay in this process."""
    command = ["pulumi", "stack", "output", "--json", "--show-secrets", "--stack", stack]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise AskError(f"the outputs of stack {stack} cannot be read; `make up` makes it")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def pick(found: dict[str, Any], name: str | None) -> tuple[str, str, str, str]:
    """Return name, URL, token and CA (PEM) of the endpoint asked for, or of the first by name."""
    endpoints, tokens = found.get("endpoints") or {}, found.get("tokens") or {}
    if not endpoints:
        raise AskError("the stack has no endpoints; `make up` makes one")
    chosen = name or min(endpoints)
    if chosen not in endpoints or chosen not in tokens:
        raise AskError(f"there is no endpoint {chosen}; the stack has {', '.join(sorted(endpoints))}")
    if not found.get("caCertificate"):
        raise AskError("the stack has no output caCertificate, so no endpoint's answer could be trusted")
    return chosen, str(endpoints[chosen]), str(tokens[chosen]), str(found["caCertificate"])


def client(url: str, token: str, ca_pem: str) -> httpx.Client:
    """Make a client that trusts only the stack's authority and carries the endpoint's token."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.load_verify_locations(cadata=ca_pem)
    return httpx.Client(
        base_url=url,
        verify=trust,
        headers={"Authorization": f"Bearer {token}"},
        timeout=FIRST_WORD_S,
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
    """Return the JSON of a good answer; AskError with what the endpoint said otherwise."""
    if response.status_code != 200:
        raise AskError(f"{response.request.url} answered {response.status_code}: {response.text[:200]}")
    return response.json()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
