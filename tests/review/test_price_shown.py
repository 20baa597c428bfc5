"""What a review shows is what the market then charges: over 100 seeded markets, and never over a fleet's ceiling."""

from pathlib import Path
from random import Random

import pytest

from providers.vast.charged_price import charged_usd_per_hour
from providers.vast.renting.rent import rent_body
from providers.vast.search.search import candidates
from review.money import priced
from review.prospects import Look, looked
from review.report import Action, InstanceReview
from review.revision import StackRevision, read_revision
from review.tree import open_tree
from sandbox.market.records.machines import generate
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket
from tests.doubles.reviewed_repository import STACK, Repository

MARKETS, BATCHES = 100, 5
MOST_OFF = 0.02
GPUS = ("RTX 4090", "RTX 3090", "A100", "H100", "L40S", "RTX A6000")


def revision(repository: Repository, random: Random) -> StackRevision:
    """Read a fleet with requirements by chance."""
    fleet = {
        "replicas": 1,
        "model": random.choice(["small", "large"]),
        "gpu": {"name": random.sample(GPUS, 3)},
        "maxUsdPerHour": random.choice([0.6, 1.2, 3.0]),
        "downloadMbps": random.choice([0, 100, 500]),
        "verified": random.random() < 0.5,
        "reliability": 0.9,
    }
    repository.config["fleets"] = {"chat": fleet}
    repository.write_config()
    return read_revision(open_tree("worktree", repository.folder), STACK)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_the_price_shown_is_charged_within_two_percent(batch: int, repository: Repository, tmp_path: Path) -> None:
    rented = 0
    for seed in range(batch * MARKETS // BATCHES, (batch + 1) * MARKETS // BATCHES):
        head = revision(repository, Random(seed))
        requirements = head.settings("chat", "chat-0", 0).to_requirements()
        market = FakeMarket(FakeClock(), generate(seed))
        prospects = looked(Look(market), head, ["chat"])
        if prospects["chat"].refusal:
            continue
        to_rent = InstanceReview(name="chat-0", fleet="chat", action=Action.RENTED)
        (shown,) = priced([to_rent], prospects, head.config)
        first = candidates(market, requirements, {}, market.clock.time(), lambda _phase, _text: None)[0][0]
        number = market.rent(first.id, rent_body("image", requirements.disk_gb, "gpu-fleet/abc/chat-0", "true", 8443))
        market.clock.sleep(900)
        row = market.show(number)
        assert row is not None
        charged = charged_usd_per_hour(row, requirements)

        assert charged is not None
        assert shown.usd_per_hour.then == pytest.approx(charged, rel=MOST_OFF), f"market {seed}"
        assert shown.usd_per_hour.ceiling is not None
        assert charged <= shown.usd_per_hour.ceiling + 1e-9, f"market {seed}"
        rented += 1
    assert rented >= MARKETS / BATCHES / 2
