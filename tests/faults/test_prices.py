"""A landlord who raises the price, through the real provider process: what is charged is read, told, and followed."""

import pytest

from tests.doubles.cloud import Cloud
from tests.doubles.dynamic_process import DynamicProcess

pytestmark = [pytest.mark.host, pytest.mark.rotating(of=4)]


def test_a_price_that_rose_is_read_and_replaces_only_if_the_fleet_says_so(
    cloud: Cloud, process: DynamicProcess
) -> None:
    props = cloud.props("chat-0")
    id_, outs = process.create(props)
    agreed = float(str(outs["usdPerHour"]))
    assert outs["chargedUsdPerHour"] == pytest.approx(agreed, rel=0.004), (
        "one formula for the offer and for its instance"
    )
    contract = next(row for row in cloud.sandbox.market.all() if row.id == int(id_))
    contract.meter.reprice(cloud.sandbox.market.clock.now(), 0.9)

    seen = process.read(id_, outs).outs

    assert seen["drift"] == []
    assert float(str(seen["chargedUsdPerHour"])) > 0.9
    assert seen["usdPerHour"] == outs["usdPerHour"]
    assert process.says("maxUsdPerHour is 0.6: it stays, unless its fleet says `overCeiling: replace`")
    assert process.diff(id_, seen, props).changes is False
    dear = cloud.props("chat-0", wishes={**props["wishes"], "overCeiling": "replace"})
    assert process.diff(id_, seen, dear).replaces == ["wishes.maxUsdPerHour"]
    raised = cloud.props("chat-0", wishes={**dear["wishes"], "maxUsdPerHour": 1.5})
    assert process.diff(id_, seen, raised).replaces == []


def test_an_announced_increase_is_told_by_a_refresh(cloud: Cloud, process: DynamicProcess) -> None:
    id_, outs = process.create(cloud.props("chat-0"))
    contract = next(row for row in cloud.sandbox.market.all() if row.id == int(id_))
    contract.announced_price = (cloud.sandbox.market.clock.now(), 0.9)

    seen = process.read(id_, outs).outs

    assert process.says("its landlord wants $0.900/h for the GPUs")
    assert (seen["drift"], seen["chargedUsdPerHour"]) == ([], outs["chargedUsdPerHour"])
