"""Private images are pulled with their login, and with no other."""

import pytest
from pydantic import ValidationError

from sandbox.market.records.contracts import Request
from sandbox.market.records.registries import PRIVATE, login_of, refusal

SERVER, (USER, PASSWORD) = next(iter(PRIVATE.items()))


@pytest.mark.parametrize(
    "flags",
    [
        f"-u {USER} -p {PASSWORD} {SERVER}",
        f"{SERVER} --username={USER} --password={PASSWORD}",
        f"-u '{USER}' -p '{PASSWORD}' {SERVER}",
    ],
)
def test_the_right_login_opens(flags: str) -> None:
    assert refusal(f"{SERVER}/a/b:1", flags) == ""


@pytest.mark.parametrize("flags", [None, "", f"-u {USER} -p wrong {SERVER}", f"-u {USER} -p {PASSWORD} ghcr.io"])
def test_another_one_does_not(flags: str | None) -> None:
    error = refusal(f"{SERVER}/a/b:1@sha256:00", flags)

    assert "pull access denied" in error
    assert PASSWORD not in error


def test_public_images_need_none() -> None:
    assert refusal("vllm/vllm-openai:v0.32.0", None) == ""
    assert refusal("vllm/vllm-openai:v0.32.0", "-u a -p b docker.io") == ""


@pytest.mark.parametrize("flags", ["-u", "--what x", "a b", "-p 'open"])
def test_what_is_no_login_is_refused_at_the_rent(flags: str) -> None:
    with pytest.raises(ValueError, match=r"value|flag|quotation"):
        login_of(flags)
    with pytest.raises(ValidationError):
        Request.model_validate({"image": "a", "image_login": flags})
