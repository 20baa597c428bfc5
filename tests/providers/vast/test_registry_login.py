"""The login of a private image travels to the market in the rent call, and shows nowhere else."""

import copy

import pytest

from bootstrap.services import Progress
from providers.ledger.event import Outcome, Reason
from providers.vast.api.errors import ImageRefused, RentalFailed, SettingsInvalid
from providers.vast.api.instance import Failed, Instance, classify
from providers.vast.create import Served, bring_online
from providers.vast.instance_request import InstanceRequest, rent_body
from providers.vast.limits import Limits
from providers.vast.redaction import Redaction
from providers.vast.renting.renter import Renter
from providers.vast.search.requirements import Requirements
from providers.vast.settings import InstanceSettings
from sandbox.market.records.registries import login_of
from tests.doubles.clock import FakeClock
from tests.doubles.ledger import FakeLedger
from tests.doubles.market import FakeMarket
from tests.doubles.settings import PROPS

REFUSED = "Error response from daemon: Head https://ghcr.io/v2/x/manifests/1: unauthorized"
LOGIN = {"server": "ghcr.io", "user": "somebody", "password": "pass word's $1"}


def settings(**login: str) -> InstanceSettings:
    return InstanceSettings.from_props({**copy.deepcopy(PROPS), "registry": {**LOGIN, **login}})


def test_the_flags_are_read_back_as_they_were_given() -> None:
    registry = settings().registry

    assert registry is not None
    assert login_of(registry.flags) == LOGIN
    assert rent_body("i", 8, "l", "o", 1, registry.flags)["image_login"] == registry.flags
    assert "image_login" not in rent_body("i", 8, "l", "o", 1)


def test_the_password_shows_in_no_text() -> None:
    assert LOGIN["password"] not in repr(settings())
    props = {"registry": LOGIN}
    assert LOGIN["password"] not in Redaction.of(props).clean(f"login with {LOGIN['password']} failed")


def test_a_password_that_is_not_set_is_asked_for() -> None:
    with pytest.raises(SettingsInvalid, match=r"pulumi config set --secret --path .*registry\.password"):
        settings(password="")


@pytest.mark.parametrize("bad", [{"server": "two words"}, {"user": "-p"}, {"server": ""}])
def test_what_would_be_another_flag_is_refused(bad: dict[str, str]) -> None:
    with pytest.raises(SettingsInvalid) as raised:
        settings(**bad)

    assert LOGIN["password"] not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "Error response from daemon: pull access denied for x, repository does not exist or may require 'docker login'",
        "Error response from daemon: Head https://ghcr.io/v2/x/manifests/1: unauthorized",
        "Error: no basic auth credentials",
    ],
)
def test_a_registry_that_refuses_is_told_apart_from_a_broken_image(text: str) -> None:
    state = classify(Instance(id=1, actual_status="loading", status_msg=text), 8443)

    assert isinstance(state, Failed)
    assert state.reason == "registry"
    assert text in state.message
    assert "registry.password" in state.message


def brought(market: FakeMarket, ledger: FakeLedger, attempts: int = 3) -> Served:
    requirements = Requirements(("RTX 4090",), 1, max_usd_per_hour=0.5, disk_gb=20, weights_gb=1)
    order = InstanceRequest("chat-0", "gpu-fleet/abc/chat-0", requirements, "image", "true", 8443)
    limits = Limits(attempts=attempts)
    return bring_online(Renter(market, market.clock, limits), order, Serving(), lambda *_: None, ledger)


class Serving:
    def serve(self, instance: Instance, host_key: str, report_progress: Progress, deadline: float) -> Served:
        return Served(instance, "https://203.0.113.7:48443", host_key, 0.0, {}, 0.1)


def test_the_bad_login_of_one_landlord_costs_one_attempt_and_blames_no_machine() -> None:
    market, ledger = FakeMarket(FakeClock()), FakeLedger()
    market.messages[1001] = REFUSED

    served = brought(market, ledger)

    assert (served.instance.machine_id, served.attempts) == (1002, 2)
    assert list(market.rows) == [served.instance.id]
    [failed] = [event for event in ledger.events if event.outcome is Outcome.FAILED]
    assert failed.reason is Reason.REGISTRY
    assert 1001 not in ledger.machine_histories() or not ledger.machine_histories()[1001].failed


def test_a_refusal_that_two_machines_hear_ends_the_create() -> None:
    market, ledger = FakeMarket(FakeClock()), FakeLedger()
    market.messages |= dict.fromkeys(range(1001, 1006), REFUSED)

    with pytest.raises(ImageRefused, match=r"unauthorized(.|\n)*registry\.password"):
        brought(market, ledger)

    assert market.rows == {}
    assert [call for call, _ in market.calls].count("rent") == 2
    reasons = [event.reason for event in ledger.events if event.outcome is Outcome.FAILED]
    assert reasons == [Reason.REGISTRY, Reason.REGISTRY]


def test_a_create_that_ends_after_one_refusal_names_the_login() -> None:
    market = FakeMarket(FakeClock())
    market.messages[1001] = REFUSED

    with pytest.raises(RentalFailed, match=r"registry\.password") as raised:
        brought(market, FakeLedger(), attempts=1)

    assert raised.value.reason == "registry"
