"""Stack id, tokens and SSH key: their form, and that what must differ differs."""

import io
from typing import Any

import paramiko
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.spec import TOKEN
from providers.identity.ssh_key import new_ssh_key
from providers.identity.stack_id import is_stack_id, new_stack_id
from providers.identity.tokens import new_token_secret, token_for

SECRET = "5e" * 32
NAMES = st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8"), max_size=40)
EPOCHS = st.integers(0, 10**6)
PINNED = "VN2Yg8hbiVm6j0GsXuAYb3vrjZyVt0iqYaFrP9vAinI"


@given(st.binary(min_size=10, max_size=10))
def test_every_stack_id_has_the_form_of_one(random: bytes) -> None:
    assert is_stack_id(new_stack_id(lambda count: random[:count]))


def test_stack_ids_carry_all_their_bits() -> None:
    assert new_stack_id(lambda count: b"\xff" * count) == "7" * 16
    assert new_stack_id() != new_stack_id()


@pytest.mark.parametrize("text", ["", "a" * 15, "a" * 17, "A" * 16, "a" * 15 + "1", "a" * 16 + "\n"])
def test_anything_else_is_no_stack_id(text: str) -> None:
    assert not is_stack_id(text)


@given(name=NAMES, epoch=EPOCHS)
def test_a_token_is_one_that_the_gate_takes(name: str, epoch: int) -> None:
    token = token_for(SECRET, name, epoch)

    assert len(token) == 43
    assert TOKEN.match(token)


@given(first=st.tuples(NAMES, EPOCHS), second=st.tuples(NAMES, EPOCHS))
def test_tokens_are_equal_only_for_the_same_instance_and_epoch(first: tuple[str, int], second: tuple[str, int]) -> None:
    assert (token_for(SECRET, *first) == token_for(SECRET, *second)) == (first == second)


def test_tokens_stay_the_same_between_versions() -> None:
    """A change of the rule would change every client's token at the next update without anybody having asked for it."""
    assert token_for(SECRET, "chat-0", 0) == PINNED
    through_the_engine: Any = 0.0  # counters have been floats on their way through the engine
    assert token_for(SECRET, "chat-0", through_the_engine) == PINNED


def test_another_secret_is_another_token() -> None:
    assert token_for(new_token_secret(), "chat-0", 0) != token_for(new_token_secret(), "chat-0", 0)


def test_a_damaged_secret_is_noticed_and_not_shown() -> None:
    with pytest.raises(ValueError, match="edited or damaged") as caught:
        token_for("hush" * 5, "chat-0", 0)
    assert "hush" not in str(caught.value)


def test_the_ssh_key_is_one_that_paramiko_reads() -> None:
    key = new_ssh_key("gpu-fleet-x")

    read = paramiko.Ed25519Key.from_private_key(io.StringIO(key.private))
    assert key.public == f"ssh-ed25519 {read.get_base64()} gpu-fleet-x"
    assert "PRIVATE" not in repr(key)


def test_a_comment_of_two_lines_would_be_a_second_key() -> None:
    with pytest.raises(ValueError, match="one line"):
        new_ssh_key("a\nssh-ed25519 AAAA attacker")
