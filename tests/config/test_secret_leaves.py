"""A secret leaf of structured config is found, sealed wherever a resource gets it, and in no message or file."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pulumi
import pytest

from components.kubernetes_settings import stack_file
from components.sealing import sealed
from config.messages import ConfigError
from config.reading import load
from config.secret_leaves import SecretLeaves, readable, stack_sections
from config.stack import StackConfig
from tests.config.test_reading import GOOD, as_the_engine_passes

KEY = "0123456789abcdef-of-wandb"
MARK = {"secure": "v1:abc:def"}


def fleets(**chat: Any) -> dict[str, Any]:
    return {"chat": {**GOOD["fleets"]["chat"], **chat}}


PLAIN = fleets(environment={"WANDB_API_KEY": KEY, "VLLM_LOGGING_LEVEL": "INFO"})
FILE = fleets(environment={"WANDB_API_KEY": MARK, "VLLM_LOGGING_LEVEL": "INFO"})
FOUND = SecretLeaves.of({"fleets": PLAIN}, {"fleets": FILE})


def secret(value: Any) -> bool:
    return isinstance(value, pulumi.Output)


def test_the_stacks_file_says_which_leaf_is_secret(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(json.dumps({"config": {"gpu-fleet:fleets": FILE}}))

    assert stack_sections(tmp_path, "dev", "gpu-fleet") == {"fleets": FILE}
    assert FOUND.values == {KEY}
    assert FOUND.places == (("fleets", "chat", "environment", "WANDB_API_KEY"),)


@pytest.mark.parametrize("file", [{}, {"fleets": MARK}, {"fleets": fleets(environment={"WANDB_API_KEY": MARK})}])
def test_a_file_that_does_not_tell_makes_every_leaf_secret(file: dict[str, Any]) -> None:
    found = SecretLeaves.of({"fleets": PLAIN}, file)

    assert {KEY, "INFO", "RTX 4090"} <= found.values
    assert found.holds("RTX 4090")


def test_only_what_is_secret_is_sealed() -> None:
    inputs = sealed({"server": {"environment": PLAIN["chat"]["environment"], "arguments": ["-x", f"--k={KEY}"]}}, FOUND)

    assert secret(inputs["server"]["environment"]["WANDB_API_KEY"])
    assert secret(inputs["server"]["arguments"][1])
    assert inputs["server"]["environment"]["VLLM_LOGGING_LEVEL"] == "INFO"
    assert FOUND.among(inputs | {"plain": KEY}) == [KEY]


def test_a_url_with_a_password_is_sealed_though_nobody_marked_it() -> None:
    assert secret(sealed({"url": "https://me:hunter22@market.example"}, SecretLeaves())["url"])


def test_no_message_shows_a_secret() -> None:
    wrong = fleets(replicas=KEY)
    found = SecretLeaves.of({"fleets": wrong}, {"fleets": fleets(replicas=MARK)})

    with pytest.raises(ConfigError) as refused:
        load(as_the_engine_passes({**GOOD, "fleets": wrong}), None, found)
    assert "fleets.chat.replicas is '[secret]'" in str(refused.value)
    with pytest.raises(ConfigError) as refused:
        load(as_the_engine_passes({**GOOD, "fleets": KEY}), None, SecretLeaves.of({"fleets": KEY}, {"fleets": MARK}))
    assert KEY not in str(refused.value)


def test_a_secret_argument_is_refused_with_the_way_that_hides_it() -> None:
    plain, file = fleets(vllmArguments=["--hf-token", KEY]), fleets(vllmArguments=["--hf-token", MARK])

    with pytest.raises(
        ConfigError, match=r"arguments of a process.*--secret --path 'gpu-fleet:fleets.chat.environment"
    ):
        load(
            as_the_engine_passes({**GOOD, "fleets": plain}), None, SecretLeaves.of({"fleets": plain}, {"fleets": file})
        )


def test_the_exporters_file_has_no_secret_and_says_if_it_cannot_do_without() -> None:
    stack = StackConfig.model_validate({**GOOD, "fleets": PLAIN})

    assert KEY not in stack_file(stack, FOUND)
    needed = SecretLeaves.of({"store": GOOD["store"]}, {"store": {**GOOD["store"], "bucket": MARK}})
    with pytest.raises(ConfigError, match=r"gpu-fleet:store.bucket: the exporter in the cluster needs it in plain"):
        stack_file(stack, needed)


def test_ciphertext_is_a_mark() -> None:
    assert readable({"a": {"secure": "x"}, "b": [{"secure": "x"}, 1]}) == {"a": "[secret]", "b": ["[secret]", 1]}


def test_numbers_are_texts_where_texts_are_meant() -> None:
    environment = {"A": 1, "B": 0.5, "C": True}
    config = {**GOOD, "models": {"7": {"manifest": "m.json"}}, "fleets": fleets(environment=environment, model=7)}
    config["store"] = {**GOOD["store"], "bucket": 1234}

    found = load(as_the_engine_passes(config), None)

    assert found.fleets["chat"].environment == {"A": "1", "B": "0.5", "C": "true"}
    assert (found.fleets["chat"].model, found.store.bucket) == ("7", "1234")


def test_a_message_hides_a_secret_in_each_form_in_which_a_text_may_carry_it() -> None:
    hidden = 'of/"one" & two\nsecond line'
    found = SecretLeaves.of({"chat": {"key": hidden}}, {"chat": {"key": MARK}})

    for form in (hidden, json.dumps(hidden)[1:-1], quote(hidden, safe=""), base64.b64encode(hidden.encode()).decode()):
        assert found.clean(f"it says {form}.") == "it says [secret]."
    assert found.clean("it says second line.") == "it says [secret]."
