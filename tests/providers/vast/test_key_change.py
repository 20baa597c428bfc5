"""A change of the SSH key by what state knows: the new key beside the old one first, the old one locked out afterwards."""

from dataclasses import replace
from typing import Any

import pytest

from bootstrap.errors import HostUnreachable
from providers.vast import lifecycle
from providers.vast.key_change import LEFT, KeyUnchanged
from providers.vast.settings import InstanceSettings
from tests.doubles.schedule import World
from tests.doubles.scheduled_host import Host, settings_of


def with_key(name: str) -> InstanceSettings:
    settings = settings_of("chat-0", 0)
    return settings.model_copy(update={"access": settings.access.model_copy(update={"ssh_public_key": name})})


OLD, NEW = with_key("ssh-ed25519 AAAAold"), with_key("ssh-ed25519 AAAAnew")


class Rotating:
    """chat-0 in state, and a host that notes what is done with its keys."""

    def __init__(self, fails: str = "") -> None:
        self.world, self.done = World(1), []  # type: tuple[World, list[str]]
        self.fails = fails
        self.world.up("chat-0")
        self.number, _settings, self.outs = self.world.state["chat-0"]

    def update(self, old: InstanceSettings, new: InstanceSettings, outs: dict[str, Any]) -> dict[str, Any]:
        noted, fails = self.done, self.fails

        class Noting(Host):
            def change_key(self, *_words: object) -> None:
                self._note("change")

            def retire_keys(self, *_words: object) -> None:
                self._note("retire")

            def _note(self, step: str) -> None:
                noted.append(step)
                if step == fails:
                    raise HostUnreachable("closed")

        def hosting(settings: InstanceSettings, *_more: object) -> Any:
            return Noting(self.world.market, self.world.serving, settings)

        return lifecycle.update(self.number, old, new, outs, replace(self.world.context(), hosting=hosting))


def test_the_old_key_is_locked_out_by_the_update_that_finds_the_new_one_in_state() -> None:
    rotating = Rotating()

    first = rotating.update(OLD, NEW, rotating.outs)
    assert (rotating.done, first["drift"]) == (["change"], [LEFT])
    found = lifecycle.compare(NEW, NEW, first)
    assert (found.replace, found.in_place) == ([], ["drift"])
    second = rotating.update(NEW, NEW, first)

    assert (rotating.done, second["drift"]) == (["change", "retire"], [])
    assert not lifecycle.compare(NEW, NEW, second).any


def test_an_update_that_state_never_heard_of_is_begun_anew() -> None:
    rotating = Rotating()

    rotating.update(OLD, NEW, rotating.outs)
    rotating.update(OLD, NEW, rotating.outs)

    assert rotating.done == ["change", "change"]


@pytest.mark.parametrize("words", [{}, {"actual_status": "unknown"}])
def test_a_refresh_forgets_no_key_that_is_to_be_locked_out(words: dict[str, Any]) -> None:
    rotating = Rotating()
    rotating.world.market.rows[rotating.number].says(words)

    seen = lifecycle.read(rotating.number, NEW, {**rotating.outs, "drift": [LEFT]}, rotating.world.context())

    assert seen is not None
    assert LEFT in seen["drift"]


@pytest.mark.parametrize(
    ("fails", "old", "drift", "says"),
    [
        ("change", OLD, [], "the key of before goes on opening it"),
        ("retire", NEW, [LEFT], "the new SSH key opens it, but the one of before could not be locked out"),
    ],
)
def test_a_failure_says_which_key_opens_the_host(
    fails: str, old: InstanceSettings, drift: list[str], says: str
) -> None:
    rotating = Rotating(fails)

    with pytest.raises(KeyUnchanged) as raised:
        rotating.update(old, NEW, {**rotating.outs, "drift": drift})

    assert says in str(raised.value)
    assert f"Instance {rotating.number} serves with its new settings" in str(raised.value)
    assert "Run `pulumi up` again" in str(raised.value)
    assert rotating.number in rotating.world.market.rows
