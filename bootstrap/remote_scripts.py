"""Our scripts on a host, run with an order: both travel on stdin, because orders carry URLs, and URLs are secrets."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from bootstrap.errors import StepFailed
from bootstrap.host import Host, Result

SCRIPTS = Path(__file__).parent / "scripts"
ETC = "/opt/gpu-fleet/etc"
RUN = "/run/gpu-fleet"
KIT = "/opt/gpu-fleet/kit"

_OBJECT = TypeAdapter(dict[str, JsonValue])


def program(script: str, order: Mapping[str, Any]) -> str:
    """Return the text of scripts/<script> with `ORDER` set before it."""
    return f"import json\nORDER = json.loads({json.dumps(order)!r})\n" + (SCRIPTS / script).read_text()


def python(host: Host, script: str, order: dict[str, Any], timeout: float) -> Result:
    """Run scripts/<script> on the host's own Python with `ORDER` set. Raises HostLost, StepFailed."""
    return host.run("exec python3 -S -", program(script, order).encode(), timeout)


def shell(host: Host, command: str, failed: str, stdin: bytes = b"", timeout: float = 60) -> Result:
    """Run a command that must succeed; `failed` says what did not happen where it does not. Raises StepFailed."""
    result = host.run(command, stdin, timeout)
    if result.status != 0:
        raise StepFailed(f"{failed}: {result.tail()}")
    return result


def answer(result: Result, what: str) -> dict[str, Any]:
    """Read the JSON object that a script printed. Raises StepFailed."""
    try:
        if result.status == 0:
            return _OBJECT.validate_json(result.stdout)
    except ValidationError:
        pass
    raise StepFailed(f"{what} cannot be read (status {result.status}): {result.tail()}")
