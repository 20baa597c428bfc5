"""What our client needs of a market, as checks that run against the emulator and, when asked, the real one.

Reading costs nothing; `renting` rents the cheapest fitting offer for a minute and gives it back.
"""

from providers.engine_watch import RentingClock
from providers.vast.api.client import VastClient
from providers.vast.instance_request import rent_body
from providers.vast.limits import Limits
from providers.vast.renting.give_back import give_back
from providers.vast.renting.look import is_absent
from providers.vast.renting.onstart import fingerprint, script
from providers.vast.renting.rent import rent
from providers.vast.renting.renter import Renter
from providers.vast.renting.wait import wait_until_running
from providers.vast.search import mismatches, query, ranking
from providers.vast.search.requirements import Requirements

REQUIREMENTS = Requirements(
    gpu_names=("RTX 3090", "RTX 4090"),
    gpu_count=1,
    max_usd_per_hour=0.6,
    disk_gb=16,
    weights_gb=1,
    min_reliability=0.9,
    min_download_mbps=100,
)


def reading(market: VastClient) -> None:
    """Key, search with every filter, list."""
    market.verify_key()
    assert market.account().id, "without the account's number, nothing that is missing can be called gone"
    found = market.search(query.query(REQUIREMENTS))
    assert found, "a market without a single fitting RTX 3090 or 4090 is not one to test against"
    assert len(found) <= 64
    ranked = ranking.rank(found, REQUIREMENTS)
    assert ranked, (
        f"the market's filters and ours disagree: {[mismatches.mismatches(row, REQUIREMENTS) for row in found[:3]]}"
    )
    assert isinstance(market.instances(), list)


def renting(market: VastClient, clock: RentingClock, limits: Limits, label: str) -> None:
    """Rent, find by label, wait until running, read the log, give back, see it gone."""
    best = ranking.rank(market.search(query.query(REQUIREMENTS)), REQUIREMENTS)[0]
    body = rent_body(
        "vastai/base-image:@vastai-automatic-tag",
        16,
        label,
        script("ssh-ed25519 AAAA contract", "https://console.vast.ai", 3600),
        8443,
    )
    instance_id = rent(Renter(market, clock, limits), best, body)
    try:
        deadline = clock.monotonic() + limits.boot_seconds
        instance = wait_until_running(Renter(market, clock, limits), instance_id, label, 8443, deadline)
        assert instance.machine_id == best.machine_id
        assert instance.label == label
        assert [row.id for row in market.instances(label)] == [instance_id]
        while fingerprint(market.log(instance_id)) is None and clock.monotonic() < deadline:
            clock.sleep(limits.look_seconds)
        assert fingerprint(market.log(instance_id))
    finally:
        give_back(Renter(market, clock, limits), instance_id)
    assert is_absent(Renter(market, clock, limits), instance_id)
    assert market.instances(label) == []
