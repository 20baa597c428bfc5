"""Read an account's charges, page by page."""

import json
from collections.abc import Callable

from providers.vast.api.responses import Charge, Charges
from providers.vast.api.rows import read


def read_charges(page: Callable[[dict[str, str]], Charges], since: float, until: float) -> list[Charge]:
    """Return the charges between two unix times. `page` asks the market for one page by its parameters."""
    params = {"select_filters": json.dumps({"day": {"gte": since, "lte": until}}), "format": "table"}
    found: list[Charge] = []
    while True:
        answer = page(dict(params))
        found += read(answer.results, Charge)
        if not answer.next_token:
            return found
        params["after_token"] = answer.next_token
