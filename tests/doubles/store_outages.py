"""A store in trouble for everybody for ten minutes, in each way that was seen, from each moment of a download on.

machines_given_back("no answer", "half-way") == 0

The rule is the real one, `bootstrap.fetch`; the host's fetch, the store and the clock are in memory.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bootstrap.clock import Until
from bootstrap.download import NETWORK, TOO_SLOW
from bootstrap.errors import BootstrapError
from bootstrap.fetch import HostTransfer
from bootstrap.host import Result
from bootstrap.spec import EndpointSpec, Preflight
from tests.doubles.clock import FakeClock
from weights.manifest import PART_BYTES, File, Manifest

OUTAGE_SECONDS = 600.0
DEADLINE_SECONDS = 2 * 3600.0
DIGEST = "0" * 64
SIZE = 16 * 10**9
MANIFEST = Manifest(
    name="large", files=(File(path="a", size=SIZE, sha256=DIGEST, parts=(DIGEST,) * -(-SIZE // PART_BYTES)),)
)
LINE_MBPS, SLOW_MBPS, LEAST_MBPS = 1000.0, 20.0, 100.0
SPEC = EndpointSpec(
    name="chat-0",
    model=MANIFEST,
    kit=MANIFEST,
    served_model="large",
    token="t" * 40,
    addresses=("1.2.3.4",),
    preflight=Preflight(gpu_names=("RTX 4090",), gpu_count=1, gpu_ram_mb=1, disk_gb=1, download_mbps=LEAST_MBPS),
)


@dataclass(frozen=True)
class Trouble:
    """How a store is in trouble: what a fetch ends with and after how long, whether this machine is told so, too, and
    whether it comes and goes.
    """

    status: int
    stderr: str
    seconds: float
    here: bool = True
    flaps: bool = False


SILENCE = "a: TimeoutError, and no byte for 91 s"
TROUBLES: Mapping[str, Trouble] = {
    "no answer": Trouble(NETWORK, SILENCE, 91),
    "no answer, on and off": Trouble(NETWORK, SILENCE, 91, flaps=True),
    "HTTP 503 to hosts": Trouble(
        NETWORK, "a: the store answers 503 (SlowDown) for /x, and no byte for 91 s", 91, False
    ),
    "HTTP 500 to all": Trouble(NETWORK, "a: the store answers 500 (InternalError) for /x, and no byte for 91 s", 91),
    "slow": Trouble(TOO_SLOW, f"{SLOW_MBPS} Mb/s after 15 s, {LEAST_MBPS} Mb/s are the least", 15),
    "slow, on and off": Trouble(
        TOO_SLOW, f"{SLOW_MBPS} Mb/s after 15 s, {LEAST_MBPS} Mb/s are the least", 15, flaps=True
    ),
    "no byte at first": Trouble(TOO_SLOW, f"0.0 Mb/s after 4 s, {LEAST_MBPS} Mb/s are the least", 4),
}
# When it begins, in bytes that have come.
MOMENTS: Mapping[str, float] = {"first byte": 0.0, "half-way": SIZE / 2, "last byte": SIZE - 1.0}
SPELL_SECONDS, QUIET_SECONDS = (100.0, 200.0), (5.0, 60.0)  # of a store that comes and goes


class TroubledStore:
    """Satisfies `bringing.Store`; `down` says whether it is in trouble at the moment."""

    def __init__(self, clock: FakeClock, trouble: Trouble, chance: random.Random) -> None:
        self.clock, self.trouble = clock, trouble
        self.outages: list[tuple[float, float]] = []
        self._chance = chance

    def begin(self) -> None:
        now = end = self.clock.now + OUTAGE_SECONDS
        self.outages = [(self.clock.now, end)]
        if self.trouble.flaps:
            at, self.outages = self.clock.now, []
            while at < now:
                seconds = self._chance.uniform(*SPELL_SECONDS)
                self.outages.append((at, at + seconds))
                at += seconds + self._chance.uniform(*QUIET_SECONDS)

    @property
    def down(self) -> bool:
        return any(begin <= self.clock.now < end for begin, end in self.outages)

    def presign(self, sha256: str, _seconds: int) -> str:
        return f"http://store/{sha256}"

    def store_trouble(self) -> str:
        return "The store does not answer." if self.down and self.trouble.here else ""

    def store_mbps(self, _sha256: str, _size: int) -> float | None:
        slow = SLOW_MBPS if self.trouble.status == TOO_SLOW and self.trouble.stderr[:8] != "0.0 Mb/s" else None
        return slow if self.down else LINE_MBPS


class FetchingHost:
    """A host that fetches at the rate of its line; `faulty` is one whose own line does what the store's trouble does."""

    def __init__(self, store: TroubledStore, begins: float, faulty: bool = False) -> None:
        self.store, self.begins, self.faulty = store, begins, faulty
        self.came = 0.0
        self.struck = False

    def run(self, command: str, stdin: bytes = b"", timeout: float = 60) -> Result:
        clock, before = self.store.clock, self.came
        while self.came < SIZE:
            if not self.store.outages and self.came >= self.begins and not self.faulty:
                self.store.begin()
            if self.faulty or self.store.down:
                self.struck = True
                clock.now += self.store.trouble.seconds
                stdout = json.dumps({"bytes": int(self.came - before), "kept": 0})
                return Result(self.store.trouble.status, stdout, self.store.trouble.stderr)
            left = min(SIZE, self.begins if self.came < self.begins else SIZE) - self.came
            step = min(left, LINE_MBPS * 1e6 / 8)
            self.came += max(step, 1.0)
            clock.now += step * 8 / 1e6 / LINE_MBPS
        return Result(0, json.dumps({"bytes": SIZE, "kept": 0, "seconds": 128.0}), "")

    def put(self, data: bytes, path: str, mode: int) -> None: ...

    def close(self) -> None: ...


def machines_given_back(name: str, moment: str, seed: int = 0, faulty: bool = False) -> int:
    """Return 1 if a host is given back in such a trouble, else 0. `faulty`: its own line is bad, and the store is well."""
    clock = FakeClock()
    store = TroubledStore(clock, TROUBLES[name], random.Random(seed))
    host = FetchingHost(store, MOMENTS[moment], faulty)
    report_progress: Callable[[str], None] = lambda _text: None  # noqa: E731 -- a callable, as Bringing wants it
    try:
        HostTransfer(host, SPEC, MANIFEST, store, Until(clock, DEADLINE_SECONDS), report_progress).to("/x")
    except BootstrapError:
        return 1
    finally:
        assert host.struck, "the store was never in trouble"
    return 0
