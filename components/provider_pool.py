"""The provider processes: one that holds the account's keys serves the whole stack.

It serves as many calls at once as the engine sends (`providers.wide_pool`), and it is there as long as the program is: a
fleet that leaves takes no provider along, so whatever is deleted last is deleted with the keys of today's config. Where
Python or Pulumi's SDK do not let a process serve more than four calls, every four instances get a process of their own.
"""

import pulumi

from providers.wide_pool import is_wide_possible

NAME = "account-provider"
CALLS_A_PROCESS = 4  # of an SDK that cannot be widened


def name_for(instance: int, wide: bool) -> str:
    """Return the name of the provider for the stack's n-th instance, counted from 0."""
    return NAME if wide else f"{NAME}-{1 + instance // CALLS_A_PROCESS}"


class ProviderPool:
    """Makes `pulumi-python` provider resources, each of them one process with the given args.

    `wide` says whether a process serves all calls; None: find out.
    """

    def __init__(self, project: str, args: dict[str, pulumi.Output[str]], wide: bool | None = None) -> None:
        self._args = {f"{project}:{key}": value for key, value in args.items()}
        self._wide = is_wide_possible() if wide is None else wide
        self._made: dict[str, pulumi.ProviderResource] = {}
        self._instances = 0

    def common(self) -> pulumi.ProviderResource:
        """Return the provider of everything that there is once in a stack."""
        return self._get(NAME)

    def for_instance(self) -> pulumi.ProviderResource:
        """Return the provider of the next instance; its create takes minutes, and must not wait for another's."""
        name = name_for(self._instances, self._wide)
        self._instances += 1
        return self._get(name)

    def _get(self, name: str) -> pulumi.ProviderResource:
        if name not in self._made:
            self._made[name] = pulumi.ProviderResource("pulumi-python", name, dict(self._args))
        return self._made[name]
