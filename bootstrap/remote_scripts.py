"""Run our scripts on a host with a request. Both travel on stdin, because requests carry URLs, which are secrets."""

import json
from collections.abc import Mapping, Sequence
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


def program(script: str, request: Mapping[str, Any], modules: Sequence[str] = ()) -> str:
    """Return the text of scripts/<script> with `REQUEST` set before it. It may import `modules`, scripts too."""
    brought = "".join(_module(name) for name in modules)
    return f"import json\nREQUEST = json.loads({json.dumps(request)!r})\n{brought}" + (SCRIPTS / script).read_text()


def _module(name: str) -> str:
    """Return lines that make a script importable without a file."""
    text = (SCRIPTS / f"{name}.py").read_text()
    made = f"sys.modules[{name!r}]"
    return f"import sys, types\n{made} = types.ModuleType({name!r})\nexec({text!r}, vars({made}))\n"


def python(host: Host, script: str, request: dict[str, Any], timeout: float, modules: Sequence[str] = ()) -> Result:
    """Run scripts/<script> on the host's own Python with `REQUEST` set. Raises HostLost, StepFailed."""
    return host.run("exec python3 -S -", program(script, request, modules).encode(), timeout)


def shell(host: Host, command: str, failed: str, stdin: bytes = b"", timeout: float = 60) -> Result:
    """Run a command that must succeed; `failed` begins the message if it does not. Raises StepFailed, HostLost."""
    result = host.run(command, stdin, timeout)
    if result.status != 0:
        raise StepFailed(f"{failed}: {result.tail()}")
    return result


def answer(result: Result, what: str) -> dict[str, Any]:
    """Parse the JSON object that a script printed; `what` names it in the message. Raises StepFailed."""
    try:
        if result.status == 0:
            return _OBJECT.validate_json(result.stdout)
    except ValidationError:
        pass
    raise StepFailed(f"{what} cannot be read (status {result.status}): {result.tail()}")
