"""Why a rent is refused for money's sake. Each message is a sentence for the operator."""

from collections.abc import Callable

from providers.vast.api.errors import VastError


class BudgetRefused(VastError):
    """Nothing is rented because of the budget. What runs goes on."""


class OverBudget(BudgetRefused):
    """The rent could pass a budget. `fits` says whether another would not, by its $ an hour and its $ once."""

    def __init__(
        self, text: str, fits: Callable[[float, float], bool] = lambda _usd_per_hour, _once_usd: False
    ) -> None:
        super().__init__(text)
        self.fits = fits


class SpendUnknown(BudgetRefused):
    """What was spent or promised cannot be known now, and an unknown sum is not nought."""
