"""A change in place that fails: what the instance does meanwhile is looked at, and said as it is."""

from typing import Any

import pytest

from bootstrap.errors import HostUnreachable, PreflightFailed
from bootstrap.facts import Facts
from providers.vast import lifecycle
from providers.vast.api.errors import UpdateFailed
from tests.doubles.facts import EMPTY
from tests.doubles.schedule import World
from tests.doubles.scheduled_host import settings_of


class Refusing:
    """What reaches a host that nothing can be changed on; `seen` is what a look at it finds, None where it is silent."""

    def __init__(self, seen: dict[str, Any] | None) -> None:
        self.seen = seen

    def serve(self, *_words: object) -> Any:
        raise PreflightFailed("memory", "there are 8000 MB of memory, 16000 MB are the least")

    def observe(self, *_words: object) -> Facts:
        if self.seen is None:
            raise HostUnreachable("nothing answers on SSH")
        return Facts.model_validate({**EMPTY, **self.seen})


def failed(seen: dict[str, Any] | None) -> str:
    world = World(1)
    world.up("chat-0")
    number, old, outs = world.state["chat-0"]

    def hosting(*_words: object) -> Any:
        return Refusing(seen)

    context = lifecycle.OperationContext(
        world.market, world.clock, world.context().keys, lambda *_: None, hosting=hosting
    )
    with pytest.raises(UpdateFailed) as raised:
        lifecycle.update(number, old, settings_of("chat-0", 1), outs, context)
    assert number in world.market.rows
    return str(raised.value)


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        ({"gate_open": True, "vllm_healthy": True}, "still serves: its gate is open and vLLM answers"),
        ({"gate_open": False, "vllm_healthy": True}, "serves no requests: its gate is closed"),
        ({"gate_open": True, "vllm_healthy": False}, "serves no requests: vLLM does not answer"),
        (None, "may still serve: it could not be looked at"),
    ],
)
def test_the_message_says_what_the_gate_really_does(seen: dict[str, Any] | None, says: str) -> None:
    assert f" {says}. It goes on costing $" in failed(seen)
