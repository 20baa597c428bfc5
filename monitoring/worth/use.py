"""Asks Prometheus what hosts did in a window."""

import re
from collections import Counter
from collections.abc import Collection, Sequence

from monitoring import queries
from monitoring.prometheus import Prometheus, Series
from monitoring.worth.figures import Use, Work

STACK_ID = re.compile(r"[a-zA-Z0-9-]{1,64}")


def ask_use(prometheus: Prometheus, window: tuple[float, float], stacks: Collection[str] = ()) -> Use:
    """Return what the hosts of stacks did, by the stacks' ids; of every stack if none is given. Raises PrometheusError.

    `window`: its begin and end in unix seconds. An id that no stack can have is left out.
    """
    since, now = window
    own = [one for one in stacks if STACK_ID.fullmatch(one)]
    if stacks and not own:
        return Use()
    seconds = f"{max(60, round(now - since))}s"

    def ask(expression: str) -> list[Series]:
        return [one for one in prometheus.query(expression, now) if one.value == one.value]

    requests = _by_model(ask(queries.answered(seconds, own)))
    read, written = (_by_model(ask(queries.worked_tokens(kind, seconds, own))) for kind in ("prompt", "generation"))
    models: dict[int, Counter[str]] = {}
    for one in ask(queries.model_seconds(seconds, own)):
        if number := _instance(one):
            models.setdefault(number, Counter())[one.labels.get("model", "")] += one.value  # type: ignore[assignment]
    return Use(
        {key: Work(requests[key], read[key], written[key]) for key in {*requests, *read, *written}},
        _by_instance(ask(queries.ready_seconds(seconds, own))),
        _by_instance(ask(queries.unused_seconds(seconds))),
        models,
    )


def _by_model(found: Sequence[Series]) -> Counter[tuple[str, str]]:
    counted: Counter[tuple[str, str]] = Counter()
    for one in found:
        counted[one.labels.get("fleet", ""), one.labels.get("model_name", "")] += one.value  # type: ignore[assignment]
    return counted


def _by_instance(found: Sequence[Series]) -> dict[int, float]:
    return {number: one.value for one in found if (number := _instance(one))}


def _instance(one: Series) -> int:
    text = one.labels.get("instance_id", "")
    return int(text) if text.isdigit() else 0
