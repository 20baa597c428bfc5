"""What Pulumi knows: which instances are in the states of its backend, and what a stack's config says. Nothing is changed.

A state that is locked is read all the same, because `pulumi stack export` takes no lock; one that cannot be read is an
answer like any other.
"""

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from providers.vast.api import account, label

INSTANCE, IDENTITY = "pulumi-python:dynamic/vast:Instance", "pulumi-python:dynamic/identity:Identity"
RENTALS = "pulumi-python:dynamic/rentals:Rentals"
REASON_LETTERS = 300
NO_SUCH_STATE = "no stack of the backend has this id"
OTHER_STACKS = "the other stacks of the backend"  # in place of a name, where the list of them fails

Run = Callable[[Sequence[str]], str]  # arguments of `pulumi` -> its stdout; raises BackendError


class BackendError(Exception):
    """Pulumi could not be asked, or refused; the message is a sentence for the operator."""


@dataclass(frozen=True)
class StackState:
    """One stack as its state tells. `instances` maps name to the ids that state knows under it; `creating` are names of
    whose create the state has no end; `accounts` are those of the market on which state knows something rented; `labelled`
    are the stack ids in labels of its instances. `trouble` is why the state could not be read: nothing of it is known then.
    """

    stack: str
    stack_id: str | None = None
    instances: dict[str, frozenset[int]] = field(default_factory=dict)
    creating: frozenset[str] = frozenset()
    accounts: frozenset[int] = frozenset()
    trouble: str | None = None
    labelled: frozenset[str] = frozenset()
    rentals: int = 0  # that the state has; more than one while one takes the place of another

    @property
    def stack_ids(self) -> frozenset[str]:
        """Return the stack ids under which it rents."""
        return self.labelled | ({self.stack_id} if self.stack_id else frozenset())


def run_pulumi(arguments: Sequence[str]) -> str:
    """Run the engine's command line in the current folder. Raises BackendError with its last words."""
    try:
        done = subprocess.run(
            ["pulumi", "--non-interactive", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise BackendError(
            f'`pulumi` cannot be started ({error.strerror}); in a checkout: eval "$(make -s env)"'
        ) from None
    if done.returncode:
        told = _diagnosed(done.stdout) or _last_line(done.stderr)[:REASON_LETTERS]
        raise BackendError(told or f"`pulumi {arguments[0]}` fails and says nothing")
    return done.stdout


def _diagnosed(stdout: str) -> str:
    """Return the last error that a command with --json tells; its stderr says nothing of it. Empty where it tells none."""
    try:
        rows = json.loads(stdout)["diagnostics"]
        errors = [_last_line(str(row["message"])) for row in rows if row["severity"] == "error"]
    except (ValueError, LookupError, TypeError):
        return ""
    return errors[-1] if errors else ""


def _last_line(text: str) -> str:
    lines = [line.removeprefix("error: ").strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def selected_stack(run: Run) -> str:
    """Return the name of the stack that is selected here. Raises BackendError."""
    try:
        return run(["stack", "--show-name"]).strip()
    except BackendError as error:
        raise BackendError(f"no stack is selected here ({error}); name one with --stack") from None


def stack_config(run: Run, stack: str) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the config of a stack by key, secrets in plain, and the keys that hold a secret; also where its state is broken.

    Raises BackendError.
    """
    rows = json.loads(run(["config", "--json", "--show-secrets", "--stack", stack]))
    values = {key: row.get("objectValue", row.get("value")) for key, row in rows.items()}
    return values, frozenset(key for key, row in rows.items() if row.get("secret"))


def states(run: Run, stack: str) -> list[StackState]:
    """Return the state of every stack in the backend, `stack` first, whether it can be read or not."""
    try:
        listed = _listed(run)
    except BackendError as error:
        # One broken state is enough for the list to fail: then the others cannot be found, and their instances not either.
        return [state_named(run, stack), StackState(OTHER_STACKS, trouble=str(error))]
    others = [name for name in listed if _short(name) != _short(stack)]
    return [state_named(run, name) for name in [stack, *others]]


def family(run: Run, stack: str, stack_id: str) -> list[StackState]:
    """Return the state of a stack first, and those of the stacks that are named after it: they may rent under its id.

    `stack` may be empty or wrong, as in a state of an older version or after a rename: then the one with the id is looked for
    among all, and a name that no stack has is left out. One that cannot be found has `trouble`.
    """
    if not stack or stack_id not in (own := state_named(run, stack)).stack_ids:
        every = states(run, stack or selected_stack(run))
        found = next((one for one in every if one.stack_id == stack_id), None)
        if found and every[0].trouble and _short(every[0].stack) not in map(_short, _listed(run)):
            del every[0]  # the name of before a rename, which inputs keep until the next `up`
        own = found or StackState(stack, trouble=NO_SUCH_STATE)
        return [own, *(one for one in every if one is not own)]
    try:
        listed = [str(row["name"]) for row in json.loads(run(["stack", "ls", "--json"]))]
    except BackendError as error:
        return [own, StackState(OTHER_STACKS, trouble=str(error))]
    return [own, *(state_named(run, name) for name in listed if _short(name).startswith(f"{_short(stack)}-"))]


def outputs_of(run: Run, stack: str, name: str) -> dict[str, Any] | None:
    """Return what the state says of one instance, secrets as they lie there; None where it has none of that name.

    Raises BackendError.
    """
    deployment = deployment_of(run, stack)
    rows = [row for row in deployment.get("resources") or [] if row.get("type") == INSTANCE and _name(row) == name]
    return dict(rows[0].get("outputs") or {}) if rows else None


def deployment_of(run: Run, stack: str) -> dict[str, Any]:
    """Return the `deployment` that `pulumi stack export` writes, secrets as they lie there. Raises BackendError."""
    return json.loads(run(["stack", "export", "--stack", stack])).get("deployment") or {}


def state_named(run: Run, stack: str) -> StackState:
    """Return one stack's state."""
    try:
        deployment = deployment_of(run, stack)
    except (BackendError, ValueError) as error:
        return StackState(stack, trouble=str(error))
    return state_of(stack, deployment)


def state_of(stack: str, deployment: dict[str, Any]) -> StackState:
    """Read the `deployment` that `pulumi stack export` writes."""
    stack_id: str | None = None
    known: dict[str, set[int]] = {}
    for resource in deployment.get("resources") or []:
        number = str(resource.get("id", ""))
        if resource.get("type") == IDENTITY:
            stack_id = str((resource.get("outputs") or {}).get("stackId") or number) or None
        elif resource.get("type") == INSTANCE and number.isdigit():
            known.setdefault(_name(resource), set()).add(int(number))
    pending = [row for row in deployment.get("pending_operations") or [] if row.get("type") == "creating"]
    started = [row["resource"] for row in pending if row["resource"].get("type") == INSTANCE]
    creating = {_name(row) for row in started}
    renting = [row for row in deployment.get("resources") or [] if row.get("type") in (INSTANCE, RENTALS)]
    accounts = [account.number((row.get("outputs") or {}).get("account")) for row in renting]
    return StackState(
        stack,
        stack_id,
        {name: frozenset(ids) for name, ids in known.items()},
        frozenset(creating),
        frozenset(number for number in accounts if number is not None),
        labelled=frozenset(mark.stack_id for row in [*renting, *started] if (mark := _mark(row))),
        rentals=sum(row.get("type") == RENTALS for row in renting),
    )


def _listed(run: Run) -> list[str]:
    """Return the names of all stacks of the backend. Raises BackendError."""
    return [str(row["name"]) for row in json.loads(run(["stack", "ls", "--all", "--json"]))]


def _short(stack: str) -> str:
    return stack.rpartition("/")[2]


def _mark(resource: dict[str, Any]) -> label.Label | None:
    text = (resource.get("inputs") or {}).get("label")
    return label.parse(text if isinstance(text, str) else None)


def _name(resource: dict[str, Any]) -> str:
    mark = _mark(resource)
    return mark.name if mark else str(resource.get("urn", "")).rpartition("::")[2]
