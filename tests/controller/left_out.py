"""Controllers that lack one rule each, by the rule's name; see test_schedules."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from config.rollout import RolloutConfig
from controller import demand, leaving, plan, scaling, waves
from controller.leaving import Gate, Next
from controller.plan import Act
from controller.slots import State
from tests.doubles.elastic.rules import Rules

Step = scaling.Step


def without(step: Step) -> Rules:
    return Rules(steps=[one for one in scaling.STEPS if one is not step])


def instead_of(step: Step, other: Step) -> Rules:
    return Rules(steps=[other if one is step else one for one in scaling.STEPS])


def told(change: Callable[[Any], Any]) -> Rules:
    """Change what the rule of the window is told of the past."""

    def step(situation: scaling.Situation, draft: scaling.Draft) -> scaling.Draft:
        return scaling.held_by_the_window(replace(situation, memory=change(situation)), draft)

    return instead_of(scaling.held_by_the_window, step)


def planned(without: Act) -> Rules:
    def less(*args: Any) -> plan.Plan:
        found = plan.plan(*args)
        return replace(found, moves=tuple(move for move in found.moves if move.act is not without))

    return Rules(plan=less)


def with_slots(change: Callable[[Any], Any]) -> Rules:
    def changed(desired: int, elastic: Any, slots: Any, *more: Any) -> plan.Plan:
        return plan.plan(desired, elastic, [change(slot) for slot in slots], *more)

    return Rules(plan=changed)


def looking(change: Callable[[leaving.Leaving, leaving.GateLook], Any]) -> Rules:
    def step(known: leaving.Leaving, look: leaving.GateLook) -> leaving.Answer:
        return leaving.step(*change(known, look))

    return Rules(leave=step)


def watched_long_enough(situation: scaling.Situation) -> Any:
    memory = situation.memory
    return memory if memory.since is not None else replace(memory, since=situation.now - 1e6, last=situation.now)


def watched_without_a_gap(situation: scaling.Situation) -> Any:
    memory = situation.memory
    return memory if memory.since is None else replace(memory, last=situation.now)


def forgetful(situation: scaling.Situation, draft: scaling.Draft) -> scaling.Draft:
    return replace(scaling.held_by_the_window(situation, draft), count=draft.count)


def never_stale(slots: Any, seen: Any, queue: Any) -> demand.Load:
    return demand.measure(slots, {index: replace(look, age_seconds=0.0) for index, look in seen.items()}, queue)


def deaf_between_looks(slots: Any, seen: Any, queue: Any) -> demand.Load:
    return replace(demand.measure(slots, seen, queue), idle_seconds=math.inf, untold=False)


def blind_to_what_leaves(slots: Any, seen: Any, queue: Any) -> demand.Load:
    return demand.measure([slot for slot in slots if slot.state is not State.LEAVING], seen, queue)


def booting_counts_on_the_way_down(desired: int, elastic: Any, slots: Any, *more: Any) -> plan.Plan:
    boots = sum(slot.state is State.RENTING for slot in slots)
    ready = sum(slot.state is State.READY for slot in slots)
    return plan.plan(desired - boots if ready + boots > desired else desired, elastic, slots, *more)


def blind_beyond_max(desired: int, elastic: Any, slots: Any, *more: Any) -> plan.Plan:
    return plan.plan(desired, elastic, [slot for slot in slots if not elastic or slot.index < elastic.max], *more)


def ends_without_another_look(known: leaving.Leaving, look: leaving.GateLook) -> leaving.Answer:
    answer = leaving.step(known, look)
    return replace(answer, next=Next.END) if known.locked else answer


def silent_is_idle(known: leaving.Leaving, look: leaving.GateLook) -> Any:
    idle = replace(look, gate=Gate.CLOSED, in_flight=0, admitted="")
    return known, idle if look.gate is Gate.UNKNOWN else look


def waves_of(change: Callable[..., Any]) -> Rules:
    """Change what the rules of waves are told of slots and rollout."""

    def wave(slots: Any, wanted: str, digests: Any, rollout: Any, gates: Any) -> waves.Wave:
        slots, rollout = change(slots, rollout)
        return waves.next_wave(slots, wanted, digests, rollout, gates)

    def crowded(slots: Any, wanted: str, rollout: Any) -> Any:
        slots, rollout = change(slots, rollout)
        return waves.crowded(slots, wanted, rollout)

    return Rules(wave=wave, crowded=crowded)


def forgets_failures(slots: Any, rollout: Any) -> Any:
    return [slot if slot.state is State.READY else replace(slot, follows=None) for slot in slots], rollout


def without_those_that_began(slots: Any, *more: Any) -> waves.Wave:
    found = waves.next_wave(slots, *more)
    begun = {slot.index for slot in slots if slot.changes}
    return replace(found, starts=tuple(index for index in found.starts if index not in begun))


# The rule -> the seed that the last search found, and the rules without it.
LEFT_OUT: dict[str, tuple[int, Rules]] = {
    "claims are wanted": (1, without(scaling.claimed)),
    "load is wanted": (1, without(scaling.loaded)),
    "a need near the count changes nothing": (4, instead_of(scaling.loaded, partial(scaling.loaded, tolerance=0.0))),
    "unknown is not 0": (27, without(scaling.held_by_doubt)),
    "an old sample is unknown": (107, Rules(measure=never_stale)),
    "down only to the most of the window": (2, instead_of(scaling.held_by_the_window, forgetful)),
    "a new controller watches for a window": (27, told(watched_long_enough)),
    "after a gap the window begins anew": (319, told(watched_without_a_gap)),
    "the last one stays for the idle window": (1, without(scaling.held_while_in_use)),
    "hosts tell of requests between looks": (4, Rules(measure=deaf_between_looks)),
    "load on a slot that leaves is load": (516, Rules(measure=blind_to_what_leaves)),
    "what is unknown ends nothing": (7478, Rules(spare=lambda *_: {})),
    "bounds clamp": (0, without(scaling.clamped)),
    "money cuts": (0, without(scaling.cut_by_money)),
    "claims have slots": (1, Rules(assign=lambda *_: {})),
    "a slot that serves a claim stays": (4, with_slots(lambda slot: replace(slot, claim=None))),
    "booting is capacity": (0, Rules(plan=partial(plan.plan, capacity=frozenset({State.READY})))),
    "booting is no capacity on the way down": (18, Rules(plan=booting_counts_on_the_way_down)),
    "what leaves comes back": (61, planned(without=Act.REOPEN)),
    "what failed is cleared": (1, planned(without=Act.CLEAR)),
    "a closed gate is mended": (51, planned(without=Act.MEND)),
    "what failed cools off": (2, with_slots(lambda slot: replace(slot, failed_at=None))),
    "a clock set back ends a cool-off": (18, Rules(set_back=lambda *_: None)),
    "several that fail stop further ones": (24, Rules(plan=partial(plan.plan, failing_most=99))),
    "what is beyond max takes room": (29, Rules(plan=blind_beyond_max)),
    "the gate is seen closed": (
        3,
        looking(lambda known, look: (known, replace(look, gate=Gate.CLOSED) if look.gate is Gate.OPEN else look)),
    ),
    "half a second passes": (439, Rules(leave=partial(leaving.step, settle=0.0))),
    "nothing is in flight": (4, looking(lambda known, look: (known, replace(look, in_flight=look.in_flight and 0)))),
    "the log stands still": (379, looking(lambda known, look: (replace(known, admitted=look.admitted), look))),
    "who got in brings an idle slot back": (379, looking(lambda known, look: (replace(known, strict=False), look))),
    "a silent host is not idle": (29, Rules(leave=lambda known, look: leaving.step(*silent_is_idle(known, look)))),
    "a silent host is not dead": (8, looking(lambda known, look: (replace(known, dead=True), look))),
    "waiting has an end": (12, looking(lambda known, look: (replace(known, longest_seconds=math.inf), look))),
    "waits are by a monotonic clock": (35, Rules(by_the_wall=True)),
    "a look under the lock": (3, Rules(leave=ends_without_another_look)),
    "the row is read again under the lock": (92, Rules(changed=lambda *_: None)),
    "the bounds are read again under the lock": (251, Rules(unwanted=lambda *_: None)),
    "an old decision is dropped": (56, Rules(late=lambda *_: None)),
    "slots follow an edit": (8, Rules(wave=lambda *_: waves.Wave())),
    "no more go down than may": (10, waves_of(lambda slots, _rollout: (slots, RolloutConfig(max_unavailable="9")))),
    "two controllers take down no more": (2019, Rules(crowded=lambda *_: None)),
    "a change that failed stops the rest": (10, waves_of(forgets_failures)),
    "a closed gate takes room": (55, Rules(wave=lambda *known: waves.next_wave(*known[:-1]))),
    "a claimed slot follows last": (
        59,
        Rules(wave=lambda slots, *more: waves.next_wave([replace(slot, claim=None) for slot in slots], *more)),
    ),
    "what was begun goes on": (21, Rules(wave=without_those_that_began)),
}
