"""A market in which the fault of a seeded chance strikes at given moments; see `schedule`."""

import random
from typing import Any

from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.api.offer import Offer
from providers.vast.api.rows import Listing
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer

# What can strike at a call, by its name; `""` are steps on a host.
ANYWHERE = ("killed", "engine-gone", "interrupted", "landlord", "odd-words", "odd-words", "stopped")
UNUSABLE = ("unusable", "rate-limited")
RENT = (
    *UNUSABLE,
    "killed-after",
    "taken",
    "taken-but-rented",
    "never-boots",
    "rented-twice",
    "second-creator",
)
FAULTS = {
    "search": UNUSABLE,
    "rent": (*RENT, "lost-reply", *RENT, "lost-reply-unseen"),
    "list": (*UNUSABLE, "lying-spell", "lying-spell", "second-creator"),
    "show": (*UNUSABLE, "lying-spell"),
    "log": UNUSABLE,
    "destroy": (*UNUSABLE, "lost-reply", "killed-after", "deaf", "deaf-unseen", "deaf-unseen"),
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


OFFERS = tuple(offer(number) for number in range(1, 25))
# What the emulator plays at a call for a fault that strikes there.
PLAYED = {
    ("rent", "taken"): "offer-taken",
    ("rent", "taken-but-rented"): "stopped-contract",
    ("rent", "rented-twice"): "duplicate-instance",
    ("rent", "never-boots"): "never-boots",
    ("rent", "lost-reply"): "lost-create-reply",
    ("rent", "lost-reply-unseen"): "lost-create-reply",
    ("destroy", "deaf"): "destroy-without-effect",
    ("destroy", "deaf-unseen"): "destroy-without-effect",
    ("destroy", "lost-reply"): "lost-destroy-reply",
}
UNSEEN = ("deaf-unseen", "lost-reply-unseen")  # and the next reads lack the instance
LIED = {"list": "lying-empty-list", "show": "missing-in-show"}


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

    clock: Clock

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, list(OFFERS))
        self.moment = 0
        self.strikes: set[int] = set()  # moments
        self.chance = random.Random()
        self.lies = self.strangers = 0
        self.lied = -2 * LIES  # the moment at which the last lies began
        self.online: set[int] = set()
        self.arrived: dict[int, int] = {}  # what second creators rented -> the moment
        self.odd_until: dict[int, float] = {}  # of which instance the market says odd words -> the moment of their end
        self.bad_since: dict[int, float] = {}  # instance -> the first moment at which the market says that it is down
        self.own: dict[int, str] = {}  # what the creator at work has rented -> its label
        self.second_rents: list[str] = []
        self.history: list[str] = []
        self._fault = ""

    @property
    def elsewhere(self) -> bool:
        """Whether the key is one of another account, on which nothing is rented."""
        return self.key != self.accounts.first.key

    @elsewhere.setter
    def elsewhere(self, there: bool) -> None:
        self.use_key_of("alice" if there else self.accounts.first.name)

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        before, label = set(self.rows), body["label"]
        still = [number for number, mark in self.own.items() if mark == label and number in before]
        if still and not self.clock.dead:
            self.second_rents.append(f"a creator of {label} rents another while its instance {still[0]} is rented")
        self._begin("rent")
        try:
            with self.playing(self._played("rent")):
                number = super().rent(offer_id, body)
        finally:
            made = sorted(set(self.rows) - before)[:1]  # the market's own duplicate is no fault of the creator
            self.own |= dict.fromkeys(made, label)
        self._end()
        return number

    def destroy(self, instance_id: int) -> None:
        if self.elsewhere:
            super().destroy(instance_id)
            return
        self._begin("destroy")
        with self.playing(self._played("destroy")):
            super().destroy(instance_id)
        self._end()

    def start(self, instance_id: int) -> None:
        self._begin("start")
        super().start(instance_id)

    def show(self, instance_id: int) -> Instance | None:
        if self.elsewhere:
            return super().show(instance_id)
        self._begin("show")
        with self.playing(self._played("show")):
            return super().show(instance_id)

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> Listing[Instance]:
        if self.elsewhere:
            return super().instances(label, age_seconds)
        self._begin("list")
        with self.playing(self._played("list")):
            return super().instances(label, age_seconds)

    def search(self, query: dict[str, Any]) -> Listing[Offer]:
        self._begin("search")
        return super().search(query)

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
        if self.moment in self.strikes:
            self._fault = self.chance.choice(FAULTS.get(call, FAULTS[""]) + ANYWHERE)
            self.history.append(f"  {self._fault} at {call} (moment {self.moment})")
        if self._fault in ("lying-spell", *UNSEEN) and self.moment > self.lied + 2 * LIES:
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
            self.emulator.destroy(min(self.rows))
        if self._fault == "second-creator":
            self.strangers += 1
            number = self.add("gpu-fleet/abc/chat-0", offer(70 + self.moment), "vllm/vllm-openai:v0.32.0")
            self.arrived[number] = self.moment

    def _speak(self) -> None:
        """Have the market say odd words of an instance that serves, or stop it; words pass, and so does a stop by a start."""
        self.hush(self.clock.now)
        if self._fault not in ("odd-words", "stopped"):
            return
        serving = sorted(number for number in self.rows if number in self.online)
        if not serving:
            return
        number = self.chance.choice(serving)
        self.bad_since.setdefault(number, self.clock.now)
        if self._fault == "odd-words":
            self.rows[number].says(self.chance.choice(ODD_WORDS))
            self.odd_until[number] = self.clock.now + ODD_SECONDS
        else:
            self.emulator.stop(number)

    def _played(self, call: str) -> str | None:
        """Return the fault of the emulator for this moment."""
        if call in LIED:
            self.lies -= 1
            return LIED[call] if self.lies >= 0 else None
        return PLAYED.get((call, self._fault))

    def overlooked(self, label: str, kept: int) -> list[int]:
        """Return what a second creator rented under a label well before now, in quiet, and what does not run yet."""
        quiet = [
            number for number, at in self.arrived.items() if self.moment - at >= QUIET and not self._struck_since(at)
        ]
        boots = [number for number in quiet if number in self.rows and number != kept]
        seconds = self.boot_seconds
        assert seconds is not None
        return [number for number in boots if self.rows[number]["label"] == label and self.rows[number].age < seconds]

    def _struck_since(self, moment: int) -> bool:
        return self.lies > 0 or any(moment < one <= self.moment for one in self.strikes)

    def hush(self, until: float) -> None:
        """End the odd words that last until a moment at most."""
        for number in [number for number, end in self.odd_until.items() if end <= until]:
            del self.odd_until[number]
            if number in self.rows:
                self.rows[number].says({})

    def _end(self) -> None:
        if self._fault == "killed-after":
            self.clock.dead = True
            raise Killed
