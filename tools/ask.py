"""One completion from an endpoint of the stack, as a client anywhere would ask for it: `make ask PROMPT="Hello"`.

    python -m tools.ask --stack local --prompt TEXT [--name chat-0] [--max-tokens N]

TLS is verified against the stack's own certificate authority and no other.
"""

from __future__ import annotations

import argparse
import re
import ssl
import sys
import time
from typing import Any

import httpx

from tools.advice import StackError, maker, read, silent

FIRST_WORD_S = 120.0  # a CPU takes its time over a first completion
CONNECT_S = 10.0


class Closed(Exception):
    """The gate lets nobody through until the instance has proven itself."""


class AskError(Exception):
    """The question cannot be put, or the endpoint refused it; the message is a sentence for the operator."""


def main(arguments: list[str]) -> int:
    """Ask, print the text on stdout and the latency on stderr."""
    parser = argparse.ArgumentParser(prog="python -m tools.ask", description=__doc__.splitlines()[0])
    parser.add_argument("--stack", default="local")
    parser.add_argument("--prompt", default="Hello")
    parser.add_argument("--name", default="", help="the endpoint's name; the first one by default")
    parser.add_argument("--max-tokens", type=int, default=32)
    options = parser.parse_args(arguments)
    try:
        options.prompt = worth_asking(options.prompt)
        found = read(options.stack, "stack", "output", "--json")
        name, url, token, ca = pick(found, options.name, options.stack)
        with client(url, token, ca) as http:
            print(ask(http, name, options))
    except (AskError, StackError, httpx.HTTPError, ssl.SSLError) as error:
        print(f"make ask: {str(error) or type(error).__name__}", file=sys.stderr)
        return 1
    return 0


def ask(http: httpx.Client, name: str, options: argparse.Namespace) -> str:
    """Return the completion's text; its latency goes to stderr. Raises AskError."""
    began = time.monotonic()
    try:
        model = model_of(http)
        text = complete(http, model, options.prompt, options.max_tokens)
    except httpx.TransportError as error:
        url, cause = str(http.base_url).rstrip("/"), reason(error)
        if "[SSL" in cause:
            raise AskError(f"what answers at {url} is not proven to be {name}, so it was not asked: {cause}") from None
        raise AskError(silent(name, url, options.stack, cause)) from None
    except Closed:
        raise AskError(
            f"{name} is closed until its instance has proven itself: it is being changed, or a change of it failed; "
            f"{maker(options.stack)} proves it, and `make log NAME={name}` shows what its vLLM says"
        ) from None
    seconds = time.monotonic() - began
    print(f"{name} ({http.base_url}) answered with {model} in {seconds * 1000:.0f} ms.", file=sys.stderr)
    return text


def worth_asking(prompt: str) -> str:
    """Return the prompt. Raises AskError where it holds nothing but blanks."""
    if not prompt.strip():
        raise AskError('the prompt is empty; ask something, such as PROMPT="Hello"')
    return prompt


def pick(found: dict[str, Any], name: str, stack: str) -> tuple[str, str, str, str]:
    """Return name, URL, token and CA (PEM) of the endpoint asked for, or of the first by name."""
    endpoints, tokens = found.get("endpoints") or {}, found.get("tokens") or {}
    if not endpoints:
        raise AskError(f"the stack {stack} has no endpoints; {maker(stack)} makes those of its config")
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
    """Return the JSON of a good answer; Closed or AskError with what the endpoint said otherwise."""
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE and '"closed"' in response.text:
        raise Closed
    if response.status_code != 200:
        raise AskError(f"{response.request.url} answered {response.status_code}: {response.text[:200]}")
    return response.json()


def reason(error: httpx.TransportError) -> str:
    """Say in a few words why there was no connection, without the system's number for it."""
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
