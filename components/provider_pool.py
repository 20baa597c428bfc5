"""Makes the provider processes. One process, which holds the account's keys, serves the whole stack.

It serves as many calls at once as the engine sends (`providers.wide_pool`). It belongs to the program and to no fleet, so
that deletes of a removed fleet also use the keys of today's config. Some versions of Python and of Pulumi's SDK limit a
process to four calls. Then every four instances get a process of their own.
"""

import pulumi

from providers.wide_pool import is_wide_possible

NAME = "account-provider"
CALLS_A_PROCESS = 4  # with an SDK that cannot be widened


def name_for(instance: int, wide: bool) -> str:
    """Return the name of the provider for the stack's n-th instance, counted from 0."""
    return NAME if wide else f"{NAME}-{1 + instance // CALLS_A_PROCESS}"


class ProviderPool:
    """Makes `pulumi-python` provider resources, each of them one process with the given args.

    `wide`: whether one process serves all calls; None finds out.
    """

    def __init__(self, project: str, args: dict[str, pulumi.Output[str]], wide: bool | None = None) -> None:
        self._args = {f"{project}:{key}": value for key, value in args.items()}
        self._wide = is_wide_possible() if wide is None else wide
        self._made: dict[str, pulumi.ProviderResource] = {}
        self._instances = 0

    def common(self) -> pulumi.ProviderResource:
        """Return the provider of the resources that a stack has once."""
        return self._get(NAME)

    def for_instance(self) -> pulumi.ProviderResource:
        """Return the provider of the next instance. Its create takes minutes, and must not wait for another create."""
        name = name_for(self._instances, self._wide)
        self._instances += 1
        return self._get(name)

    def _get(self, name: str) -> pulumi.ProviderResource:
        if name not in self._made:
            self._made[name] = pulumi.ProviderResource("pulumi-python", name, dict(self._args))
        return self._made[name]
