"""Slots' stacks behind the loop's port: processes of Pulumi's CLI, few at once, and the addresses of the slots' hosts."""

import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from bootstrap.services import Progress
from controller.ports import Pause, SlotId, Steps, UpResult, WorldUnavailable
from controller.slot_stack import SlotBusyError, SlotError
from controller.slot_state import StateLook
from controller.world.hosts import Address
from providers.elastic.applied import Applied
from providers.elastic.slot_output import SlotOutput

DESTROYS_AT_ONCE, LOOKS_AT_ONCE = 4, 2
AGAIN_SECONDS = 60.0  # between two reads of the state of a slot without a known output


class Stack(Protocol):
    """One slot's stack; `controller.slot_stack.SlotStack` is the real one. Each method raises SlotError."""

    def make(self) -> bool:
        """Make the stack; return False if it was there already."""

    def up(self, progress: Progress) -> SlotOutput:
        """Rent, adopt or mend an instance, until the endpoint answers."""

    def look(self) -> StateLook:
        """Return what state says."""

    def destroy(self, progress: Progress) -> None:
        """Give back, and have the market confirm it."""

    def remove(self) -> None:
        """Remove the stack."""


class SlotStacks:
    """Satisfies `Stacks`.

    `stack_of` returns a slot's stack. `report_progress` gets each line of its progress: place, phase, text.
    """

    def __init__(
        self,
        stack_of: Callable[[SlotId], Stack],
        report_progress: Callable[[SlotId, str, str], None],
        outputs: "Outputs",
    ) -> None:
        self._stack_of, self._report_progress, self._outputs = stack_of, report_progress, outputs
        self._destroys = threading.BoundedSemaphore(DESTROYS_AT_ONCE)

    def up(self, place: SlotId) -> Steps[UpResult]:
        """Run `up` and return its result, also if it failed.

        Raises Unavailable if another process holds the stack, or if the stack can be neither made nor read.
        """
        yield Pause(slot=place.slot)
        with self._outputs.working(place):
            return self._upped(place)

    def _upped(self, place: SlotId) -> UpResult:
        """Make the stack first: that is one command, and a stack that is new has never served."""
        stack = self._stack_of(place)
        try:
            fresh = self._outputs.known(place) is None and (stack.make() or stack.look().output is None)
        except SlotError as error:
            raise WorldUnavailable(str(error)) from error
        try:
            output = stack.up(lambda phase, text: self._report_progress(place, phase, text))
        except SlotBusyError as error:
            raise WorldUnavailable(str(error)) from error
        except SlotError as error:
            self._outputs.forget(place)
            return UpResult(False, fresh, None, str(error))
        self._outputs.learn(place, output)
        return UpResult(True, fresh, output.usd_per_hour, f"{output.endpoint} answers", output.endpoint)

    def digests(self, places: Collection[SlotId]) -> dict[SlotId, str]:
        """Return the digests of the places whose output is known."""
        found = {place: self._outputs.known(place) for place in places}
        return {place: output.digest for place, output in found.items() if output is not None}

    def made_of(self, place: SlotId) -> Steps[str | None]:
        """Read a slot's state. Raises Unavailable."""
        yield Pause(slot=place.slot)
        try:
            output = self._stack_of(place).look().output
        except SlotError as error:
            raise WorldUnavailable(str(error)) from error
        if output is None:
            self._outputs.forget(place)
            return None
        self._outputs.learn(place, output)
        return output.digest

    def doubt(self, places: Collection[SlotId] | None = None) -> None:
        """Read the states of slots anew in the background; None forgets them all."""
        if places is None:
            self._outputs.forget_all()
        for place in places or ():
            self._outputs.doubt(place)

    def destroy(self, place: SlotId) -> Steps[bool]:
        """Run destroy and remove the stack. Raises Unavailable if that failed: the instance may still be rented."""
        yield Pause(slot=place.slot)
        stack = self._stack_of(place)
        with self._destroys:
            try:
                stack.destroy(lambda phase, text: self._report_progress(place, phase, text))
                stack.remove()
            except SlotError as error:
                raise WorldUnavailable(str(error)) from error
        self._outputs.forget(place)
        return True


class Outputs:
    """The known outputs of slots: from each `up`, else from the stacks' states, which a thread reads in the background."""

    def __init__(self, stack_of: Callable[[SlotId], Stack], monotonic: Callable[[], float]) -> None:
        self._stack_of, self._monotonic = stack_of, monotonic
        self._guard = threading.Lock()
        self._known: dict[SlotId, SlotOutput] = {}
        self._asked: dict[SlotId, float] = {}
        self._working: set[SlotId] = set()
        self._pool = ThreadPoolExecutor(LOOKS_AT_ONCE, thread_name_prefix="slot-state")

    @contextmanager
    def working(self, place: SlotId) -> Iterator[None]:
        """Read nothing of a slot in this block: its `up` tells it at its end."""
        with self._guard:
            self._working.add(place)
        try:
            yield
        finally:
            with self._guard:
                self._working.discard(place)

    def learn(self, place: SlotId, output: SlotOutput) -> None:
        """Keep the output of an `up`."""
        with self._guard:
            self._known[place] = output
            self._asked.pop(place, None)  # a read that is under way is older

    def forget(self, place: SlotId) -> None:
        """Drop a slot's output, which may be out of date."""
        with self._guard:
            self._known.pop(place, None)
            self._asked.pop(place, None)

    def forget_all(self) -> None:
        """Drop everything."""
        with self._guard:
            self._known.clear()
            self._asked.clear()

    def known(self, place: SlotId) -> SlotOutput | None:
        """Return the known output. Reads no state."""
        with self._guard:
            return self._known.get(place)

    def get(self, place: SlotId) -> SlotOutput | None:
        """Return the known output; without one, None, and begin to read the state unless an `up` runs."""
        with self._guard:
            found = self._known.get(place)
        if found is None:
            self.doubt(place)
        return found

    def doubt(self, place: SlotId) -> None:
        """Read a slot's state, not again within AGAIN_SECONDS; the known output holds until then."""
        now = self._monotonic()
        with self._guard:
            if place not in self._working and now - self._asked.get(place, -AGAIN_SECONDS) >= AGAIN_SECONDS:
                self._asked[place] = now
                self._pool.submit(self._read, place)

    def end(self) -> None:
        """Begin no further look."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _read(self, place: SlotId) -> None:
        try:
            output = self._stack_of(place).look().output
        except SlotError:
            return
        with self._guard:
            if output is not None and place in self._asked:
                self._known[place] = output


def address_of(output: SlotOutput | None, applied: Applied | None) -> Address | None:
    """Return the SSH address of a slot's host; None if it is unknown."""
    if output is None or output.ssh is None or applied is None:
        return None
    return Address(output.ssh.host, output.ssh.port, output.ssh.host_key, applied.ssh_key.get_secret_value())
