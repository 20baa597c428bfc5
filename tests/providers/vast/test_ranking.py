"""Search and rank: what fits is a question of every wish, and a refusal says which one would have to give."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from providers.ledger.machine_history import MachineHistory
from providers.vast.api.offer import Offer
from providers.vast.search import mismatches, prices, query, ranking
from providers.vast.search.requirements import Requirements
from tests.doubles.market import offer

REQUIREMENTS = Requirements(
    gpu_names=("RTX 4090",),
    gpu_count=1,
    max_usd_per_hour=0.5,
    disk_gb=48,
    weights_gb=16,
    min_reliability=0.95,
    min_download_mbps=200,
)

some_offers = st.lists(
    st.builds(
        lambda number, machine, price, reliability, down, disk, gpu, storage: offer(
            number,
            machine_id=machine,
            dph_base=price,
            reliability2=reliability,
            inet_down=down,
            disk_space=disk,
            gpu_name=gpu,
            storage_cost=storage,
        ),
        st.integers(1, 10_000),
        st.integers(1, 20),
        st.floats(0.01, 2),
        st.floats(0.5, 1),
        st.floats(0, 5000),
        st.floats(10, 2000),
        st.sampled_from(["RTX 4090", "RTX 3090"]),
        st.floats(0, 1),
    ),
    max_size=30,
    unique_by=lambda row: row.id,
)


def test_the_all_in_price_holds_gpu_disk_and_the_download_of_the_weights() -> None:
    row = offer(1, dph_base=0.3, storage_cost=0.15, inet_down_cost=0.02)

    assert prices.usd_per_hour(row, REQUIREMENTS) == 0.3 + 48 * 0.15 / 720 + 16 * 0.02 / 8


@given(some_offers)
def test_ranked_offers_fit_every_wish_and_name_a_machine_once(rows: list[Offer]) -> None:
    ranked = ranking.rank(rows, REQUIREMENTS)

    assert all(not mismatches.mismatches(row, REQUIREMENTS) for row in ranked)
    assert len({row.machine_id for row in ranked}) == len(ranked)
    fitting = {row.machine_id for row in rows if not mismatches.mismatches(row, REQUIREMENTS)}
    assert {row.machine_id for row in ranked} == fitting


@given(some_offers, st.randoms())
def test_ranking_does_not_depend_on_the_order_of_the_answer(rows: list[Offer], chance: random.Random) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)

    assert ranking.rank(shuffled, REQUIREMENTS) == ranking.rank(rows, REQUIREMENTS)


@given(some_offers)
def test_a_cheaper_twin_is_never_ranked_behind(rows: list[Offer]) -> None:
    ranked = ranking.rank(rows, REQUIREMENTS)
    twins = [
        row.model_copy(update={"id": 20_000, "machine_id": 99, "dph_base": row.dph_base / 2}) for row in ranked[:1]
    ]

    assert ranking.rank([*rows, *twins], REQUIREMENTS)[: len(twins)] == twins


@given(
    some_offers, st.dictionaries(st.integers(1, 20), st.builds(MachineHistory, st.integers(0, 9), st.integers(0, 9)))
)
def test_what_the_ledger_knows_changes_the_order_and_never_what_fits(
    rows: list[Offer], records: dict[int, MachineHistory]
) -> None:
    plain, known = ranking.rank(rows, REQUIREMENTS), ranking.rank(rows, REQUIREMENTS, records=records)

    assert {row.machine_id for row in known} == {row.machine_id for row in plain}


def test_a_machine_that_was_measured_to_be_slow_is_ranked_behind_its_twin() -> None:
    twins = [offer(1), offer(2, dph_base=offer(1).dph_base)]

    assert ranking.rank(twins, REQUIREMENTS)[0].id == 1
    assert ranking.rank(twins, REQUIREMENTS, records={1001: MachineHistory(download_mbps=(210.0,))})[0].id == 2
    assert ranking.rank(twins, REQUIREMENTS, records={1001: MachineHistory(boot_seconds=(900.0,))})[0].id == 2
    assert ranking.rank(twins, REQUIREMENTS, records={1001: MachineHistory(failed=1)})[0].id == 2


def test_an_avoided_machine_does_not_fit() -> None:
    requirements = replace(REQUIREMENTS, avoided_machines=frozenset({1001}))

    assert [row.id for row in ranking.rank([offer(1), offer(2)], requirements)] == [2]
    assert query.query(requirements)["machine_id"] == {"notin": [1001]}


def test_the_query_never_bids_and_prices_the_disk_in() -> None:
    body = query.query(REQUIREMENTS)

    assert "price" not in body
    assert body["type"] == "on-demand"
    assert body["allocated_storage"] == 48
    assert body["verified"] == {"eq": True}
