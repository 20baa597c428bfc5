"""The start script: short enough for the market, safe to repeat, and without anything secret."""

import re
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from providers.identity.ssh_key import new_ssh_key
from providers.vast.renting.onstart import LIMIT, fingerprint, script

KEY = new_ssh_key("test").public


def test_it_fits_and_a_shell_can_read_it() -> None:
    text = script(KEY, "https://console.vast.ai", 3375)

    assert len(text) < LIMIT
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0
    assert text.count("END") == 4


def test_the_timer_names_the_instance_and_its_own_key_by_variables_alone() -> None:
    text = script(KEY, "https://console.vast.ai/", 3374.2)

    assert '"https://console.vast.ai/api/v0/instances/" + os.environ["CONTAINER_ID"]' in text
    assert 'os.environ["CONTAINER_API_KEY"]' in text
    assert re.search(r"-gt 3375 \]", text)


@given(st.text(alphabet=st.characters(codec="ascii", exclude_characters="\x00\r\n"), max_size=60))
def test_whatever_a_key_says_stays_one_word(comment: str) -> None:
    text = script(f"ssh-ed25519 AAAA {comment}", "http://m", 60)

    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0


def test_the_last_start_names_the_host_key() -> None:
    first, last = "SHA256:" + "a" * 43, "SHA256:" + "b" * 43

    assert fingerprint(f"x\ngpu-fleet host key {first}\n...\n12:00 gpu-fleet host key {last}\n") == last
    assert fingerprint("gpu-fleet host key SHA256:short") is None
