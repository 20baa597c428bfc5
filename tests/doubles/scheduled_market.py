"""A market in which the fault of a seeded chance strikes at given moments; see `schedule`."""

import random
from typing import Any

from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.api.offer import Offer
from providers.vast.api.responses import Account
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer

# What can strike at a call, by its name; `""` are steps on a host.
ANYWHERE = ("killed", "engine-gone", "interrupted", "landlord", "odd-words", "odd-words", "stopped")
UNUSABLE = ("unusable", "rate-limited")
FAULTS = {
    "search": UNUSABLE,
    "rent": (
        *UNUSABLE,
        "lost-reply",
        "killed-after",
        "taken",
        "taken-but-rented",
        "never-boots",
        "rented-twice",
        "second-creator",
    )
    * 2,
    "list": (*UNUSABLE, "lying-spell", "lying-spell", "second-creator"),
    "show": (*UNUSABLE, "lying-spell"),
    "log": UNUSABLE,
    "destroy": (*UNUSABLE, "lost-reply", "killed-after", "deaf", "deaf", "deaf"),
    "": ("host-fault", "our-fault", "host-lost"),
}
ODD_WORDS: tuple[dict[str, Any], ...] = (  # of what serves all the same
    {"actual_status": "unknown"},
    {"actual_status": "loading"},
    {"actual_status": "offline"},
    {"actual_status": "exited"},
    {"intended_status": "stopped"},
    {"public_ipaddr": None},
)
ODD_SECONDS = 1200.0
LIES = 2  # reads on end that say that nothing is there; more than that cannot be told from the truth
QUIET = 4  # moments: after them nobody overlooks what was rented before


OFFERS = tuple(offer(number) for number in range(1, 80))


class Killed(BaseException):
    """`kill -9` of the provider: nothing in it runs any more."""


class Clock(FakeClock):
    """A fake clock whose waits a dead process does not make."""

    dead = False

    def sleep(self, seconds: float) -> None:
        if self.dead:
            raise Killed
        super().sleep(seconds)


class Market(FakeMarket):
    """A market that counts every call and lets the scheduled fault strike at its moment."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, list(OFFERS))
        self.moment = 0
        self.faults: set[int] = set()  # moments
        self.chance = random.Random()
        self.lies = self.lied = self.strangers = 0
        self.online: set[int] = set()
        self.arrived: dict[int, int] = {}  # what second creators rented -> the moment
        self.history: list[str] = []
        self._fault = ""
        self.elsewhere = False  # the key is one of another account, on which nothing is rented

    def account(self) -> Account:
        return Account(id=8, username="alice") if self.elsewhere else super().account()

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        self._begin("rent")
        if self._fault == "taken":
            raise errors.OfferGone(offer_id, "no_such_ask")
        number = super().rent(offer_id, body)
        if self._fault == "taken-but-rented":
            raise errors.OfferGone(offer_id, "no_such_ask", number)
        if self._fault == "rented-twice":
            self.add(body["label"], offer(700 + self.moment), body["image"])
        if self._fault == "never-boots":
            self.never_boots.add(self.rows[number]["machine_id"])
        self._end("rent")
        return number

    def destroy(self, instance_id: int) -> None:
        if self.elsewhere:
            return
        self._begin("destroy")
        if self._fault == "deaf":
            return  # accepted, and nothing happens
        super().destroy(instance_id)
        self._end("destroy")

    def start(self, instance_id: int) -> None:
        self._begin("start")
        super().start(instance_id)

    def show(self, instance_id: int) -> Instance | None:
        if self.elsewhere:
            return None
        self._begin("show")
        return None if self._lies() else super().show(instance_id)

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> list[Instance]:
        if self.elsewhere:
            return []
        self._begin("list")
        return [] if self._lies() else super().instances(label, age_seconds)

    def search(self, query: dict[str, Any]) -> list[Offer]:
        self._begin("search")
        avoided = set(query.get("machine_id", {}).get("notin", []))
        return [row for row in super().search(query) if row.machine_id not in avoided]

    def log(self, instance_id: int, lines: int = 1000) -> str:
        self._begin("log")
        return super().log(instance_id, lines)

    def last_log(self, instance_id: int, daemon: bool, seconds: float) -> str:
        self._begin("log")
        return super().last_log(instance_id, daemon, seconds)

    def step(self, what: str) -> str:
        """Count a step on a host, and return the fault that strikes there."""
        self._begin(what)
        return self._fault

    def _begin(self, call: str) -> None:  # noqa: C901 -- one line a fault
        clock = self.clock
        assert isinstance(clock, Clock)
        if clock.dead:
            raise Killed
        self.moment += 1
        self._fault = ""
        if self.moment in self.faults:
            self._fault = self.chance.choice(FAULTS.get(call, FAULTS[""]) + ANYWHERE)
            self.history.append(f"  {self._fault} at {call} (moment {self.moment})")
        if self._fault == "lying-spell" and self.moment > self.lied + 2 * LIES:
            self.lies, self.lied = LIES, self.moment
        if self._fault == "killed":
            clock.dead = True
            raise Killed
        if self._fault == "engine-gone":
            clock.gone_at = clock.now
        if self._fault == "interrupted":
            raise KeyboardInterrupt
        if self._fault == "unusable":
            raise errors.OutcomeUnknown(call, "an answer of another shape")
        if self._fault == "rate-limited":
            raise errors.RateLimited(call)
        self._speak()
        if self._fault == "landlord" and self.rows:
            self.rows.pop(min(self.rows))
        if self._fault == "second-creator":
            self.strangers += 1
            number = self.add("gpu-fleet/abc/chat-0", offer(70 + self.moment), "vllm/vllm-openai:v0.32.0")
            self.arrived[number] = self.moment

    def _speak(self) -> None:
        """Have the market say odd words of an instance that serves, or stop it; words pass, and so does a stop by a start."""
        self.hush(self.clock.now)
        serving = sorted(number for number in self.rows if number in self.online)
        if not serving or self._fault not in ("odd-words", "stopped"):
            return
        row = self.rows[self.chance.choice(serving)]
        if self._fault == "odd-words":
            row |= {"seen": self.chance.choice(ODD_WORDS), "until": self.clock.now + ODD_SECONDS, "answers": True}
        else:
            row |= {"seen": {"intended_status": "stopped"}, "until": float("inf"), "answers": False}

    def overlooked(self, label: str, kept: int) -> list[int]:
        """Return what a second creator rented under a label well before now, in quiet, and what does not run yet."""
        quiet = [
            number for number, at in self.arrived.items() if self.moment - at >= QUIET and not self._struck_since(at)
        ]
        boots = [number for number in quiet if number in self.rows and number != kept]
        return [
            number
            for number in boots
            if self.rows[number]["label"] == label and self.clock.now - self.rows[number]["born"] < self.boot_seconds
        ]

    def _struck_since(self, moment: int) -> bool:
        return self.lies > 0 or any(moment < one <= self.moment for one in self.faults)

    def hush(self, until: float) -> None:
        """End the odd words that last until a moment at most."""
        for row in self.rows.values():
            if row.get("until", float("inf")) <= until:
                for key in ("seen", "until", "answers"):
                    row.pop(key, None)

    def _lies(self) -> bool:
        self.lies -= 1
        return self.lies >= 0

    def _end(self, call: str) -> None:
        if self._fault == "killed-after":
            self.clock.dead = True  # type: ignore[attr-defined]
            raise Killed
        if self._fault == "lost-reply":
            raise errors.OutcomeUnknown(call, "the connection broke")
