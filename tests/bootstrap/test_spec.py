"""What a host should become is refused before anything is done where it cannot be."""

from typing import Any

import pytest

from bootstrap.errors import OurFault, SpecInvalid
from bootstrap.manifest import File, Manifest
from bootstrap.spec import EndpointSpec

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

    assert wanted.vllm_command[-len(arguments) :] == arguments


@pytest.mark.parametrize("variable", [("VLLM_API_KEY", "hush"), ("a b", "hush"), ("A", "hush\0")])
def test_variables_that_cannot_be_set_are_refused_without_their_value(variable: tuple[str, str]) -> None:
    with pytest.raises(SpecInvalid) as raised:
        spec(env=(variable,))

    assert "hush" not in str(raised.value)


def test_the_token_is_not_shown() -> None:
    assert "t" * 43 not in repr(spec())
