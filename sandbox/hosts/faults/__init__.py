"""What can be broken about an emulated host, each by name; the same name with on=False mends it."""

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sandbox.hosts.faults import engine, line, machine, start
from sandbox.hosts.spec import HostsError

if TYPE_CHECKING:
    from sandbox.hosts.host import NamespaceHost

FAULTS: Mapping[str, Callable[..., None]] = {
    action.__name__: action for action in (*line.FAULTS, *machine.FAULTS, *engine.FAULTS, *start.FAULTS)
}


def apply(host: "NamespaceHost", name: str, options: Mapping[str, object]) -> None:
    """Break or mend one thing. Raises HostsError for a name or an option that there is not."""
    action = FAULTS.get(name)
    if action is None:
        raise HostsError(f"An emulated host has no fault {name!r}. It has: {', '.join(sorted(FAULTS))}.")
    try:
        inspect.signature(action).bind(host, **options)
    except TypeError as error:
        raise HostsError(f"The fault {name} of an emulated host cannot be set so: {error}.") from error
    action(host, **options)
