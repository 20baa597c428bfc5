"""`make up` and `make down`: the sandbox and the stack `local` on it, from nothing to served completions and
back.

python3 -m tools.lifecycle up --vllm real|double
python3 -m tools.lifecycle down
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools import env, paths

CHECKOUT = Path(__file__).resolve().parent.parent
STACK = "local"


def main(arguments: list[str]) -> int:
    """Go up or down; the exit status is that of the first command that failed."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.lifecycle", description=__doc__.splitlines()[0])
    parser.add_argument("direction", choices=("up", "down"))
    parser.add_argument("--vllm", choices=("real", "double"), default="real")
    options = parser.parse_args(arguments)
    where = paths.find(CHECKOUT, os.environ)
    os.environ.update(env.environment(where, os.environ))
    os.chdir(where.checkout)
    try:
        if options.direction == "up":
            go_up(options.vllm)
        else:
            go_down()
    except subprocess.CalledProcessError as error:
        print(f"make {options.direction}: `{' '.join(error.cmd)}` failed.", file=sys.stderr)
        return error.returncode or 1
    except KeyboardInterrupt:
        return 130
    return 0


def go_up(vllm: str) -> None:
    """Start the sandbox, bring the stack up on it and show its endpoints.

    --refresh first, because hosts of a sandbox that was restarted are gone and state does not know it. No
    separate preview:
    nobody is asked, and the same checks run before anything is rented.
    """
    call("python", "-m", "sandbox", "up", "--vllm", vllm)
    call("pulumi", "stack", "select", "--create", STACK)
    call("pulumi", "up", "--stack", STACK, "--refresh", "--yes", "--skip-preview")
    call("python", "-m", "tools.table", STACK)


def go_down() -> None:
    """Give everything back, have the market itself confirm that nothing is billed, and stop the sandbox."""
    if STACK in stacks():
        call("pulumi", "destroy", "--stack", STACK, "--yes", "--skip-preview")
    status = json.loads(output("python", "-m", "sandbox", "status", "--json"))
    market = status.get("market")
    if not market:
        print("The sandbox is not running: nothing is rented.")
        return
    rented, rate = len(market["instances"]), market["usd_per_hour"]
    print(f"The market's own meter: {rented} instances, ${rate:.2f} an hour.")
    complaint = billed(market)
    if complaint:
        print(complaint, file=sys.stderr)
        raise subprocess.CalledProcessError(1, ["python", "-m", "sandbox", "status"])
    call("python", "-m", "sandbox", "down")


def billed(market: dict[str, Any]) -> str:
    """Return a sentence where the market still bills something, else an empty text."""
    if not market["instances"] and not market["usd_per_hour"]:
        return ""
    labels = ", ".join(str(i.get("label") or i.get("id")) for i in market["instances"])
    return (
        f"The market still bills ${market['usd_per_hour']:.2f} an hour for: {labels or 'nothing listed'}. "
        "The sandbox is left running; look with `python -m sandbox status`."
    )


def stacks() -> list[str]:
    """Return the names of this project's stacks in the backend, without their qualification."""
    return [stack["name"].rsplit("/", 1)[-1] for stack in json.loads(output("pulumi", "stack", "ls", "--json"))]


def call(*words: str) -> None:
    """Run a command with this terminal; CalledProcessError where it fails."""
    subprocess.run(words, check=True)


def output(*words: str) -> str:
    """Run a command and return its stdout; its stderr goes to this terminal."""
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
