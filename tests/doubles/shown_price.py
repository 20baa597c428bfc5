"""What a review shows of a rent on a market by chance, and what that market then charges."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

from providers.vast.charged_price import charged_usd_per_hour
from providers.vast.instance_request import rent_body
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

GPUS = ("RTX 4090", "RTX 3090", "A100", "H100", "L40S", "RTX A6000")


@dataclass(frozen=True)
class Prices:
    """The price that was shown, its ceiling, and the charge; in US dollars an hour, None if unknown."""

    shown: float | None
    ceiling: float | None
    charged: float | None


def prices_on(seed: int, folder: Path) -> Prices | None:
    """Review a rent by chance, rent, and return the prices; None if no offer of that market fits."""
    head = _revision(Repository(folder), Random(seed))
    requirements = head.settings("chat", "chat-0", 0).to_requirements()
    market = FakeMarket(FakeClock(), generate(seed))
    prospects = looked(Look(market), head, ["chat"])
    if prospects["chat"].refusal:
        return None
    to_rent = InstanceReview(name="chat-0", fleet="chat", action=Action.RENTED)
    (shown,) = priced([to_rent], prospects, head.config)
    first = candidates(market, requirements, {}, market.clock.time(), lambda _phase, _text: None)[0][0]
    number = market.rent(first.id, rent_body("image", requirements.disk_gb, "gpu-fleet/abc/chat-0", "true", 8443))
    market.clock.sleep(900)
    row = market.show(number)
    charged = charged_usd_per_hour(row, requirements) if row else None
    return Prices(shown.usd_per_hour.then, shown.usd_per_hour.ceiling, charged)


def _revision(repository: Repository, random: Random) -> StackRevision:
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
