"""vLLM on a host: wait until it answers a completion, and say whose fault it is where it does not."""

import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from bootstrap.blame import Blame, blame
from bootstrap.clock import Clock
from bootstrap.errors import EngineDied, EngineRefused, GpuUnfit, StepFailed
from bootstrap.host import Host
from bootstrap.remote_scripts import KIT, RUN, python, shell

START_SECONDS = 900.0
LOOK_SECONDS = 15.0  # one look at a starting vLLM; between two of them the connection is known to be alive
ENDS_ALLOWED = 2  # an end by itself is the host's circumstances once, its fault twice
LAST_LINES = 12


_WHY = re.compile(r"\berror: |^\S*(Error|Exception): ", re.ASCII)


class _State(BaseModel):
    """One look, as scripts/await_vllm.py prints it. `ends`: "<exit code> <status>" of every end since the start."""

    model_config = ConfigDict(extra="forbid")

    ready: bool
    ends: list[str]
    log: str


@dataclass(frozen=True)
class VllmServer:
    """vLLM on one host; `name` is the instance's, `model` what it serves under."""

    host: Host
    clock: Clock
    name: str
    model: str

    def await_answer(self) -> None:
        """Wait until vLLM answers one completion on loopback.

        Raises EngineRefused where it refuses what we ask for, GpuUnfit where another model of GPU may do, and EngineDied
        where it ends again and again or does not answer in time; then it does not run any more.
        """
        deadline = self.clock.monotonic() + START_SECONDS
        ended = 0
        while True:
            state = self._look()
            if state.ready:
                return
            if state.ends:
                ended += len(state.ends)
                self._judge(state, ended)
                self.forget_ends()
            if self.clock.monotonic() > deadline:
                self._stop()
                raise EngineDied(
                    f"{self.name}: vLLM did not answer within {START_SECONDS / 60:.0f} min. {_said(state.log)}"
                )
            self.clock.sleep(0.1)

    def forget_ends(self) -> None:
        """Begin to count anew how often vLLM ended."""
        shell(self.host, f"rm -f {RUN}/vllm.ends {RUN}/vllm.last", f"{self.name}: vLLM's ends could not be cleared")

    def _look(self) -> _State:
        order = {"seconds": LOOK_SECONDS, "model": self.model}
        result = python(self.host, "await_vllm.py", order, LOOK_SECONDS + 90)
        try:
            return _State.model_validate_json(result.stdout)
        except ValidationError:
            raise StepFailed(f"{self.name}: vLLM's state cannot be read: {result.tail()}") from None

    def _judge(self, state: _State, ended: int) -> None:
        """Raise where it is clear whose fault the end is; return where it may be tried once more."""
        whose = blame(state.ends, state.log)
        if whose in {Blame.GPU, Blame.MEMORY}:
            self._stop()
            size = " with this much memory" if whose is Blame.MEMORY else ""
            raise GpuUnfit(
                f"{self.name}: vLLM cannot serve this on this model of GPU{size}; every one of them would do the same. "
                f"{_said(state.log)}",
                too_small=whose is Blame.MEMORY,
            )
        if whose is Blame.ORDER:
            self._stop()
            raise EngineRefused(
                f"{self.name}: vLLM refuses its arguments or the model; every machine would do the same. {_said(state.log)}"
            )
        if ended >= ENDS_ALLOWED:
            self._stop()
            raise EngineDied(f"{self.name}: vLLM ended {ended} times while it started. {_said(state.log)}")

    def _stop(self) -> None:
        self.host.run(f"rm -f {RUN}/open; {KIT}/stop.sh vllm 5")


def _said(log: str) -> str:
    lines = log.strip().splitlines()[-LAST_LINES:]
    if not lines:
        return "It said nothing."
    why = next((line.strip() for line in reversed(lines) if _WHY.search(line)), lines[-1].strip())
    return f"It says: {why}\nIts last lines:\n" + "\n".join(lines)
