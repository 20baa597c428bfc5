"""One Hetzner project: its resources, its actions and its clock. The API's handlers work on it under its lock."""

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sandbox.faults import Faults, Occasion, Subject
from sandbox.hetzner.actions import Action, Effect, moment
from sandbox.hetzner.catalog import Catalog
from sandbox.hetzner.errors import HetznerError, not_found
from sandbox.hetzner.machines import Machines, NoMachines
from sandbox.market.records.clock import MarketClock

LIMITS = {"server": 10, "network": 50, "volume": 20, "load_balancer": 5, "primary_ip": 20, "firewall": 50}


@dataclass
class Resource:
    """What every resource has. `created` is in emulated unix seconds."""

    id: int
    name: str
    labels: dict[str, str]
    created: float
    is_protected: bool = False

    KIND = "resource"
    CAN_BE_PROTECTED = True

    def common(self) -> dict[str, Any]:
        """Return the fields that every resource of its kind shows."""
        protection = {"protection": {"delete": self.is_protected}} if self.CAN_BE_PROTECTED else {}
        return {
            "id": self.id,
            "name": self.name,
            "labels": dict(self.labels),
            "created": moment(self.created),
            **protection,
        }

    def to_json(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return self.common()

    def show(self, _project: "Project") -> dict[str, Any]:
        """Return it as the API shows it, with what other resources hold of it."""
        return self.to_json()


Kind = TypeVar("Kind", bound=Resource)


@dataclass
class Project:
    """The state of a project. `tokens` maps a token to whether it may write."""

    clock: MarketClock
    tokens: dict[str, bool]
    catalog: Catalog = field(default_factory=Catalog)
    limits: dict[str, int] = field(default_factory=lambda: dict(LIMITS))
    lock: threading.RLock = field(default_factory=threading.RLock)
    resources: dict[str, dict[int, Resource]] = field(default_factory=dict)
    actions: dict[int, Action] = field(default_factory=dict)
    failing: list[str] = field(default_factory=list)  # commands whose next action fails, each once
    machines: Machines = field(default_factory=NoMachines)
    faults: Faults = field(default_factory=Faults)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1001))

    @property
    def now(self) -> float:
        """Emulated unix seconds."""
        return self.clock.now()

    def strikes(self, fault: str, call: str, *concerned: Resource) -> bool:
        """Say whether an armed fault strikes this kind of call about these resources."""
        subjects = tuple(Subject(one.id, one.name) for one in concerned)
        return self.faults.take(fault, Occasion(subjects, call)) is not None

    def number(self) -> int:
        """Return a new id."""
        return next(self._numbers)

    def settle(self) -> None:
        """Apply the effects of all actions that have ended, the earliest first."""
        for action in sorted(self.actions.values(), key=lambda one: (one.ends, one.id)):
            action.settle(self.now)

    def all(self, kind: type[Kind]) -> list[Kind]:
        """Return the resources of a kind, the oldest first."""
        return [one for one in self.resources.get(kind.KIND, {}).values() if isinstance(one, kind)]

    def find(self, kind: type[Kind], number: int) -> Kind:
        """Return a resource. Raises HetznerError."""
        found = self.resources.get(kind.KIND, {}).get(number)
        if not isinstance(found, kind):
            raise not_found(kind.KIND, number)
        return found

    def add(self, one: Resource) -> None:
        """Keep a new resource. Raises HetznerError if its name is taken, or if the project has as many as it may."""
        self.confirm_name(type(one), one.name, one.id)
        most = self.limits.get(one.KIND)
        if most is not None and len(self.resources.get(one.KIND, {})) >= most:
            raise HetznerError(
                "resource_limit_exceeded", f"{one.KIND} limit exceeded", {"limits": [{"name": one.KIND}]}
            )
        self.resources.setdefault(one.KIND, {})[one.id] = one

    def confirm_name(self, kind: type[Resource], name: str, number: int) -> None:
        """Raise HetznerError if another resource of the kind has the name."""
        if any(one.name == name and one.id != number for one in self.resources.get(kind.KIND, {}).values()):
            raise HetznerError(
                "uniqueness_error",
                f"{kind.KIND} name is already used",
                {"fields": [{"name": "name", "messages": ["already used"]}]},
            )

    def drop(self, one: Resource) -> None:
        """Forget a resource."""
        self.resources.get(one.KIND, {}).pop(one.id, None)

    def begin(
        self,
        command: str,
        resources: list[Resource],
        seconds: float,
        effect: Effect = lambda: None,
        after: Action | None = None,
        is_free: bool = False,
    ) -> Action:
        """Begin an action, after another one if there is one. It locks the server among its resources.

        `is_free`: the server may be locked. Raises HetznerError if it is.
        """
        server = next((one.id for one in resources if one.KIND == "server"), None)
        if server is not None and after is None and not is_free and self.is_locked(server):
            raise HetznerError("locked", "server is locked by another action")
        begins = max(self.now, after.ends if after else self.now)
        failure = None
        if command in self.failing:
            self.failing.remove(command)
            failure = ("action_failed", "Action failed")
        if self.strikes("hetzner-action-fails", command, *resources):
            failure = ("action_failed", "Action failed")
        action = Action(
            self.number(),
            command,
            tuple((one.KIND, one.id) for one in resources),
            begins,
            begins + seconds,
            effect,
            failure,
            server,
        )
        self.actions[action.id] = action
        return action

    def is_locked(self, server: int) -> bool:
        """Say whether an action runs on a server."""
        return any(one.lock == server and not one.is_done for one in self.actions.values())
