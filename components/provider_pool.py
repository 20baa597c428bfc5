"""Explicit provider processes: how many, and which instance goes to which.

A provider process runs four calls at once, so a fleet whose creates take minutes needs one process for each four
instances. Account keys travel as args of these providers, known in every preview; the identity has a process of its own,
without any key, because everybody waits for it.
"""

import pulumi

CALLS_A_PROCESS = 4


def processes(replicas: int) -> int:
    """Return how many provider processes a fleet of this size needs."""
    return -(-replicas // CALLS_A_PROCESS)


def process_of(index: int) -> int:
    """Return the process that runs the instance with this index."""
    return index // CALLS_A_PROCESS


def keyless(name: str) -> pulumi.ResourceOptions:
    """Return options for a resource whose provider process holds no account key."""
    return pulumi.ResourceOptions(provider=pulumi.ProviderResource("pulumi-python", name, {}))


class ProviderPool:
    """Makes `pulumi-python` provider resources by name, each of them one process with the given args."""

    def __init__(self, project: str, args: dict[str, pulumi.Output[str]]) -> None:
        self._args = {f"{project}:{key}": value for key, value in args.items()}
        self._made: dict[str, pulumi.ProviderResource] = {}

    def get(self, name: str) -> pulumi.ProviderResource:
        """Return the provider of this name, made at its first use."""
        if name not in self._made:
            self._made[name] = pulumi.ProviderResource("pulumi-python", name, dict(self._args))
        return self._made[name]
