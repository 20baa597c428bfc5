"""What the commands say: a sweep for people and programs, whether `up` adopts, why an offer is not taken."""

from dataclasses import replace

from providers.ledger.event import Event, Outcome, Reason
from providers.ledger.machine_history import fold
from providers.vast.api.errors import StillRented
from providers.vast.api.instance import Instance
from providers.vast.pulumi_state import StackState
from providers.vast.renting.ownership import sort_out
from providers.vast.renting.sweep import own_ids
from providers.vast.reports import describe_findings, forecast_adoption, report, why_not
from providers.vast.search.requirements import Requirements
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer

REQUIREMENTS = Requirements(("RTX 4090",), 1, max_usd_per_hour=0.5, disk_gb=20, weights_gb=1)
OURS = StackState("dev", "abc", {"chat-0": frozenset({1})})


def swept(
    *rows: Instance, states: tuple[StackState, ...] = (OURS,), ended: dict[int, StillRented | None] | None = None
):
    return report(sort_out(rows, states, own_ids(states)), states, ended or {})


def instance(number: int, name: str, **fields: object) -> Instance:
    return Instance.model_validate({"id": number, "label": f"gpu-fleet/abc/{name}", "dph_total": 0.25, **fields})


def test_a_sweep_counts_dollars_by_kind_and_names_the_next_step() -> None:
    found = swept(instance(1, "chat-0"), instance(2, "chat-1"), instance(3, "chat-2"))

    assert found["kinds"]["known"] == {"instances": 1, "usd_per_hour": 0.25}
    assert found["kinds"]["ours-but-unknown"] == {"instances": 2, "usd_per_hour": 0.5}
    assert "2 ours-but-unknown, $0.500/h together" in describe_findings(found, destroys=False)
    assert "`gpu-fleet sweep --destroy`" in describe_findings(found, destroys=False)


def test_what_was_given_back_and_what_was_not_is_said() -> None:
    still = StillRented(3, 0.25, "the market still lists it")

    text = describe_findings(
        swept(instance(2, "chat-1"), instance(3, "chat-2"), ended={2: None, 3: still}), destroys=True
    )

    assert "given back, and the market confirms it" in text
    assert "INSTANCE 3 MAY STILL BE RENTED" in text


def test_a_state_that_cannot_be_read_comes_first() -> None:
    broken = StackState("dev", trouble="invalid character")

    assert describe_findings(swept(states=(broken,)), destroys=False).startswith(
        "The state of dev cannot be read (invalid character)."
    )


def test_an_empty_account_is_said() -> None:
    assert describe_findings(swept(), destroys=False) == "Nothing is rented on this account."


def test_the_lowest_sound_instance_is_adopted_and_the_others_are_surplus() -> None:
    row = {"image_uuid": "image", "gpu_name": "RTX 4090", "num_gpus": 1, "disk_space": 20}
    broken, sound, more = (
        instance(4, "chat-1", **{**row, "gpu_name": "RTX 3090"}),
        instance(5, "chat-1", **row),
        instance(6, "chat-1", **row),
    )

    verdict = forecast_adoption([more, sound, broken], "image", REQUIREMENTS)

    assert verdict.adopts
    assert "takes over instance 5" in verdict.text
    assert "Instance 4 is surplus" in verdict.text
    assert "Instance 6 is surplus" in verdict.text
    assert not forecast_adoption([broken], "image", REQUIREMENTS).adopts
    assert "has 1 x RTX 3090" in forecast_adoption([broken], "image", REQUIREMENTS).text
    assert not forecast_adoption([], "image", REQUIREMENTS).adopts


def test_each_wish_that_an_offer_fails_is_named() -> None:
    market = FakeMarket(FakeClock(), [offer(1, gpu_name="RTX 3060", dph_base=0.9)])

    lines = why_not(market, 1, "chat", REQUIREMENTS, {}, 0.0)

    assert "  fails gpu.name: it has RTX 3060" in lines
    assert any(line.startswith("  fails maxUsdPerHour: it costs $0.9") for line in lines)


def test_an_old_driver_and_architecture_and_silence_about_them_are_named() -> None:
    requirements = replace(REQUIREMENTS, min_cuda=13.0, min_capability=800)
    market = FakeMarket(FakeClock(), [offer(1, cuda_max_good=12.4, compute_cap=None)])

    lines = why_not(market, 1, "chat", requirements, {}, 0.0)

    assert "  fails minCuda: it supports CUDA 12.4, 13 is the least" in lines
    assert "  fails compute capability: it does not say its compute capability, 8 is the least" in lines


def test_an_offer_that_fits_is_given_its_place() -> None:
    market = FakeMarket(FakeClock(), [offer(2), offer(1)])

    assert "tried as number 2 of 2" in why_not(market, 2, "chat", REQUIREMENTS, {}, 0.0)[-1]


def test_a_machine_that_failed_is_said_to_be_avoided() -> None:
    event = Event(
        at=0.0,
        stack_id="abc",
        name="chat-0",
        attempt="a",
        step=1,
        outcome=Outcome.FAILED,
        reason=Reason.GPU,
        machine_id=1001,
    )
    market = FakeMarket(FakeClock(), [offer(1)])

    assert (
        "avoided for 0.5 h more: its machine failed before (gpu)"
        in why_not(market, 1, "chat", REQUIREMENTS, fold([event]), 1800.0)[-1]
    )


def test_an_offer_that_is_gone_is_said() -> None:
    assert "does not list offer 9" in why_not(FakeMarket(FakeClock(), []), 9, "chat", replace(REQUIREMENTS), {}, 0.0)[0]
