"""The preview looks at the label before it searches: an orphan is taken over though nobody offers anything."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime import rpc

from providers.store.client import Keys, connect
from providers.vast.limits import Limits
from providers.vast.renting.adopt import Adoption, would_adopt
from providers.vast.renting.bucket_marks import BucketMarks
from providers.vast.renting.renter import Renter
from providers.vast.renting.serving_marks import NoMarks, ServingMark
from providers.vast.resource import VastInstanceProvider
from providers.vast.search.requirements import Requirements
from sandbox.market.records.contracts import Request
from sandbox.services.object_store import ADMIN, REGION, ObjectStore
from sandbox.testing import RunningMarket, running_market
from tests.doubles.clock import FakeClock
from tests.doubles.dynamic_process import DynamicProcess
from tests.doubles.market import FakeMarket, offer
from tests.doubles.marks import FakeMarks
from tests.doubles.settings import PROPS
from tests.providers.vast.test_lives import machine

pytestmark = pytest.mark.service

LABEL, IMAGE = PROPS["label"], PROPS["server"]["image"]


@pytest.fixture(scope="module")
def market() -> Iterator[RunningMarket]:
    with running_market(machines=[machine(1), machine(2)]) as running:
        for label, image in ((LABEL, IMAGE), ("gpu-fleet/abc/chat-1", "another/image:1")):
            asked = Request(image=image, disk=48, label=label, env={"-p 8443:8443": "1"})
            running.emulator.rent(int(running.emulator.listed(48.0)[0]["id"]), asked)
        yield running


@pytest.fixture(scope="module")
def process(market: RunningMarket) -> Iterator[DynamicProcess]:
    with DynamicProcess(VastInstanceProvider()) as running:
        running.configure({"vastApiKey": market.key, "storeAccessKey": "", "storeSecretKey": ""})
        yield running


def props(market: RunningMarket, **changes: Any) -> dict[str, Any]:
    found = {**copy.deepcopy(PROPS), "market": {"url": market.url, "timeScale": market.time_scale}}
    found["wishes"] |= {"verified": False, "reliability": 0, "downloadMbps": 0, "maxUsdPerHour": 9}
    return {**found, **changes}


def test_an_orphan_needs_no_offer(market: RunningMarket, process: DynamicProcess) -> None:
    assert process.check(props(market)).failures == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"label": "gpu-fleet/abc/chat-1"},  # of another image
        {"label": "gpu-fleet/abc/chat-2"},  # nothing is rented under it
        {"label": rpc.UNKNOWN},
        {"diskGb": 900},
    ],
)
def test_whatever_cannot_be_taken_over_needs_one(
    market: RunningMarket, process: DynamicProcess, changes: dict[str, Any]
) -> None:
    assert "gpu-fleet:fleets.chat" in process.check(props(market, **changes)).failures[""]


@pytest.mark.parametrize(
    ("mark", "taken"),
    [
        (None, 1),
        (ServingMark(502), 2),  # the lowest sound one, and it is being given back
        (ServingMark(503), 1),
        (ServingMark(502, ("them",)), 1),
        (ServingMark(503, ("them",)), 2),  # it serves for another create
        (ServingMark(501, ("them",)), 1),  # of another image
    ],
    ids=str,
)
def test_the_preview_and_the_create_agree_on_what_is_taken_over(mark: ServingMark | None, taken: int) -> None:
    market, marks = FakeMarket(FakeClock()), FakeMarks()
    ids = [market.add("label", offer(7), image="another"), *(market.add("label", offer(n)) for n in (8, 9))]
    market.add("of another", offer(6))
    requirements = Requirements(("RTX 4090",), 1, max_usd_per_hour=0.5, disk_gb=20, weights_gb=1)
    if mark:
        marks.write("label", mark, None)

    adopted = would_adopt(market.instances(), "label", "image", requirements, lambda: marks.read("label"))

    holding = Adoption(Renter(market, market.clock, Limits()), "label", marks if mark else NoMarks(), lambda *_: None)
    assert adopted == holding.adopt(market, "image", requirements)
    assert adopted is not None
    assert adopted.id == ids[taken]


def test_what_is_being_given_back_is_not_taken_over(market: RunningMarket, tmp_path: Path) -> None:
    with ObjectStore(tmp_path) as store, DynamicProcess(VastInstanceProvider()) as process:
        s3 = connect(store.endpoint, REGION, Keys(ADMIN.access_key, ADMIN.secret_key))
        s3.create_bucket(Bucket="marks")
        marks = BucketMarks(lambda: s3, "marks", FakeClock())
        asked = props(market, store={"endpoint": store.endpoint, "region": REGION, "bucket": "marks"})
        process.configure(
            {"vastApiKey": market.key, "storeAccessKey": ADMIN.access_key, "storeSecretKey": ADMIN.secret_key}
        )
        number = next(one.id for one in market.emulator.all() if one.label == LABEL)

        marks.write(LABEL, ServingMark(number), None)
        assert "gpu-fleet:fleets.chat" in process.check(asked).failures[""]
        marks.write(LABEL, ServingMark(number, ("them",)), marks.read(LABEL))
        assert process.check(asked).failures == {}
        s3.put_object(Bucket="marks", Key="serving/abc.chat-0.json", Body=b"no mark")
        assert process.check(asked).failures == {}


def test_each_fleet_is_told_its_plan_once_whichever_of_its_instances_come() -> None:
    with (
        running_market(machines=[machine(number) for number in (1, 2, 3)]) as market,
        DynamicProcess(VastInstanceProvider()) as process,
    ):
        process.configure({"vastApiKey": market.key, "storeAccessKey": "", "storeSecretKey": ""})
        for fleet, index in (("chat", 2), ("chat", 3), ("other", 1)):
            name = f"{fleet}-{index}"
            one = {"name": name, "label": f"gpu-fleet/abc/{name}", "turn": index}
            rollout = {"fleet": fleet, "maxUnavailable": 1}
            assert process.check(props(market, **one, replicas=4, rollout=rollout)).failures == {}
        lines = [line for line in process.output.splitlines() if "  fetch weights  " in line]

    assert [line.partition("  ")[0] for line in lines] == ["chat-2", "other-1"]
