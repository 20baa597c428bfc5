"""Close or open this host's gate for a controller, or only look, and print as one JSON object what the host tells then.

REQUEST: {"act": "look", "close" or "open"}. Sent on stdin behind gate_looks.py, so that it needs no kit. Standard library
only; Python 3.10 or later.

    gate       "open" or "closed"
    in_flight  requests at the gate; null if the gate does not answer
    engine     requests in vLLM; null if vLLM does not answer
    admitted   a mark that changes with each line of the log of admitted requests
    idle       seconds for which the host served nobody, at least; null if unknown
    ending     why the host is ending itself; empty if it is not
    opens      whether the gate is open, or a controller may open it
"""

import json
import time
from pathlib import Path

import gate_looks as looks

FRESH_SECONDS = 60.0  # an older word of the service that ends the host says nothing of now


class Gate:
    """The gate of this host. `root` is the folder that stands for `/`; clock, pauses and answers are handed in by tests."""

    def __init__(self, root=Path("/"), ask=looks.answer_of, sleep=time.sleep, monotonic=time.monotonic):
        self.etc, self.runs = root / "opt/gpu-fleet/etc", root / "run/gpu-fleet"
        self._ask, self._sleep, self._monotonic = ask, sleep, monotonic

    def close(self):
        """Close the gate. The mark first: only what a controller closed may a controller open without a proof."""
        if (self.runs / looks.OPEN).exists():
            (self.runs / looks.LEFT).touch()
            (self.runs / looks.OPEN).unlink(missing_ok=True)

    def open(self):
        """Open what a controller closed since this host's start, if vLLM answers and the host does not end itself."""
        if self.opens():
            (self.runs / looks.OPEN).touch()
            (self.runs / looks.LEFT).unlink(missing_ok=True)

    def opens(self):
        """Return whether a controller closed the gate since this host's start, vLLM answers, and the host does not end
        itself.
        """
        return (self.runs / looks.LEFT).exists() and not self.ending() and looks.serves(self._ask)

    def ending(self):
        try:
            return (self.etc / "self-destruct.ending").read_text().strip()
        except OSError:
            return ""

    def idle(self):
        try:
            said = json.loads((self.runs / "self-destruct.json").read_text())
            idle, age = float(said["idle"]), self._monotonic() - float(said["at"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return idle if 0 <= age <= FRESH_SECONDS else None

    def look(self):
        gate = "open" if (self.runs / looks.OPEN).is_file() else "closed"
        found, engine = looks.under_way(self._ask, self._sleep), looks.engine(self._ask)
        idle = self.idle()
        self._sleep(looks.LOG_SECONDS)
        # Last, because it shows what happened until now.
        mark = looks.mark_of(self.runs / looks.ADMITTED)
        admitted = "-".join(map(str, mark)) if mark else "none"
        return {
            "gate": gate,
            "in_flight": None if found is None else int(found),
            "engine": None if engine is None else int(engine),
            "admitted": admitted,
            "idle": idle,
            "ending": self.ending(),
            "opens": gate == "open" or self.opens(),
        }


def answered(gate, act):
    """Do what was asked, and return what the host tells then."""
    if act != "look":
        {"close": gate.close, "open": gate.open}[act]()
    return gate.look()


if __name__ == "__main__":
    print(json.dumps(answered(Gate(), REQUEST["act"])))
