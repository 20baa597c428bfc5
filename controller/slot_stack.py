"""One slot's Pulumi stack: its `up`, `refresh` and `destroy` as processes of the CLI, and the reading of the main stack.

A slot has a stack of its own, so a slow boot holds no lock of the main stack. The program sees by the stack's name that it
is a slot (`components/slot.py`).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.services import Progress
from config.slot_names import SlotName
from controller.empty_attributes import HIDDEN, WAY_OUT, remove_empty_attributes
from controller.pulumi_cli import Command, Finished, PulumiFolders, run_command, work_folder
from controller.slot_lock import Holder, are_dead_here, holders
from controller.slot_state import NO_DIGEST, StateLook, look_at, told_by
from providers import engine_events
from providers.elastic import applied, slot_output
from providers.elastic.applied import Applied, UnreadableOutputError
from providers.elastic.slot_output import SlotOutput
from providers.vast import certificate_renewal

NO_STACK, NO_OUTPUT, IS_THERE = "no stack named", "does not have output property", "already exists"
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
class SlotStack:
    """The stack of one slot. `command` runs Pulumi; `is_dead` says whether the holders of a lock are dead."""

    slot: SlotName
    place: PulumiFolders
    environ: Mapping[str, str] = field(repr=False)  # of this process; the place's own comes over it
    command: Command = run_command
    is_dead: Callable[[tuple[Holder, ...]], bool] = are_dead_here

    @property
    def name(self) -> str:
        """The stack's name."""
        return self.slot.own

    def make(self) -> bool:
        """Make the stack; return False if it was there already. Raises SlotError."""
        done = self._pulumi("stack", "init", self.name, "--no-select")
        if done.status and IS_THERE in done.stderr:
            return False
        self._checked("stack init", done)
        return True

    def up(self, progress: Progress) -> SlotOutput:
        """Rent, adopt or mend the instance until the endpoint answers; `progress` gets phase and text.

        Looks at the host first, so that drift is mended. A stack that is not there is made, at the price of a vain command.
        Raises SlotError.
        """
        if NO_STACK in (first := self._update(("up", "--refresh"), progress)).stderr:
            self.make()
            first = self._update(("up", "--refresh"), progress)
        self._checked("up", first)
        if PENDING in first.stdout:
            # Only now: before, a sweep would have taken the instance of the killed create for unknown.
            self._clear_pending()
        events = [engine_events.parse(line) for line in first.stdout.splitlines()]
        found = told_by(self.slot.instance, events) or self.look().output
        if found is None:
            raise SlotError(f"slot {self.name}: `up` ended without an instance; run it again")
        return found

    def refresh(self, progress: Progress) -> StateLook:
        """Look at market and host, and return what state says then. Raises SlotError."""
        done = self._update(("refresh",), progress)
        if NO_STACK in done.stderr:
            return StateLook(None)
        self._checked("refresh", done)
        return self.look()

    def look(self) -> StateLook:
        """Return what state says, without any look at market or host. Raises SlotError."""
        exported = self._pulumi("stack", "export", "--stack", self.name)
        if NO_STACK in exported.stderr:
            return StateLook(None)
        try:
            deployment = json.loads(self._checked("stack", exported).stdout).get("deployment") or {}
        except (ValueError, AttributeError):
            raise SlotError(f"slot {self.name}: Pulumi's export of its state is no JSON") from None
        try:
            return look_at(self.slot.instance, deployment, self._digest)
        except UnreadableOutputError as error:
            raise SlotError(f"slot {self.name}: its state cannot be read: {error}") from None

    def renew(self, urns: Sequence[str], progress: Progress) -> list[str]:
        """Renew the certificates of these resources, and nothing else.

        If the update would do more, return that as sentences and do nothing. Raises SlotError.
        """
        targets = [word for urn in urns for word in ("--target", urn)]
        seen = self._checked("preview", self._pulumi("preview", "--json", *targets, "--stack", self.name))
        try:
            more = certificate_renewal.beyond(json.loads(seen.stdout)["steps"])
        except (ValueError, KeyError, TypeError):
            raise SlotError(f"slot {self.name}: Pulumi's preview is no JSON with steps") from None
        if not more:
            self._checked("up", self._update(("up", *targets), progress))
        return more

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
        """Remove the stack. Raises SlotError.

        The engine refuses a stack that still has resources, unless by `force`: then a rented instance stays rented.
        """
        done = self._pulumi("stack", "rm", self.name, "--yes", *(["--force"] if force else []))
        if NO_STACK not in done.stderr:
            self._checked("stack rm", done)

    def cancel(self) -> None:
        """Break the lock of the stack, even if another process holds it. Raises SlotError."""
        self._checked("cancel", self._run("cancel", self.name, "--yes"))

    def _digest(self) -> str:
        """Return the digest of the last `up` from the secret output `slot`, as older versions wrote it alone."""
        done = self._pulumi("stack", "output", slot_output.NAME, "--json", "--show-secrets", "--stack", self.name)
        try:
            return str(json.loads(done.stdout)["digest"])
        except (ValueError, TypeError, KeyError):
            return NO_DIGEST

    def _clear_pending(self) -> None:
        self._checked("refresh", self._update(("refresh", "--clear-pending-creates"), lambda _phase, _text: None))

    def _update(self, words: tuple[str, ...], progress: Progress) -> Finished:
        def on_line(line: str) -> None:
            event = engine_events.parse(line)
            if isinstance(event, engine_events.Progress):
                progress(event.phase, event.text)

        return self._pulumi(*words, *UPDATE, "--stack", self.name, on_line=on_line)

    def _pulumi(self, *words: str, on_line: Callable[[str], None] = lambda _line: None) -> Finished:
        """Run a command; again if a killed command was in its way: a lock without a holder, or a state that it hid."""
        done = self._run(*words, on_line=on_line)
        if done.status and is_hidden(done, self.place, self.environ, self.name):
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
        raise SlotError(f"slot {self.name}: `{does}` failed: {told(done)}")


def read_parent(
    stack: str, place: PulumiFolders, environ: Mapping[str, str], command: Command = run_command
) -> Applied | None:
    """Return what the main stack's last `up` applied; None if it exports nothing of elastic fleets.

    Raises NoMainStackError, and SlotError if it cannot be read.
    """
    words = ("stack", "output", applied.NAME, "--json", "--show-secrets", "--stack", stack)
    with work_folder(place, stack, stack) as folder:
        done = command(words, folder, {**environ, **place.environment}, lambda _line: None)
        if done.status and is_hidden(done, place, environ, stack):
            done = command(words, folder, {**environ, **place.environment}, lambda _line: None)
    if NO_OUTPUT in done.stderr:
        return None
    if NO_STACK in done.stderr:
        raise NoMainStackError(f"the backend has no stack {stack}")
    if done.status:
        raise SlotError(f"the main stack {stack} cannot be read: {told(done)}")
    try:
        return applied.parse(json.loads(done.stdout))
    except (ValueError, UnreadableOutputError) as error:
        why = error if isinstance(error, UnreadableOutputError) else "it is no JSON"
        raise SlotError(f"the main stack {stack}: {why}; run `pulumi up --stack {stack}`") from None


def is_hidden(done: Finished, place: PulumiFolders, environ: Mapping[str, str], stack: str) -> bool:
    """Return whether the empty file of a killed command hid the stack's state. It is removed then."""
    backend = {**environ, **place.environment}.get("PULUMI_BACKEND_URL", "")
    return HIDDEN in done.stderr and remove_empty_attributes(backend, stack)


def told(done: Finished) -> str:
    """Return why a command failed, with the way out of a state that a killed command hid."""
    why = reason(done)
    return f"{why}. {WAY_OUT}" if HIDDEN in why else why


def reason(done: Finished) -> str:
    """Return why a command failed: the errors of resources and program, else Pulumi's last words."""
    events: list[Any] = [engine_events.parse(line) for line in done.stdout.splitlines()]
    troubles = [event for event in events if isinstance(event, engine_events.Trouble) and event.is_error]
    told = list(dict.fromkeys(f"{one.name}: {one.text}" if one.name else one.text for one in troubles))
    lines = [line.removeprefix("error: ").strip() for line in done.stderr.splitlines() if line.strip()]
    text = "; ".join(told) or (lines[-1] if lines else f"Pulumi says nothing (exit status {done.status})")
    return text[:REASON_LETTERS]
