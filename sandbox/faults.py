"""What can be made to go wrong on purpose: a closed list of faults, each armed for so many times and taken by whatever
plays it."""

import difflib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault. `sentence` says what happens when it strikes. `on_host`: the host's own name and options for it, where
    a host plays it at its creation."""

    name: str
    sentence: str
    on_host: tuple[str, Mapping[str, object]] | None = None


_ALL = (
    Fault("lost-create-reply", "The market rents the instance, and the connection drops before it answers."),
    Fault("offer-taken", "Somebody else rents the offer in the moment in which we ask for it."),
    Fault("never-boots", "The instance is rented and stays at loading for ever."),
    Fault("ssh-closed", "The instance runs, and nothing answers on its SSH port.", ("ssh_closed", {})),
    Fault(
        "other-host-key-first",
        "The host shows another SSH key at the first login than its log names.",
        ("other_host_key", {}),
    ),
    Fault(
        "other-host-key-later",
        "The host shows the right SSH key at the first connection and another one from the second on.",
        ("other_host_key", {"later": True}),
    ),
    Fault("lying-empty-list", "The list of instances answers that there are none, although there are."),
    Fault("rate-limited", "The market refuses the next call with HTTP 429, whatever it is."),
    Fault("slow-host", "The host downloads at 2 Mbit/s instead of what the offer says.", ("slow", {"mbps": 2.0})),
    Fault("corrupt-blob", "One byte of a stored blob changes, and stays changed until the blob is uploaded again."),
    Fault("vllm-dies-at-start", "vLLM ends while it starts, as on a machine with a broken GPU.", ("vllm_dies", {})),
)
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _ALL}


class FaultUnknown(Exception):
    """A name that no fault has, or a number of times that makes no sense."""


class Faults:
    """Which faults are armed, and how often each will still strike. Thread-safe."""

    def __init__(self, corrupt_next_blob: Callable[[], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, int] = {}
        self._corrupt_next_blob = corrupt_next_blob

    def arm(self, name: str, times: int = 1) -> None:
        """Let a fault strike the next `times` times. Raises FaultUnknown; corrupt-blob strikes at once and raises
        whatever the store raises."""
        if name not in FAULTS:
            near = difflib.get_close_matches(name, FAULTS, 1)
            hint = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(FAULTS)}."
            raise FaultUnknown(f"There is no fault '{name}'. {hint}")
        if times < 1:
            raise FaultUnknown(f"'{name}' can strike once or more often, not {times} times.")
        if name == "corrupt-blob":
            self._corrupt(times)
            return
        with self._lock:
            self._left[name] = self._left.get(name, 0) + times

    def take(self, name: str) -> bool:
        """Say whether a fault strikes now, and count it."""
        with self._lock:
            left = self._left.get(name, 0)
            if left:
                self._left[name] = left - 1
            return left > 0

    def take_on_host(self) -> list[Fault]:
        """Return the faults that the next host plays."""
        return [fault for fault in _ALL if fault.on_host and self.take(fault.name)]

    def armed(self) -> dict[str, int]:
        """Return name -> how often it will still strike, without those that will not."""
        with self._lock:
            return {name: left for name, left in self._left.items() if left}

    def _corrupt(self, times: int) -> None:
        if self._corrupt_next_blob is None:
            raise FaultUnknown("'corrupt-blob' needs the object store, and this sandbox runs without one.")
        for _ in range(times):
            self._corrupt_next_blob()
