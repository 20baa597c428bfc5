"""Where the API of a stack's controller answers."""

import os
from collections.abc import Mapping
from typing import Any

from cli.environment import SANDBOX_STACK
from sandbox.control import Unreachable, ask
from sandbox.settings import folders


def controller_url(stack: str, outputs: Mapping[str, Any]) -> str:
    """Return where clients reach the controller: by the stack's output, or the sandbox's if the stack is that one's.

    Empty if none runs there, and for any other controller: only its operator knows where that answers.
    """
    output = outputs.get("controller")
    if isinstance(output, Mapping) and output.get("api"):
        return str(output["api"])
    if stack != SANDBOX_STACK:
        return ""
    try:
        found = ask(folders(os.environ)[0], "status").get("controller") or {}
    except Unreachable:
        return ""
    return str(found.get("url") or "")


def outputs_of(deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the outputs of the stack to which a deployment belongs; none if it has never been applied."""
    rows = [row for row in deployment.get("resources") or () if row["type"] == "pulumi:pulumi:Stack"]
    return rows[0].get("outputs") or {} if rows else {}
