"""Sweep: what each instance of an account is, and that only what is ours and unknown can ever be given back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.limits import Limits
from providers.vast.pulumi_state import StackState
from providers.vast.renting.ownership import Finding, Kind, sort_out
from providers.vast.renting.renter import Renter
from providers.vast.renting.sweep import confirm_account, give_back_each, instances_to_give_back, own_ids
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer, raising

OURS = StackState("dev", "abc", {"chat-0": frozenset({1})})
NOW = 1_800_000_000.0
THEIRS = StackState("prod", "xyz", {"chat-0": frozenset({2})})


def instance(number: int, label: str | None, **fields: Any) -> Instance:
    return Instance(id=number, label=label, dph_total=0.25, **fields)


def kinds(findings: list[Finding]) -> dict[int, Kind]:
    return {finding.instance.id: finding.kind for finding in findings}


def test_every_kind_is_told_from_the_others() -> None:
    creating = StackState("dev", "abc", {"chat-0": frozenset({1})}, frozenset({"chat-2"}))
    rows = [
        instance(1, "gpu-fleet/abc/chat-0"),
        instance(2, "gpu-fleet/xyz/chat-0"),
        instance(3, "gpu-fleet/abc/chat-1"),
        instance(4, "gpu-fleet/abc/chat-2"),
        instance(5, "gpu-fleet/other/chat-0"),
        instance(6, "my own"),
        instance(7, None),
    ]

    found = sort_out(rows, [creating, THEIRS], own_ids([creating, THEIRS]))

    assert kinds(found) == {
        1: Kind.KNOWN,
        2: Kind.KNOWN,
        3: Kind.UNKNOWN,
        4: Kind.CREATING,
        5: Kind.ANOTHER,
        6: Kind.FOREIGN,
        7: Kind.FOREIGN,
    }
    assert [one.id for one in instances_to_give_back(found, interrupted=False)] == [3]
    assert [one.id for one in instances_to_give_back(found, interrupted=True)] == [3, 4]


def test_a_second_instance_under_a_known_name_is_unknown_and_says_which_is_known() -> None:
    found = sort_out([instance(9, "gpu-fleet/abc/chat-0")], [OURS], own_ids([OURS]))

    assert found[0].kind is Kind.UNKNOWN
    assert found[0].why == "chat-0 is instance 1 in state, not this one"


@pytest.mark.parametrize(
    ("status", "minutes", "kind"),
    [
        ("loading", 121, Kind.UNKNOWN),
        ("created", 121, Kind.UNKNOWN),
        (None, 121, Kind.UNKNOWN),
        ("loading", 119, Kind.CREATING),
        ("running", 600, Kind.CREATING),
        ("unknown", 600, Kind.CREATING),
        ("rebooting", 600, Kind.CREATING),
    ],
)
def test_what_boots_for_longer_than_anybody_waits_is_no_longer_being_created(
    status: str | None, minutes: float, kind: Kind
) -> None:
    creating = StackState("dev", "abc", {"chat-0": frozenset({1})}, frozenset({"chat-2"}))
    rows = [
        instance(number, f"gpu-fleet/abc/chat-{name}", actual_status=status, start_date=NOW - minutes * 60)
        for number, name in ((1, 0), (4, 2))
    ]

    found = sort_out(rows, [creating], own_ids([creating]), NOW, Limits())

    assert kinds(found) == {1: Kind.KNOWN, 4: kind}
    assert kind is not Kind.UNKNOWN or "booting for 2.0 h" in found[1].why


def test_a_boot_without_a_beginning_is_left_to_its_creator() -> None:
    creating = StackState("dev", "abc", creating=frozenset({"chat-2"}))

    found = sort_out(
        [instance(4, "gpu-fleet/abc/chat-2", actual_status="loading")], [creating], own_ids([creating]), NOW
    )

    assert kinds(found) == {4: Kind.CREATING}


def test_a_state_that_cannot_be_read_makes_nothing_ours_unless_its_id_is_given() -> None:
    broken = StackState("dev", trouble="invalid character")
    rows = [instance(1, "gpu-fleet/abc/chat-0")]

    assert kinds(sort_out(rows, [broken], own_ids([broken]))) == {1: Kind.ANOTHER}
    assert kinds(sort_out(rows, [broken], own_ids([broken], "abc"))) == {1: Kind.UNKNOWN}


ids = st.integers(1, 30)
names = st.sampled_from(["chat-0", "chat-1", "other-0"])
stack_ids = st.sampled_from(["abc", "xyz", "lost"])
labels = st.none() | st.just("a b") | st.builds("gpu-fleet/{}/{}".format, stack_ids, names)
stacks = st.builds(
    StackState,
    st.sampled_from(["dev", "prod"]),
    st.none() | stack_ids,
    st.dictionaries(names, st.frozensets(ids, max_size=2)),
    st.frozensets(names, max_size=2),
)


@given(st.dictionaries(ids, labels), st.lists(stacks, min_size=1, max_size=3), st.none() | stack_ids)
def test_nothing_is_condemned_but_what_carries_our_id_and_no_state_knows(
    rows: dict[int, str | None], states: list[StackState], given_id: str | None
) -> None:
    own = own_ids(states, given_id)
    found = sort_out([instance(number, label) for number, label in rows.items()], states, own)

    known = {number for state in states for numbers in state.instances.values() for number in numbers}
    for ending in instances_to_give_back(found, interrupted=True):
        assert ending.id not in known
        assert str(ending.label).split("/")[1] == (given_id or states[0].stack_id)
    assert kinds(found).keys() == rows.keys()


def test_each_is_given_back_or_said_to_cost_still() -> None:
    clock = FakeClock()
    market = FakeMarket(clock)
    first, second = (market.add(f"gpu-fleet/abc/chat-{n}", offer(n + 1)) for n in range(2))
    market.instead["destroy"] = lambda truth, number: None if number == second else truth(number)

    ended = give_back_each(Renter(market, clock, Limits(destroy_seconds=30)), market.instances())

    assert ended[first] is None
    assert "MAY STILL BE RENTED" in str(ended[second])
    assert list(market.rows) == [second]


def test_a_key_of_another_account_sees_nothing_that_can_be_compared() -> None:
    market = FakeMarket(FakeClock())
    known = StackState("dev", "abc", accounts=frozenset({1, 2}))

    with pytest.raises(
        errors.OtherAccount, match=r"state of stack dev knows was rented on account 1 .*account 7 \(team\)"
    ):
        confirm_account(market, [known])
    for fine in (StackState("dev", "abc", accounts=frozenset({1, 7})), StackState("dev", trouble="broken")):
        confirm_account(market, [fine, known])
    confirm_account(market, [known], given="another")
    market.before["whose"] = [raising(errors.CredentialsRefused("no user_read"))] * 9
    with pytest.raises(errors.AccountUnknown, match="no user_read"):
        confirm_account(market, [known])
