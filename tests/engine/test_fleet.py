"""The program on the real engine against a whole emulated cloud: what an operator does with a fleet, in order."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.cloud import REPO, Cloud
from tests.doubles.pulumi_stack import Engine, Stack

pytestmark = [pytest.mark.engine, pytest.mark.host]


@pytest.fixture
def stack(engine: Engine) -> Stack:
    return engine.stack(REPO)


def ids(cloud: Cloud) -> dict[str, int]:
    """Instance ids by name, from the market's records."""
    return {row["label"].rpartition("/")[2]: row["id"] for row in cloud.rented()}


def test_the_life_of_a_fleet(cloud: Cloud, stack: Stack) -> None:
    config = cloud.stack_config()
    stack.write_config(config)

    first = stack.up()
    before = ids(cloud)
    assert set(before) == {"chat-0"}
    for phase in ("search", "rent", "wait", "connect", "preflight", "install", "fetch weights", "start", "probe"):
        assert f"chat-0  {phase}  " in first.text
    outputs = stack.outputs()
    assert set(outputs) == {"endpoints", "hourlyCost", "caCertificate", "tokens", "starts"}
    assert outputs["endpoints"]["chat-0"].startswith("https://127.0.0.1:")

    secrets = [outputs["tokens"]["chat-0"], "sandbox-account-key", "sandbox-secret-key", "PRIVATE KEY"]
    assert not [secret for secret in secrets if secret in json.dumps(stack.state())]
    assert not [secret for secret in secrets if secret in first.text]
    looked = stack.refresh()
    assert not [secret for secret in secrets if secret in json.dumps(stack.state())]
    assert not [secret for secret in secrets if secret in looked.text]

    assert "unchanged" in stack.up("--expect-no-changes").text
    assert ids(cloud) == before

    cloud.sandbox.market.destroy(before["chat-0"])
    refreshed = stack.refresh()
    assert "deleted" in refreshed.text
    stack.up()
    assert set(ids(cloud)) == {"chat-0"}
    assert ids(cloud) != before

    before = ids(cloud)
    config["gpu-fleet:fleets"]["chat"]["replicas"] = 2
    stack.write_config(config)
    stack.up()
    assert set(ids(cloud)) == {"chat-0", "chat-1"}
    assert ids(cloud)["chat-0"] == before["chat-0"]

    config["gpu-fleet:fleets"]["chat"]["replicas"] = 1
    config["gpu-fleet:fleets"]["chat"]["vllmArguments"] = ["--max-model-len", "128"]
    stack.write_config(config)
    assert "chat-0  change  in place, because of vLLM's arguments" in stack.preview().text
    changed = stack.up()
    assert ids(cloud) == before, changed.text

    replaced = stack.up("--replace", "**chat-0")
    assert set(ids(cloud)) == {"chat-0"}, replaced.text
    assert ids(cloud) != before

    config["gpu-fleet:fleets"]["chat"]["replicas"] = 0
    stack.write_config(config)
    stack.up()
    assert cloud.rented() == []

    stack.destroy()
    assert stack.resources() == []
    assert cloud.sandbox.status()["market"]["usd_per_hour"] == 0


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("fleets.chat.replica", 1, "did you mean replicas?"),
        ("fleets.chat.replicas", "two", "gpu-fleet:fleets.chat.replicas is 'two'"),
        ("fleets.chat.replicas", -1, "gpu-fleet:fleets.chat.replicas is -1"),
        ("fleets.chat.maxUsdPerHour", 0, "gpu-fleet:fleets.chat.maxUsdPerHour is 0"),
        ("fleets.chat.model", "huge", "gpu-fleet:models does not name"),
        (
            "fleets.chat.maxUsdPerHour",
            0.001,
            "has a problem: gpu-fleet:fleets.chat.maxUsdPerHour: no offer for 1 x RTX 4090 or RTX 3090 fulfils",
        ),
        (
            "fleets.chat.gpu",
            {"name": "RTX 9999"},
            "gpu-fleet:fleets.chat.gpu.name: nobody lists 'RTX 9999'; no known GPU",
        ),
        ("vastApiKey", "wrong", "pulumi config set --secret gpu-fleet:vastApiKey"),
        ("vastApiKey", "", "gpu-fleet:vastApiKey is not set"),
        ("storeSecretKey", "wrong-secret-key", "storeSecretKey"),
        ("market", {"url": "http://127.0.0.1:1", "timeScale": 1000}, "make up"),
    ],
)
def test_bad_input_is_one_sentence_before_anything_is_rented(
    cloud: Cloud, stack: Stack, path: str, value: Any, says: str
) -> None:
    config = cloud.stack_config()
    *parents, last = path.split(".")
    place: Any = config
    for index, parent in enumerate(parents):
        place = place[f"gpu-fleet:{parent}" if index == 0 else parent]
    place[last if parents else f"gpu-fleet:{last}"] = value
    stack.write_config(config)

    done = stack.preview(check=False)

    assert done.status != 0
    assert says in done.text
    assert "Traceback" not in done.text
    assert "map[" not in done.text
    assert cloud.rented() == []


def test_a_manifest_that_does_not_match_its_files_is_refused(cloud: Cloud, stack: Stack, tmp_path: Path) -> None:
    config = cloud.stack_config()
    source = tmp_path / "files"
    source.mkdir()
    (source / "config.json").write_text("{}")
    config["gpu-fleet:models"]["tiny"]["source"] = str(source)
    stack.write_config(config)

    done = stack.preview(check=False)

    assert done.status != 0
    assert "gpu-fleet manifest" in done.text
    assert "Traceback" not in done.text


def test_a_bucket_of_somebody_else_is_not_touched(cloud: Cloud, engine: Engine) -> None:
    config = cloud.stack_config(replicas=0)
    first, second = engine.stack(REPO, "first"), engine.stack(REPO, "second")
    for stack in (first, second):
        stack.write_config(config)
    first.up()

    done = second.up(check=False)

    assert done.status != 0
    assert "Traceback" not in done.text
    assert config["gpu-fleet:store"]["bucket"] in done.text
    first.destroy()
