"""Read a stack through Pulumi, and say what helps if it cannot be read or does not answer."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from cli.environment import SANDBOX_STACK, ensure
from cli.errors import CommandError
from providers.vast.pulumi_state import BackendError, run_pulumi, selected_stack

REASON_LENGTH = 300


def chosen(stack: str | None) -> str:
    """Return the stack that was named, or the selected one. Raises CommandError."""
    ensure(stack)
    if stack:
        return stack
    try:
        return selected_stack(run_pulumi)
    except BackendError as error:
        raise CommandError(str(error)) from None


def read(stack: str, *words: str) -> Any:
    """Return what a command of Pulumi's prints as JSON, secrets in plain: they stay in this process.

    Raises CommandError.
    """
    command = ["pulumi", *words, "--show-secrets", "--stack", stack]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandError(unreadable(stack, done.stderr))
    return json.loads(done.stdout)


def unreadable(stack: str, stderr: str) -> str:
    """Translate what Pulumi said on stderr when it could not read a stack."""
    if "no stack named" in stderr:
        return f"there is no stack {stack}; {maker(stack)} makes it"
    reasons = [line.removeprefix("error: ") for line in stderr.splitlines() if line.strip()]
    return f"the stack {stack} cannot be read: {reasons[-1][:REASON_LENGTH] if reasons else 'Pulumi says nothing'}"


def silent(name: str, address: str, stack: str, cause: str) -> str:
    """Say that an instance does not answer, and how to find out why."""
    looks = "`gpu-fleet sandbox status`" if stack == SANDBOX_STACK else f"`pulumi refresh --stack {stack}`"
    return f"no server answers for {name} at {address} ({cause}): {looks} says what runs, {maker(stack)} brings it back"


def maker(stack: str) -> str:
    """Return the command that makes or mends a stack."""
    return "`make up`" if stack == SANDBOX_STACK else f"`pulumi up --stack {stack}`"
