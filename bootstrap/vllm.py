"""Wait until vLLM on a host answers a completion; if it does not, raise an error that names whose fault it is."""

import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from bootstrap.blame import Blame, blame
from bootstrap.clock import Clock
from bootstrap.errors import EngineDied, EngineRefused, GpuUnfit, StepFailed
from bootstrap.host import Host
from bootstrap.remote_scripts import KIT, RUN, python, shell

START_SECONDS = 900.0
LOOK_SECONDS = 15.0  # one look at a starting vLLM; each return of a look proves that the connection lives
ENDS_ALLOWED = 2  # the first end without a known cause may be chance, the second is the host's fault
LAST_LINES = 12


_WHY = re.compile(r"\berror: |^\S*(Error|Exception): ", re.ASCII)


class _State(BaseModel):
    """Parse the output of scripts/await_vllm.py. `ends`: "<exit code> <status>" of every end since the start."""

    model_config = ConfigDict(extra="forbid")

    ready: bool
    ends: list[str]
    log: str


@dataclass(frozen=True)
class VllmServer:
    """Watch vLLM on one host. `name` is the instance's, `model` the name under which the model is served."""

    host: Host
    clock: Clock
    name: str
    model: str

    def await_answer(self) -> None:
        """Wait until vLLM answers one completion on loopback.

        Raises EngineRefused if vLLM refuses its arguments or the model, and GpuUnfit if another model of GPU may do.
        Raises EngineDied if vLLM ends ENDS_ALLOWED times or does not answer in time. After each error vLLM is stopped.
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
                    f"{self.name}: vLLM did not answer within {START_SECONDS / 60:.0f} min. {_describe_log(state.log)}"
                )
            self.clock.sleep(0.1)

    def forget_ends(self) -> None:
        """Set the count of vLLM's ends to zero."""
        shell(self.host, f"rm -f {RUN}/vllm.ends {RUN}/vllm.last", f"{self.name}: vLLM's ends could not be cleared")

    def _look(self) -> _State:
        request = {"seconds": LOOK_SECONDS, "model": self.model}
        result = python(self.host, "await_vllm.py", request, LOOK_SECONDS + 90)
        try:
            return _State.model_validate_json(result.stdout)
        except ValidationError:
            raise StepFailed(f"{self.name}: vLLM's state cannot be read: {result.tail()}") from None

    def _judge(self, state: _State, ended: int) -> None:
        """Raise if it is clear whose fault the end is; return if vLLM may be tried once more."""
        whose = blame(state.ends, state.log)
        if whose in {Blame.GPU, Blame.MEMORY}:
            self._stop()
            size = " with this much memory" if whose is Blame.MEMORY else ""
            raise GpuUnfit(
                f"{self.name}: vLLM cannot serve this on this model of GPU{size}; every one of them would do the same. "
                f"{_describe_log(state.log)}",
                too_small=whose is Blame.MEMORY,
            )
        if whose is Blame.REQUEST:
            self._stop()
            raise EngineRefused(
                f"{self.name}: vLLM refuses its arguments or the model; every machine would do the same. "
                f"{_describe_log(state.log)}"
            )
        if ended >= ENDS_ALLOWED:
            self._stop()
            raise EngineDied(f"{self.name}: vLLM ended {ended} times while it started. {_describe_log(state.log)}")

    def _stop(self) -> None:
        self.host.run(f"rm -f {RUN}/open; {KIT}/stop.sh vllm 5")


def _describe_log(log: str) -> str:
    lines = log.strip().splitlines()[-LAST_LINES:]
    if not lines:
        return "It said nothing."
    why = next((line.strip() for line in reversed(lines) if _WHY.search(line)), lines[-1].strip())
    return f"It says: {why}\nIts last lines:\n" + "\n".join(lines)
