"""The login of a private image travels to the market in the rent call, and shows nowhere else."""

import copy

import pytest

from providers.vast.errors import SettingsInvalid
from providers.vast.instances import Failed, Instance, classify
from providers.vast.redaction import Redaction
from providers.vast.renting import rent_body
from providers.vast.settings import InstanceSettings
from sandbox.market.registries import login_of
from tests.doubles.settings import PROPS

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
def test_a_registry_that_refuses_is_no_matter_of_the_machine(text: str) -> None:
    state = classify(Instance(id=1, actual_status="loading", status_msg=text), 8443)

    assert state == Failed("registry", text)
