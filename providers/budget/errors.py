"""Why a rent is refused for money's sake. Each message is a sentence for the operator."""

from collections.abc import Callable

from providers.vast.api.errors import VastError


class BudgetRefused(VastError):
    """The budget refuses a rent. Running instances go on."""


class OverBudget(BudgetRefused):
    """The rent could pass a budget. `fits` returns whether another rent would fit, by its $ an hour and its $ once."""

    def __init__(
        self, text: str, fits: Callable[[float, float], bool] = lambda _usd_per_hour, _once_usd: False
    ) -> None:
        super().__init__(text)
        self.fits = fits


class SpendUnknown(BudgetRefused):
    """The program cannot read the spent or promised sums now. It never treats an unknown sum as zero."""
