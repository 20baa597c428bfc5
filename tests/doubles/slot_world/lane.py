"""A slot that lives again and again in its world, under a controller that is killed on the way and started anew."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from controller.loop.tick import TICK_SECONDS
from tests.doubles.cloud import REPO
from tests.doubles.controller_process import ControllerProcess
from tests.doubles.slot_world.world import SlotWorld

SEAMS = REPO / "tests" / "doubles" / "controller_seams"
WANTED = {"model": "llama-3.1-8b", "gpu_type": "rtx4090"}
LEASE = "http POST /lease"
LOOK_SECONDS = 0.2
PATIENCE_SECONDS = 90.0
START_SECONDS = 30.0  # in which a seam of the start comes, on a loaded machine
RENEWED_SECONDS = 30.0  # by a controller that has just begun to lead; its further rounds are a minute apart


@dataclass
class Lane:
    """One world whose slot lives again and again, each time from a claim to nothing; its controller is killed on the way."""

    world: SlotWorld
    one: ControllerProcess = field(init=False)
    lives: int = 0
    kills: int = 0
    missed: list[str] = field(default_factory=list)  # strikes that did not come
    slowest: float = 0.0  # seconds from the next controller's first answer until all was right

    def __post_init__(self) -> None:
        self.notes, self.arming = self.world.folder / "seams", self.world.folder / "arm"
        self.one = self.world.process()
        self.one.env = {**self.one.env, "SEAMS_FILE": str(self.notes), "SEAMS_ARM": str(self.arming)}
        self.one.before = [SEAMS]

    def begin(self) -> None:
        """Start a controller, and wait until it answers."""
        self.one.start()
        self.one.until(self.one.is_ready)

    def live(self, strike: str = "") -> bool:
        """Claim, wait until it serves and its lease is renewed, give back, wait for the end. Return whether it was struck."""
        self.lives += 1
        kills, rents, renewals = (
            self.kills,
            len(self.world.shared.contracts(self.world.label(0))),
            self.world.renewals(0),
        )
        self.arming.write_text(strike)
        claim = self.until(self._claimed)
        assert self.until(self._claimed) == claim
        self.until(lambda: self._shown(claim)["status"] == "ready")
        self.until(lambda: not self.world.disagreements())
        if not strike or LEASE in strike:
            self._renewed(renewals)
        assert len(self.world.shared.contracts(self.world.label(0))) == rents + 1
        self.until(lambda: self._call("DELETE", f"/provision/{claim}").status_code == 200)
        self.until(lambda: not (self.world.rows() or self.world.rented() or self.world.stacks()))
        assert self.world.locks() == []
        assert len(self.world.shared.contracts(self.world.label(0))) == rents + 1
        assert self.world.shared.contracts(self.world.label(1)) == []
        return self.kills > kills

    def _renewed(self, before: int) -> None:
        """Have another controller lead, and wait until it renews the lease. Of its seams the notes keep that alone."""
        self.one.kill()
        kept = self.notes.read_text()
        self.begin()
        self.until(lambda: self.world.renewals(0) > before, RENEWED_SECONDS)
        self.until(lambda: LEASE in self.notes.read_text())
        if not self.arming.read_text():
            self.notes.write_text(f"{kept}{LEASE}\n")

    def start_struck(self, strike: str) -> bool:
        """Kill the first controller of this world at a seam of its start. Return whether it was struck."""
        self.arming.write_text(strike)
        self.one.start()
        began = time.monotonic()
        while not self.one.ended and time.monotonic() < began + START_SECONDS:
            time.sleep(LOOK_SECONDS)
        if not self.one.ended:
            return False
        self._next_one()
        return True

    def until(self, found: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
        """Wait until something is found, and return it. A controller that was killed meanwhile is started again."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if value := found():
                    return value
            except httpx.TransportError:
                pass
            if self.one.ended:
                self._next_one()
                deadline = time.monotonic() + seconds
            assert time.monotonic() < deadline, f"{self}\n{self.world.disagreements()}\n{self.one.said()[-4000:]}"
            time.sleep(LOOK_SECONDS)

    def _next_one(self) -> None:
        """Start another controller, and see everything right within two ticks."""
        struck = self.notes.read_text().endswith("struck\n")
        assert struck, f"the controller ended by itself:\n{self.one.said()[-4000:]}"
        strike = self.arming.read_text()
        self.arming.write_text("")
        self.kills += 1
        self.begin()
        began = time.monotonic()
        while wrong := self.world.disagreements():
            seconds = time.monotonic() - began
            assert seconds < 2 * TICK_SECONDS, f"{strike}: {wrong}\n{self.one.said()[-6000:]}"
            self.slowest = max(self.slowest, seconds)
            time.sleep(LOOK_SECONDS)

    def _claimed(self) -> str:
        answer = self._call("POST", "/provision", {"Idempotency-Key": f"life-{self.lives}"}, json=WANTED)
        return str(answer.json()["id"]) if answer.status_code == 202 else ""

    def _shown(self, claim: str) -> Any:
        return self._call("GET", f"/provision/{claim}").json()

    def _call(self, method: str, path: str, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        url = f"http://127.0.0.1:{self.one.port}{path}"
        named = {"X-API-Key": self.world.key, **(headers or {})}
        return httpx.request(method, url, headers=named, trust_env=False, timeout=30, **body)
