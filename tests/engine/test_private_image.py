"""A private image, pinned by its digest, on a GPU in a user's spelling, serving a model under a name as clients send it."""

import json
from pathlib import Path

import pytest

from bootstrap.clock import SystemClock
from bootstrap.probe import probe
from sandbox.market.records.registries import PRIVATE
from tests.doubles.cloud import REPO, Cloud
from tests.doubles.pulumi_stack import Engine

pytestmark = [pytest.mark.engine, pytest.mark.host]

SERVER, (USER, PASSWORD) = next(iter(PRIVATE.items()))
IMAGE = f"{SERVER}/vllm/vllm-openai-cpu:v0.32.0@sha256:{'a' * 64}"
MODEL = "Org/Tiny-1.5:fp8"


def test_a_private_image_is_pulled_with_its_login_alone(cloud: Cloud, engine: Engine) -> None:
    stack = engine.stack(REPO)
    config = cloud.stack_config()
    chat = config["gpu-fleet:fleets"]["chat"]
    [manifest] = config["gpu-fleet:models"].values()
    config["gpu-fleet:models"] = {MODEL: manifest}
    chat |= {"model": MODEL, "image": IMAGE, "gpu": {"name": ["rtx_4090", "3090", "RTX 4080 SUPER"]}}
    stack.write_config(config)

    refused = stack.up(check=False)

    assert "its registry refuses the image" in refused.text
    assert "registry.password" in refused.text
    assert "Another machine was refused before" in refused.text
    assert cloud.rented() == []

    chat["registry"] = {"server": SERVER, "user": USER}
    stack.write_config(config)
    stack.config(secret={"gpu-fleet:fleets.chat.registry.password": PASSWORD})
    up = stack.up()

    found = stack.outputs()
    endpoint, token = found["endpoints"]["chat-0"], found["tokens"]["chat-0"]
    assert probe(endpoint, found["caCertificate"], token, MODEL, SystemClock(), 30).text
    assert PASSWORD not in up.text
    assert PASSWORD not in json.dumps(stack.state())
    assert PASSWORD not in Path(stack.folder, f"Pulumi.{stack.name}.yaml").read_text()
    assert "unchanged" in stack.up("--expect-no-changes").text

    stack.destroy()
    assert cloud.rented() == []
