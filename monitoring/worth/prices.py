"""The list prices with which a stack compares its models."""

from collections.abc import Mapping, Sequence

from config.api_prices import ApiPrice, price_of
from config.stack import StackConfig


def prices_of(stack: StackConfig, at: float) -> Mapping[str, Sequence[ApiPrice]]:
    """Return by model what `comparedWith` names, at list prices of a moment (unix seconds), without names that have none."""
    compared = {name: model.compared_with for name, model in stack.models.items() if model.compared_with}
    found = {name: [price_of(other, at) for other in others] for name, others in compared.items()}
    return {name: [price for price in prices if price] for name, prices in found.items()}
