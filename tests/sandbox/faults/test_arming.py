"""When an armed fault strikes, over the whole domain of what can be asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.faults import FAULTS, Arming, Faults, FaultUnknown, Occasion, Subject
from sandbox.faults.arming import Tally, decide, over

SUBJECTS = [Subject(7, "gpu-fleet/abc/chat-0"), Subject(8, "gpu-fleet/abc/chat-1"), Subject(9, None)]
OCCASIONS = st.builds(
    Occasion, st.lists(st.sampled_from(SUBJECTS), unique=True).map(tuple), st.sampled_from([None, "list", "create"])
)


def moments(first: float, last: float) -> st.SearchStrategy[float]:
    """Seconds in steps of 1/64, whose sums are exact: the rule and its test may then add them up in any order."""
    return st.integers(int(first * 64), int(last * 64)).map(lambda ticks: ticks / 64)


ARMINGS = st.builds(
    Arming,
    name=st.just("server-error"),
    times=st.none() | st.integers(1, 4),
    nth=st.integers(1, 4),
    instance=st.sampled_from([None, "7", "chat-1", "gpu-fleet/abc/chat-0", "at-0"]),
    call=st.sampled_from([None, "list"]),
    probability=st.none() | st.floats(0.01, 1),
    after=moments(0, 20),
    seconds=st.none() | moments(0.5, 20),
)
CALLS = st.lists(st.tuples(OCCASIONS, moments(0, 5), st.floats(0, 0.999)), max_size=30)


@given(ARMINGS, CALLS)
def test_it_strikes_where_asked_and_nowhere_else(arming, calls):
    tally, now, counted, struck = Tally(100.0), 100.0, 0, 0
    for occasion, pause, draw in calls:
        now += pause
        done = over(arming, tally, now)
        tally, strikes = decide(arming, tally, occasion, now, draw)
        inside = now - 100 >= arming.after and (arming.seconds is None or now - 100 < arming.after + arming.seconds)
        names = {str(one.id) for one in occasion.subjects} | {one.label or "" for one in occasion.subjects}
        names |= {name.rpartition("/")[2] for name in names}
        meant = arming.instance in (None, *names) and arming.call in (None, occasion.call)
        counted += inside and meant and not done
        assert tally.seen == counted
        assert strikes == (
            inside
            and meant
            and not done
            and counted >= arming.nth
            and (arming.probability is None or draw < arming.probability)
        )
        struck += strikes
        assert tally.struck == struck
        assert arming.limit is None or struck <= arming.limit


@given(st.integers(1, 5), st.integers(1, 5))
def test_the_nth_call_and_as_many_after_it_as_asked(nth, times):
    faults = Faults(clock=lambda: 0.0)
    faults.arm("server-error", times, nth=nth)
    struck = [index for index in range(1, 15) if faults.take("server-error")]
    assert struck == list(range(nth, nth + times))


@given(st.integers(0, 10**6), st.floats(0.1, 0.9))
def test_the_same_seed_gives_the_same_strikes(seed, probability):
    def run() -> list[bool]:
        faults = Faults(clock=lambda: 0.0)
        faults.arm("server-error", probability=probability, seed=seed)
        return [faults.take("server-error") is not None for _ in range(40)]

    assert run() == run()


def test_a_probability_is_about_as_frequent_as_it_says():
    faults = Faults(clock=lambda: 0.0)
    faults.arm("server-error", probability=0.25, seed=1)
    assert 350 < sum(faults.take("server-error") is not None for _ in range(2000)) < 650


def test_a_window_opens_and_closes_with_the_clock():
    now = [1000.0]
    faults = Faults(clock=lambda: now[0])
    faults.arm("server-error", after=10, seconds=5)
    struck = []
    for moment in (0, 9, 10, 14, 15, 99):
        now[0] = 1000.0 + moment
        if faults.take("server-error"):
            struck.append(moment)
    assert struck == [10, 14]
    assert faults.armed() == {}


def test_armings_add_up_and_end_when_switched_off():
    faults = Faults(clock=lambda: 0.0)
    faults.arm("server-error", 2)
    faults.arm("server-error")
    assert faults.armed() == {"server-error": 3}
    struck = faults.take("server-error")
    assert struck is not None
    assert faults.lasting(struck)
    assert faults.disarm("server-error") == 2
    assert not faults.lasting(struck)
    assert faults.take("server-error") is None
    assert [(one["struck"], one["over"]) for one in faults.report()] == [(1, True), (0, True)]


def test_an_instance_is_judged_once_by_each_arming():
    faults = Faults(clock=lambda: 0.0)
    faults.arm("never-boots", 5, nth=2)
    assert [faults.take("never-boots", once=number) is not None for number in (7, 7, 8, 8, 9)] == [
        False,
        False,
        True,
        False,
        True,
    ]


def test_what_makes_no_sense_is_refused_in_a_sentence():
    faults = Faults()
    for options, says in (
        ({"name": "fire"}, "no fault 'fire'"),
        ({"name": "server-error", "times": 0}, "not 0 times"),
        ({"name": "server-error", "nth": 0}, "nth: "),
        ({"name": "server-error", "seconds": float("inf")}, "finite"),
        ({"name": "server-error", "what": 1}, "what: "),
        ({"name": "lost-create-reply", "call": "list"}, "strikes create calls"),
        ({"name": "corrupt-blob"}, "needs the object store"),
    ):
        with pytest.raises(FaultUnknown, match=says):
            faults.arm(**options)
    with pytest.raises(FaultUnknown, match="knows no nth"):
        Faults({"corrupt-blob": lambda: None}).arm("corrupt-blob", nth=2)


def test_names_and_sentences_are_fit_to_be_listed():
    for name, fault in FAULTS.items():
        assert name == fault.name.lower()
        assert fault.sentence.endswith(".")
