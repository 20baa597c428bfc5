"""List prices of hosted APIs, which `models.<name>.comparedWith` names as `provider/model`.

The package genai-prices holds them (MIT, by the makers of pydantic), and this module asks no server. They are as old as the
package in the lock. Importing it takes half a second, so config reads it only if a model is compared.
"""

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime

from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import Provider

SAMPLE_TOKENS = 1000  # few, because some prices rise with the length of a prompt
NEAR = 0.5


@dataclass(frozen=True)
class ApiPrice:
    """List prices of one hosted model, in $ per million tokens, of its shortest prompts."""

    name: str  # as `comparedWith` spells it
    usd_per_million_in: float
    usd_per_million_out: float

    def usd(self, tokens_in: float, tokens_out: float) -> float:
        """Return the price of so many tokens there, without any discount for cached prompts."""
        return (self.usd_per_million_in * tokens_in + self.usd_per_million_out * tokens_out) / 1e6


def price_of(name: str, at: float) -> ApiPrice | None:
    """Return the list prices of `provider/model` at a moment (unix seconds); None if the list has none.

    >>> price_of("openai/gpt-4o-mini", 1_800_000_000.0).usd(750_000, 250_000)
    0.2625
    """
    provider, _, model = name.partition("/")
    sides = {"in": Usage(input_tokens=SAMPLE_TOKENS), "out": Usage(output_tokens=SAMPLE_TOKENS)}
    moment = datetime.fromtimestamp(at, UTC)
    try:
        usd = {
            side: float(calc_price(usage, model, provider_id=provider, genai_request_timestamp=moment).total_price)
            for side, usage in sides.items()
        }
    except LookupError:
        return None
    return ApiPrice(name, usd["in"] / SAMPLE_TOKENS * 1e6, usd["out"] / SAMPLE_TOKENS * 1e6)


def problem_with(name: str) -> str:
    """Return the end of a sentence about a wrong name in `comparedWith`; empty if the name has a list price.

    >>> problem_with("openai/gpt-4o-mini"), problem_with("openai/gtp-4o-mini")
    ('', 'has no list price; did you mean openai/gpt-4o-mini?')
    """
    if price_of(name, 0.0):
        return ""
    provider_id, _, model = name.partition("/")
    providers = {provider.id: provider for provider in get_snapshot().providers}
    if found := providers.get(provider_id.lower()):
        near = _near(model, found)
        hint = f"did you mean {near}?" if near else f"{found.id} lists {', '.join(sorted(_ids(found))[:5])} and others."
        return f"has no list price; {hint}"
    sellers = [one for one in providers.values() if name.lower() in _ids(one)]
    if sellers:
        return f"names no provider; write {' or '.join(f'{one.id}/{name}' for one in sellers[:3])}."
    near_ids = difflib.get_close_matches(provider_id.lower(), providers, n=1, cutoff=NEAR)
    hint = f"did you mean {near_ids[0]}/{model}?" if near_ids and model else f"known: {', '.join(sorted(providers))}."
    return f"names no provider with a list price; {hint}"


def _near(model: str, provider: Provider) -> str:
    found = difflib.get_close_matches(model.lower(), _ids(provider), n=1, cutoff=NEAR)
    return f"{provider.id}/{_ids(provider)[found[0]]}" if found else ""


def _ids(provider: Provider) -> dict[str, str]:
    return {model.id.lower(): model.id for model in provider.models}
