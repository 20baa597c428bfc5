"""The faults of an emulated host, by name. The same name with on=False mends the fault."""

import inspect
from collections.abc import Callable, Mapping

from sandbox.hosts import machine_faults, network_faults, start_faults, vllm_faults
from sandbox.hosts.host import NamespaceHost
from sandbox.hosts.spec import HostsError

FAULTS: Mapping[str, Callable[..., None]] = {
    action.__name__: action
    for action in (*network_faults.FAULTS, *machine_faults.FAULTS, *vllm_faults.FAULTS, *start_faults.FAULTS)
}


def apply(host: NamespaceHost, name: str, options: Mapping[str, object]) -> None:
    """Break or mend one thing of a host. Raises HostsError if the host lacks this fault, or the fault this option."""
    action = FAULTS.get(name)
    if action is None:
        raise HostsError(f"An emulated host has no fault {name!r}. It has: {', '.join(sorted(FAULTS))}.")
    try:
        inspect.signature(action).bind(host, **options)
    except TypeError as error:
        raise HostsError(f"The fault {name} of an emulated host cannot be set so: {error}.") from error
    action(host, **options)
