"""What a host should become is refused before anything is done where it cannot be."""

import argparse
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.errors import OurFault, SpecInvalid
from bootstrap.facts import Facts
from bootstrap.rendered_config import vllm_config
from bootstrap.spec import EndpointSpec
from config.vllm_options import argument_problems
from tests.doubles.facts import EMPTY
from weights.manifest import File, Manifest

DIGEST = "1" * 64
MANIFEST = Manifest(name="tiny", files=(File(path="a.bin", size=3, sha256=DIGEST, parts=(DIGEST,)),))


def spec(**changes: Any) -> EndpointSpec:
    plain: dict[str, Any] = {"token": "t" * 43, "addresses": ("203.0.113.7",)}
    return EndpointSpec(name="chat-0", model=MANIFEST, kit=MANIFEST, served_model="tiny", **{**plain, **changes})


@pytest.mark.parametrize("token", ["", "short", "*", "t" * 31, "t" * 129, "t" * 42 + "\n", "t" * 42 + "*", "ü" * 43])
def test_a_token_that_the_gate_would_misread_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(SpecInvalid, match="letters, digits") as raised:
        spec(token=token)

    assert len(token) < 32 or token not in str(raised.value)
    assert isinstance(raised.value, OurFault)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--api-key", "hush"),
        ("--api-key=hush",),
        ("--api_key", "hush"),
        ("--api", "hush"),
        ("--host", "0.0.0.0"),
        ("--port=9",),
        ("--model", "other/model"),
        ("--served-model-name", "other"),
        ("--config", "/tmp/x.yaml"),
    ],
)
def test_arguments_that_are_ours_are_refused_in_every_spelling(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SpecInvalid, match="take it out") as raised:
        spec(vllm_args=arguments)

    assert "hush" not in str(raised.value)


def test_other_arguments_and_variables_are_passed_on() -> None:
    arguments = ("--max-model-len", "512", "--enforce-eager", "--dtype=float16", "--hf-overrides", '{"a": 1}')

    wanted = spec(vllm_args=arguments, env=(("VLLM_CPU_KVCACHE_SPACE", "1"),))

    assert wanted.vllm_arguments[-len(arguments) :] == arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--max-model-len 512",), 'write ["--max-model-len", "512"]'),
        (("--max-model-len  512 ",), 'write ["--max-model-len", "512"]'),
        (("-tp 2",), 'write ["-tp", "2"]'),
        (("""--hf-overrides '{"a": 1}'""",), r'write ["--hf-overrides", "{\"a\": 1}"]'),
        (("--dtype half --enforce-eager",), 'write ["--dtype", "half --enforce-eager"]'),
        (("serve", "--enforce-eager"), "'serve' follows no option"),
        (("mymodel",), "'mymodel' follows no option"),
        (("--max-model-len=512", "1024"), "'1024' follows no option"),
        (("--enforce-eager", ""), "an item is empty"),
        (("--",), "'--' is no option"),
        (("---dtype", "half"), "is no option"),
        (("\u2013\u2013dtype", "half"), "no minus sign"),
    ],
)
def test_an_item_that_is_not_one_option_or_one_value_is_refused_with_the_right_spelling(
    arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SpecInvalid, match=re.escape(message)):
        spec(vllm_args=arguments)


def test_a_key_in_the_same_item_as_its_option_is_not_shown() -> None:
    with pytest.raises(SpecInvalid, match="--api-key and its value are one item") as raised:
        spec(vllm_args=("--api-key hush",))

    assert "hush" not in str(raised.value)


options = st.from_regex(r"--[a-z][a-z0-9-]{1,20}\.?[a-z]{0,5}", fullmatch=True).map(lambda option: f"--x{option[2:]}")
values = st.text(min_size=1).filter(lambda text: bool(text.strip()) and not re.match("[-\u2010-\u2015\u2212]", text))
items = st.one_of(
    options.map(lambda option: (option,)),
    st.tuples(options, values),
    st.tuples(options, st.integers().map(str)),
    st.tuples(options, values, values),
    st.tuples(options, values).map(lambda pair: ("=".join(pair),)),
)


@given(st.lists(items).map(lambda lists: tuple(item for each in lists for item in each)))
def test_whatever_is_one_option_or_one_value_passes(arguments: tuple[str, ...]) -> None:
    assert argument_problems(arguments) == []


@given(options, st.text(min_size=1).filter(lambda text: bool(text.strip())))
def test_no_option_hides_its_value_in_its_own_item(option: str, value: str) -> None:
    assert argument_problems((f"{option} {value}",)) != []


def test_what_follows_cannot_be_taken_for_a_second_name() -> None:
    """`--served-model-name` takes as many names as come; argparse gives it one where a `=` stands between."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--served-model-name", nargs="+")
    named = [argument for argument in spec(vllm_args=()).vllm_arguments if argument.startswith("--served")]

    parsed = parser.parse_args([*named, "something"])

    assert parsed.served_model_name == ["tiny"]
    assert parsed.model == "something"


@pytest.mark.parametrize("value", ["0", "4", "x", "-5", ""])
def test_an_engine_that_closes_connections_before_the_gate_is_refused(value: str) -> None:
    with pytest.raises(SpecInvalid, match="VLLM_HTTP_TIMEOUT_KEEP_ALIVE is below 5 s"):
        spec(env=(("VLLM_HTTP_TIMEOUT_KEEP_ALIVE", value),))


def test_vllm_is_started_as_its_image_starts_it_and_else_as_a_module() -> None:
    wanted = spec()
    by_program = json.loads(vllm_config(wanted, Facts.model_validate({**EMPTY, "vllm": "/usr/local/bin/vllm"})))
    by_module = json.loads(vllm_config(wanted, Facts.model_validate(EMPTY)))

    assert by_program["argv"][:3] == ["/usr/local/bin/vllm", "serve", wanted.model_folder]
    module = ["/usr/bin/python3", "-m", "vllm.entrypoints.openai.api_server", "--model", wanted.model_folder]
    assert by_module["argv"][:5] == module
    assert by_program["argv"][3:] == by_module["argv"][5:]


@pytest.mark.parametrize("variable", [("VLLM_API_KEY", "hush"), ("a b", "hush"), ("A", "hush\0")])
def test_variables_that_cannot_be_set_are_refused_without_their_value(variable: tuple[str, str]) -> None:
    with pytest.raises(SpecInvalid) as raised:
        spec(env=(variable,))

    assert "hush" not in str(raised.value)


def test_the_token_is_not_shown() -> None:
    assert "t" * 43 not in repr(spec())
