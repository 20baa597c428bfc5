"""Read Pulumi's state and config: the instances in all states of the backend, and a stack's config. Changes nothing.

It reads a locked state, too, because `pulumi stack export` takes no lock. An unreadable state becomes an ordinary
result with `trouble`.
"""

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from config.slot_names import slot_of
from providers.vast.api import account, label

INSTANCE, IDENTITY = "pulumi-python:dynamic/vast:Instance", "pulumi-python:dynamic/identity:Identity"
RENTALS, BUCKET = "pulumi-python:dynamic/rentals:Rentals", "pulumi-python:dynamic/store:Bucket"
BLOBS = "pulumi-python:dynamic/store:Blobs"
REASON_LETTERS = 300
NO_SUCH_STATE = "no stack of the backend has this id"
OTHER_STACKS = "the other stacks of the backend"  # stands for a name if Pulumi cannot list the stacks

Run = Callable[[Sequence[str]], str]  # takes arguments of `pulumi`, returns its stdout; raises BackendError


class BackendError(Exception):
    """Pulumi could not be started, or it refused. The message is a sentence for the operator."""


@dataclass(frozen=True)
class StackState:
    """One stack, as its state describes it.

    `instances` maps each name to its instance ids in state. `creating` are names with an unfinished create. `accounts`
    are the market accounts on which state records rentals. `labelled` are the stack ids in labels of its instances.
    `trouble` is the reason why the state could not be read; all other fields are then empty.
    """

    stack: str
    stack_id: str | None = None
    instances: dict[str, frozenset[int]] = field(default_factory=dict)
    creating: frozenset[str] = frozenset()
    accounts: frozenset[int] = frozenset()
    trouble: str | None = None
    labelled: frozenset[str] = frozenset()
    rentals: int = 0  # Rentals resources in state; more than one during a replacement

    @property
    def stack_ids(self) -> frozenset[str]:
        """Return the stack ids under which this stack rents."""
        return self.labelled | ({self.stack_id} if self.stack_id else frozenset())


def run_pulumi(arguments: Sequence[str]) -> str:
    """Run `pulumi` in the current folder and return its stdout. Raises BackendError with its last words."""
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
        reason = _diagnosed(done.stdout) or _last_line(done.stderr)[:REASON_LETTERS]
        raise BackendError(reason or f"`pulumi {arguments[0]}` fails and says nothing")
    return done.stdout


def _diagnosed(stdout: str) -> str:
    """Return the last error in the output of a command with --json, whose stderr omits it. Empty if there is none."""
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
    """Return the name of the stack selected in this folder. Raises BackendError."""
    try:
        return run(["stack", "--show-name"]).strip()
    except BackendError as error:
        raise BackendError(f"no stack is selected here ({error}); name one with --stack") from None


def stack_config(run: Run, stack: str) -> tuple[dict[str, Any], frozenset[str]]:
    """Return a stack's config by key, with plain secrets, and the keys that hold a secret.

    Works even if the stack's state is broken. Raises BackendError.
    """
    rows = json.loads(run(["config", "--json", "--show-secrets", "--stack", stack]))
    values = {key: row.get("objectValue", row.get("value")) for key, row in rows.items()}
    return values, frozenset(key for key, row in rows.items() if row.get("secret"))


def states(run: Run, stack: str) -> list[StackState]:
    """Return the state of every stack in the backend, `stack` first. An unreadable state has `trouble`."""
    found = deployments(run, stack)
    return [
        StackState(name, trouble=one) if isinstance(one, str) else state_of(name, one) for name, one in found.items()
    ]


def deployments(run: Run, stack: str) -> dict[str, dict[str, Any] | str]:
    """Return every stack's `deployment` by its name, `stack` first; a text says why one cannot be read."""
    try:
        others = [name for name in _listed(run) if _short(name) != _short(stack)]
    except BackendError as error:
        # One broken state makes the whole list fail. Then we cannot find the other stacks or their instances.
        return {stack: _deployment(run, stack), OTHER_STACKS: str(error)}
    return {name: _deployment(run, name) for name in [stack, *others]}


def _deployment(run: Run, stack: str) -> dict[str, Any] | str:
    try:
        return deployment_of(run, stack)
    except (BackendError, ValueError) as error:
        return str(error)


def family(run: Run, stack: str, stack_id: str) -> list[StackState]:
    """Return the state of a stack, then those of its slots, because they rent under its id.

    `stack` may be empty or wrong, as in state of an older version or after a rename. It then searches all stacks for
    the id, and leaves out a name that no stack has. A stack that cannot be found has `trouble`.
    """
    if not stack or stack_id not in (own := state_named(run, stack)).stack_ids:
        every = states(run, stack or selected_stack(run))
        found = next((one for one in every if one.stack_id == stack_id), None)
        if found and every[0].trouble and _short(every[0].stack) not in map(_short, _listed(run)):
            del every[0]  # the old name after a rename; inputs keep it until the next `up`
        own = found or StackState(stack, trouble=NO_SUCH_STATE)
        return [own, *(one for one in every if one is not own)]
    try:
        listed = [str(row["name"]) for row in json.loads(run(["stack", "ls", "--json"]))]
    except BackendError as error:
        return [own, StackState(OTHER_STACKS, trouble=str(error))]
    return [own, *(state_named(run, name) for name in listed if slot_of(stack, name))]


def outputs_of(run: Run, stack: str, name: str) -> dict[str, Any] | None:
    """Return one instance's outputs in state, secrets still encrypted; None if state has no such name.

    Raises BackendError.
    """
    deployment = deployment_of(run, stack)
    rows = [row for row in deployment.get("resources") or [] if row.get("type") == INSTANCE and _name(row) == name]
    return dict(rows[0].get("outputs") or {}) if rows else None


def deployment_of(run: Run, stack: str) -> dict[str, Any]:
    """Return the `deployment` that `pulumi stack export` writes, secrets still encrypted. Raises BackendError."""
    return json.loads(run(["stack", "export", "--stack", stack])).get("deployment") or {}


def unwrapped(value: Any) -> Any:
    """Return a value of `pulumi stack export --show-secrets` without the marks of secrets."""
    if isinstance(value, dict):
        if "plaintext" in value:
            return unwrapped(json.loads(value["plaintext"]))
        return {key: unwrapped(item) for key, item in value.items()}
    return [unwrapped(item) for item in value] if isinstance(value, list) else value


def state_named(run: Run, stack: str) -> StackState:
    """Read one stack's state; an unreadable one has `trouble`."""
    found = _deployment(run, stack)
    return StackState(stack, trouble=found) if isinstance(found, str) else state_of(stack, found)


def state_of(stack: str, deployment: dict[str, Any]) -> StackState:
    """Turn the `deployment` of `pulumi stack export` into a StackState."""
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


def slots_of(run: Run, stack: str) -> list[str]:
    """Return the names of the stacks that hold slots of a stack. Raises BackendError."""
    listed = [str(row["name"]) for row in json.loads(run(["stack", "ls", "--json"]))]
    return sorted(_short(name) for name in listed if slot_of(stack, name))


def _listed(run: Run) -> list[str]:
    """Return the names of all stacks in the backend. Raises BackendError."""
    return [str(row["name"]) for row in json.loads(run(["stack", "ls", "--all", "--json"]))]


def _short(stack: str) -> str:
    return stack.rpartition("/")[2]


def _mark(resource: dict[str, Any]) -> label.Label | None:
    text = (resource.get("inputs") or {}).get("label")
    return label.parse(text if isinstance(text, str) else None)


def _name(resource: dict[str, Any]) -> str:
    mark = _mark(resource)
    return mark.name if mark else str(resource.get("urn", "")).rpartition("::")[2]
