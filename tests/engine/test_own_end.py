"""A fleet whose hosts end themselves: preview and refresh say when and why, and the next `up` rents them again."""

import pytest

from tests.doubles.cloud import REPO, Cloud
from tests.doubles.fleet_stack import assert_all_serve
from tests.doubles.pulumi_stack import Engine, Stack
from tests.doubles.until import until
from tests.engine.test_operating import blocks, follow

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.timeout(900), pytest.mark.rotating(of=6)]

IDLE_SECONDS = 24  # longer than an `up` takes from the first answer to its end
PATIENCE_SECONDS = 180


def configure(cloud: Cloud, stack: Stack, replicas: int, **limits: float) -> None:
    config = cloud.stack_config(replicas=replicas, **limits)
    config["gpu-fleet:store"] = stack.read_config().get("gpu-fleet:store") or config["gpu-fleet:store"]
    stack.write_config(config)


def ids(cloud: Cloud) -> dict[str, int]:
    return {row["label"].rpartition("/")[2]: row["id"] for row in cloud.rented()}


def test_hosts_that_nobody_uses_end_themselves_and_the_next_up_rents_them_again(cloud: Cloud, engine: Engine) -> None:
    stack = engine.stack(REPO)
    configure(cloud, stack, 3, idleMinutes=IDLE_SECONDS / 60)
    stack.up()
    assert_all_serve(cloud, stack, 3)

    until(lambda: cloud.rented() == [], seconds=PATIENCE_SECONDS)
    previewed = stack.preview().text
    for name in ("chat-0", "chat-1", "chat-2"):
        assert f"{name}  gone  it ended itself at " in previewed
        assert f"{name}  change  another machine" in previewed
    assert "idle seconds; `pulumi up` rents it again" in previewed

    again, refreshed = blocks("A host ended itself")
    follow(stack, again)  # three that vanished at once do not stop renting, because each left word
    assert_all_serve(cloud, stack, 3)

    until(lambda: cloud.rented() == [], seconds=PATIENCE_SECONDS)
    told = stack.refresh().text
    assert "chat-0  gone  it ended itself at " in told
    assert "chat-0 deleted" in told

    configure(cloud, stack, 1)
    follow(stack, refreshed)
    before = ids(cloud)
    for limits in ({"idleMinutes": 60}, {"idleMinutes": 90, "maxHours": 12}, {}):
        configure(cloud, stack, 1, **limits)
        done = stack.up().text
        assert "chat-0  change  in place, because of when it ends itself" in done
        assert ids(cloud) == before
    assert_all_serve(cloud, stack, 1)
    stack.destroy()
    assert cloud.rented() == []
