"""Risks of an edit: what is down, what clients notice, what is allowed from now on."""

from collections.abc import Mapping
from typing import Any

import pytest

from providers.vast.api.offer import Offer
from review.report import Action, InstanceReview
from review.risks import Edited, risks
from tests.doubles.machines import offer
from tests.doubles.reviews import instance
from tests.doubles.revisions import manifest, revision

GB = 10**9


def told(head: Mapping[str, Any], *instances: InstanceReview, base: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    return risks(Edited(revision(base), revision({**(base or {}), **head}), instances))


def many(action: Action, count: int, of: int, seconds: float | None = 420.0) -> list[InstanceReview]:
    return [
        instance(f"chat-{index}", action if index < count else Action.UNCHANGED, down_seconds=seconds)
        for index in range(of)
    ]


def test_an_edit_that_changes_nothing_risks_nothing() -> None:
    assert told({}, *many(Action.UNCHANGED, 2, 2)) == ()


def test_one_replica_replaced_is_downtime() -> None:
    assert told({}, instance("rerank-0", Action.ANOTHER_MACHINE, down_seconds=420.0)) == (
        "rerank has one replica: its endpoint is down meanwhile.",
    )
    assert told({}, instance("rerank-0", Action.IN_PLACE, down_seconds=0.0)) == (), "the endpoint stays open"


def test_waves_say_how_long_they_take_together() -> None:
    six = {"fleets.chat.replicas": 6}

    assert told(six, *many(Action.ANOTHER_MACHINE, 6, 6), base=six) == (
        "chat: 6 of 6 change in 6 waves, 1 at a time, about 42 min in all.",
    )
    pairs = {**six, "fleets.chat.rollout": {"maxUnavailable": 2}}
    assert told(pairs, *many(Action.ANOTHER_MACHINE, 5, 6, None), base=pairs) == (
        "chat: 5 of 6 change in 3 waves, 2 at a time, for a time that is not known.",
    )


def test_a_fleet_that_may_be_down_whole_says_so() -> None:
    whole = {"fleets.chat.rollout": {"maxUnavailable": "100%"}}

    assert told(whole, *many(Action.IN_PLACE, 2, 2), base=whole) == (
        "chat: all 2 endpoints are down at once, because of rollout.maxUnavailable.",
    )


def test_a_fleet_of_which_nothing_is_left() -> None:
    gone = [instance(f"old-{index}", Action.GIVEN_BACK) for index in range(2)]

    assert told({}, *gone) == ("old is given back whole: no endpoint of it is left.",)
    assert told({}, *many(Action.GIVEN_BACK, 1, 2)) == ()


def test_a_larger_model_raises_the_disk_and_so_replaces_the_machine() -> None:
    base = revision(small=manifest(a=16 * GB), large=manifest("large", a=40 * GB))
    head = revision({"fleets.rerank.model": "large"}, small=manifest(a=16 * GB), large=manifest("large", a=40 * GB))
    replaced = instance("rerank-0", Action.ANOTHER_MACHINE)

    assert risks(Edited(base, head, [replaced])) == (
        "rerank has one replica: its endpoint is down meanwhile.",
        (
            "rerank: the larger model raises the disk from 48 to 96 GB, and a disk is fixed for life, so that "
            "another machine is rented."
        ),
    )
    assert len(risks(Edited(head, base, [replaced]))) == 1, "a smaller model keeps the disk"


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"fleets.chat.verified": False}, "chat takes unverified hosts from now on, at its next rent."),
        (
            {"fleets.chat.reliability": 0.8},
            "chat takes hosts of reliability 0.8 and better from now on, at its next rent.",
        ),
        ({"fleets.chat.minDays": 0}, "chat takes hosts that may end within the day from now on, at its next rent."),
        ({"rotation.tokens": 1}, "rotation.tokens 0 → 1: every client needs a new token."),
        ({"budget.usdPerDay": 600}, "budget.usdPerDay $60.00 → $600.00."),
        ({"budget.usdPerMonth": None}, "budget.usdPerMonth $1,500.00 → none."),
    ],
)
def test_what_an_edit_allows_from_now_on(edit: dict[str, Any], says: str) -> None:
    assert told(edit) == (says,)
    assert told({}, base=edit) == (), "it is no edit"


UNVERIFIED = [offer(number, verification="unverified") for number in range(1, 9)]


@pytest.mark.parametrize(
    ("offers", "known", "says"),
    [
        (UNVERIFIED[:1], frozenset[int](), "a new host: {} machine 1001, and the ledger does not know it either."),
        (
            [offer(9), *UNVERIFIED[:1], offer(2, verification=None)],
            None,
            "2 new hosts: {} machines 1001, 1002, and what was rented before is not known.",
        ),
        (
            UNVERIFIED,
            frozenset({1004}),
            "7 new hosts: {} machines 1001, 1002, 1003, 1005, 1006 and 2 more, and the ledger does not know them either.",
        ),
        (UNVERIFIED[:1], frozenset({1001}), None),
        ([offer(1), offer(2, verification="deverified")], frozenset[int](), None),
        ([], None, None),
    ],
    ids=["one", "unknown past", "many", "rented before", "tested by the market", "no rent"],
)
def test_a_new_host_is_one_that_neither_the_market_nor_we_have_tried(
    offers: list[Offer], known: frozenset[int] | None, says: str | None
) -> None:
    found = risks(Edited(revision(), revision(), [instance("chat-2", Action.RENTED)], {"chat": offers}, known))

    assert found == (() if says is None else (f"chat would rent {says.format('the market has not verified')}",))


def test_what_the_controller_rents_anyway_is_no_risk_of_an_edit() -> None:
    elastic = {"fleets.chat.replicas": {"min": 1, "max": 2}}
    rents = {"chat": UNVERIFIED[:1]}

    assert risks(Edited(revision(elastic), revision(elastic), (), rents)) == ()
    dearer = revision({**elastic, "fleets.chat.maxUsdPerHour": 0.6})
    assert len(risks(Edited(revision(elastic), dearer, (), rents))) == 1


def test_a_wider_choice_of_hosts_concerns_the_machines_of_this_edit_if_it_rents_any() -> None:
    wider = {"fleets.chat.verified": False, "fleets.chat.replicas": 3}

    assert told(wider, instance("chat-2", Action.RENTED)) == (
        "chat takes unverified hosts from now on, for this edit, too.",
    )
    data_centre = {"fleets.chat.hosting": "datacenter"}
    assert told({"fleets.chat.hosting": "any"}, base=data_centre) == (
        "chat takes hosts outside data centres from now on, at its next rent.",
    )
