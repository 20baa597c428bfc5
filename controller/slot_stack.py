"""One slot's Pulumi stack: its `up`, `refresh` and `destroy` as processes of the CLI, and the reading of the main stack.

A slot has a stack of its own, so a slow boot holds no lock of the main stack. The program sees by the stack's name that it
is a slot (`components/slot.py`).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bootstrap.services import Progress
from config.slot_names import SlotName
from controller.pulumi_cli import Command, Finished, Place, run_command, work_folder
from controller.slot_lock import Holder, are_dead_here, holders
from providers import engine_events
from providers.elastic import applied, slot_output
from providers.elastic.applied import Applied, UnreadableOutputError
from providers.elastic.slot_output import SlotOutput
from providers.vast.pulumi_state import INSTANCE
from providers.vast.running_check import is_down

NO_STACK, NO_OUTPUT = "no stack named", "does not have output property"
PENDING = "pending operations from previous deployment"
UPDATE = ("--yes", "--skip-preview", "--json")
REASON_LETTERS = 1000


class SlotError(Exception):
    """A command on a slot's stack failed. The message is for the operator."""


class SlotBusyError(SlotError):
    """Another process works on the slot's stack, or may: nothing was changed."""


class NoMainStackError(SlotError):
    """The backend has no such main stack. That may be another backend, so it proves no end."""


@dataclass(frozen=True)
class Look:
    """What state says of a slot's instance after a refresh. `output` is None if none is rented, or none ever served.

    `dead`: the market or the host says for certain that it serves nobody. `pending`: an unfinished create is recorded.
    """

    output: SlotOutput | None
    drift: tuple[str, ...] = ()
    pending: bool = False

    @property
    def dead(self) -> bool:
        """Whether it serves nobody, for certain."""
        return any(is_down(one) for one in self.drift)


@dataclass(frozen=True)
class SlotStack:
    """The stack of one slot. `command` runs Pulumi; `is_dead` says whether the holders of a lock are dead."""

    slot: SlotName
    place: Place
    environ: Mapping[str, str] = field(repr=False)  # of this process; the place's own comes over it
    command: Command = run_command
    is_dead: Callable[[tuple[Holder, ...]], bool] = are_dead_here

    @property
    def name(self) -> str:
        """The stack's name."""
        return self.slot.own

    def up(self, progress: Progress) -> SlotOutput:
        """Rent, or adopt or mend what is there, until the endpoint answers; `progress` gets phase and text.

        Looks at the host first, so that drift is mended. Raises SlotError.
        """
        if NO_STACK in (first := self._update(("up", "--refresh"), progress)).stderr:
            self._checked("stack", self._pulumi("stack", "init", self.name, "--no-select"))
            first = self._update(("up", "--refresh"), progress)
        self._checked("up", first)
        if PENDING in first.stdout:
            # Only now: before, a sweep would have taken the instance of the killed create for unknown.
            self._clear_pending()
        found = self.look().output
        if found is None:
            raise SlotError(f"slot {self.name}: `up` ended without an instance; run it again")
        return found

    def refresh(self, progress: Progress) -> Look:
        """Look at market and host, and return what state says then. Raises SlotError."""
        done = self._update(("refresh",), progress)
        if NO_STACK in done.stderr:
            return Look(None)
        self._checked("refresh", done)
        return self.look()

    def look(self) -> Look:
        """Return what state says, without any look at market or host. Raises SlotError."""
        exported = self._pulumi("stack", "export", "--stack", self.name)
        if NO_STACK in exported.stderr:
            return Look(None)
        try:
            deployment = json.loads(self._checked("stack", exported).stdout).get("deployment") or {}
        except (ValueError, AttributeError):
            raise SlotError(f"slot {self.name}: Pulumi's export of its state is no JSON") from None
        rows = [row for row in deployment.get("resources") or [] if row.get("type") == INSTANCE]
        pending = bool(deployment.get("pending_operations"))
        outputs = next((row.get("outputs") or {} for row in rows if not row.get("delete")), None)
        if outputs is None:
            return Look(None, (), pending)
        found = {**outputs, "host_key": outputs.get("hostKey"), "instance_id": outputs.get("instanceId")}
        prices = {"charged": outputs.get("chargedUsdPerHour"), "price": outputs.get("usdPerHour")}
        try:
            written = slot_output.written(self.slot.instance, self._digest(), {"ssh": "", **found, **prices})
            output = slot_output.parse(written)
        except (UnreadableOutputError, KeyError) as error:
            raise SlotError(f"slot {self.name}: its state cannot be read: {error}") from None
        return Look(output, tuple(map(str, outputs.get("drift") or ())), pending)

    def destroy(self, progress: Progress) -> None:
        """Drain, give back, and have the market confirm it; a create that was killed leaves nothing either.

        Works without the main stack. If the keys in state are refused, those of the main stack are used. Raises SlotError.
        """
        done = self._update(("destroy", "--run-program=false"), progress)
        if NO_STACK in done.stderr:
            return
        if done.status and holders(done.stderr) is None:
            again = self._update(("destroy", "--run-program=true"), progress)
            done = again if not again.status else done
        self._checked("destroy", done)
        if self.look().pending:
            self._clear_pending()

    def remove(self, force: bool = False) -> None:
        """Remove the stack. One that still has resources is refused, unless by `force`: it leaves what is rented. Raises
        SlotError.
        """
        done = self._pulumi("stack", "rm", self.name, "--yes", *(["--force"] if force else []))
        if NO_STACK not in done.stderr:
            self._checked("stack rm", done)

    def cancel(self) -> None:
        """Break the lock of the stack, whoever holds it. Raises SlotError."""
        self._checked("cancel", self._run("cancel", self.name, "--yes"))

    def _digest(self) -> str:
        """Return the digest of the last `up`; "none" if none ended well."""
        done = self._pulumi("stack", "output", slot_output.NAME, "--json", "--show-secrets", "--stack", self.name)
        try:
            return str(json.loads(done.stdout)["digest"])
        except (ValueError, TypeError, KeyError):
            return "none"

    def _clear_pending(self) -> None:
        self._checked("refresh", self._update(("refresh", "--clear-pending-creates"), lambda _phase, _text: None))

    def _update(self, words: tuple[str, ...], progress: Progress) -> Finished:
        def on_line(line: str) -> None:
            event = engine_events.parse(line)
            if isinstance(event, engine_events.Progress):
                progress(event.phase, event.text)

        return self._pulumi(*words, *UPDATE, "--stack", self.name, on_line=on_line)

    def _pulumi(self, *words: str, on_line: Callable[[str], None] = lambda _line: None) -> Finished:
        """Run a command; a lock whose holder is dead is broken, and the command runs again."""
        done = self._run(*words, on_line=on_line)
        if done.status and (found := holders(done.stderr)) is not None and self.is_dead(found):
            self.cancel()
            done = self._run(*words, on_line=on_line)
        return done

    def _run(self, *words: str, on_line: Callable[[str], None] = lambda _line: None) -> Finished:
        with work_folder(self.place, self.name, self.slot.stack) as folder:
            return self.command(words, folder, {**self.environ, **self.place.environment}, on_line)

    def _checked(self, does: str, done: Finished) -> Finished:
        if not done.status:
            return done
        found = holders(done.stderr)
        if found is not None:
            who = ", ".join(map(str, found)) or "a process that Pulumi does not name"
            raise SlotBusyError(
                f"slot {self.name} is held by {who}, so its `{does}` changed nothing. If that process is gone: "
                f"pulumi cancel --stack {self.name}"
            )
        raise SlotError(f"slot {self.name}: `{does}` failed: {reason(done)}")


def read_parent(stack: str, place: Place, environ: Mapping[str, str], command: Command = run_command) -> Applied | None:
    """Return what the main stack's last `up` applied; None if it exports nothing of elastic fleets.

    Raises NoMainStackError, and SlotError if it cannot be read.
    """
    words = ("stack", "output", applied.NAME, "--json", "--show-secrets", "--stack", stack)
    with work_folder(place, stack, stack) as folder:
        done = command(words, folder, {**environ, **place.environment}, lambda _line: None)
    if NO_OUTPUT in done.stderr:
        return None
    if NO_STACK in done.stderr:
        raise NoMainStackError(f"the backend has no stack {stack}")
    if done.status:
        raise SlotError(f"the main stack {stack} cannot be read: {reason(done)}")
    try:
        return applied.parse(json.loads(done.stdout))
    except (ValueError, UnreadableOutputError) as error:
        why = error if isinstance(error, UnreadableOutputError) else "it is no JSON"
        raise SlotError(f"the main stack {stack}: {why}; run `pulumi up --stack {stack}`") from None


def reason(done: Finished) -> str:
    """Return why a command failed: the errors of resources and program, else Pulumi's last words."""
    events: list[Any] = [engine_events.parse(line) for line in done.stdout.splitlines()]
    troubles = [event for event in events if isinstance(event, engine_events.Trouble) and event.is_error]
    told = list(dict.fromkeys(f"{one.name}: {one.text}" if one.name else one.text for one in troubles))
    lines = [line.removeprefix("error: ").strip() for line in done.stderr.splitlines() if line.strip()]
    text = "; ".join(told) or (lines[-1] if lines else f"Pulumi says nothing (exit status {done.status})")
    return text[:REASON_LETTERS]
