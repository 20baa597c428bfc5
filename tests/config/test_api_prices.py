"""List prices of hosted APIs: what a name costs, and which name was probably meant."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from config.api_prices import price_of, problem_with
from config.reading import load

NOW = 1_796_000_000.0
BASE = {
    "store": {"endpoint": "https://fsn1.example", "region": "fsn1", "bucket": "weights"},
    "models": {"tiny": {"manifest": "models/tiny.json"}},
}


def test_a_price_of_a_million_tokens_is_that_of_the_list() -> None:
    found = price_of("openai/gpt-4o-mini", NOW)

    assert found
    assert (found.usd_per_million_in, found.usd_per_million_out) == pytest.approx((0.15, 0.60))
    assert found.usd(750_000, 250_000) == pytest.approx(0.2625)


def test_no_server_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object, **_: object) -> None:
        raise AssertionError(words)

    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    assert price_of("groq/llama-3.1-8b-instant", NOW)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("openai/gpt-4o-mini", ""),
        ("openai/gpt-4o-mini-2024-07-18", ""),
        ("openai/gtp-4o-mini", "has no list price; did you mean openai/gpt-4o-mini?"),
        ("openay/gpt-4o-mini", "names no provider with a list price; did you mean openai/gpt-4o-mini?"),
        ("gpt-4o-mini", "names no provider; write github-copilot/gpt-4o-mini or openai/gpt-4o-mini."),
        ("openai/", "has no list price; openai lists "),
        ("", "names no provider with a list price; known: anthropic, "),
    ],
)
def test_a_name_without_a_price_says_which_was_meant(name: str, says: str) -> None:
    found = problem_with(name)

    assert found.startswith(says)
    assert bool(found) == bool(says)
    assert (price_of(name, NOW) is None) == bool(says)


def test_a_reader_that_may_be_older_leaves_unknown_prices_alone() -> None:
    models = {"tiny": {"manifest": "models/tiny.json", "comparedWith": ["openai/of-next-year"]}}

    found = load({**BASE, "models": models}, None, lenient=True)

    assert found.models["tiny"].compared_with == ("openai/of-next-year",)


def test_config_without_comparison_does_not_load_the_list() -> None:
    code = f"import sys; from config.reading import load; load({BASE!r}, None); sys.exit('genai_prices' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
