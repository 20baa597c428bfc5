"""Actions: work that takes time. Progress follows the clock, and the effect comes at the end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sandbox.hetzner.machines import MachinesError

Effect = Callable[[], object]


@dataclass
class Action:
    """One action on `resources` (type and id), from `begins` to `ends` in emulated unix seconds.

    `failure` is its error's code and message if it will fail; an effect without the machine that it needs makes one.
    `lock`: the server that it locks while it runs, by id.
    """

    id: int
    command: str
    resources: tuple[tuple[str, int], ...]
    begins: float
    ends: float
    effect: Effect = field(repr=False, default=lambda: None)
    failure: tuple[str, str] | None = None
    lock: int | None = None
    is_done: bool = False

    def settle(self, now: float) -> None:
        """Apply the effect if the action has ended."""
        if not self.is_done and now >= self.ends:
            self.is_done = True
            if self.failure is None:
                try:
                    self.effect()
                except MachinesError as error:
                    self.failure = ("server_error", str(error))

    def to_json(self, now: float) -> dict[str, Any]:
        """Return it as the API shows it."""
        status = "running" if not self.is_done else "error" if self.failure else "success"
        error: Mapping[str, str] | None = None
        if self.is_done and self.failure:
            error = {"code": self.failure[0], "message": self.failure[1]}
        length = max(self.ends - self.begins, 1e-9)
        return {
            "id": self.id,
            "command": self.command,
            "status": status,
            "progress": 100 if self.is_done else min(99, max(0, int(100 * (now - self.begins) / length))),
            "started": moment(self.begins),
            "finished": moment(self.ends) if self.is_done else None,
            "resources": [{"id": number, "type": kind} for kind, number in self.resources],
            "error": error,
        }


def moment(unix: float) -> str:
    """Return a moment as the API writes it."""
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="seconds")
