"""Queries a Prometheus over its HTTP API. Models validate every answer. No other module queries it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

TIMEOUT_SECONDS = 20.0
DEFAULT_URL = "http://127.0.0.1:18804"  # the sandbox's
VARIABLE = "GPU_FLEET_PROMETHEUS"


class PrometheusError(Exception):
    """Prometheus does not answer, or refuses a query. The message says which and why."""


@dataclass(frozen=True)
class Series:
    """One series of an answer: its labels, and (unix seconds, value) sorted by time."""

    labels: Mapping[str, str]
    points: list[tuple[float, float]]

    @property
    def value(self) -> float:
        """The last value."""
        return self.points[-1][1]


class _Result(BaseModel):
    model_config = ConfigDict(extra="ignore")
    metric: dict[str, str] = {}
    value: tuple[float, float] | None = None
    values: list[tuple[float, float]] = []


class _Data(BaseModel):
    kind: Literal["vector", "matrix"] = Field(alias="resultType")
    result: list[_Result]


class _Answer(BaseModel):
    status: str
    error: str = ""
    data: _Data | None = None


class Prometheus:
    """One server. Each call raises only PrometheusError."""

    def __init__(self, url: str, http: httpx.Client | None = None) -> None:
        self._url = url.rstrip("/")
        self._http = http or httpx.Client(timeout=TIMEOUT_SECONDS)

    def query(self, expression: str, at: float | None = None) -> list[Series]:
        """Return an expression's series now, or at a moment (unix seconds)."""
        return self._ask("query", {"query": expression} | ({"time": str(at)} if at is not None else {}))

    def range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """Return an expression's series between two moments (unix seconds), with a point every `step` seconds."""
        return self._ask(
            "query_range", {"query": expression, "start": str(start), "end": str(end), "step": f"{step:g}"}
        )

    def number(self, expression: str) -> float | None:
        """Return the one value of an expression; None without a value, or if it is not a number."""
        found = self.query(expression)
        return found[0].value if len(found) == 1 and found[0].value == found[0].value else None

    def _ask(self, path: str, form: Mapping[str, str]) -> list[Series]:
        try:
            reply = self._http.post(f"{self._url}/api/v1/{path}", data=dict(form))
            answer = _Answer.model_validate_json(reply.content)
        except httpx.HTTPError as error:
            raise PrometheusError(f"Prometheus does not answer at {self._url}: {error}") from None
        except ValidationError:
            raise PrometheusError(f"What answers at {self._url} (HTTP {reply.status_code}) is no Prometheus.") from None
        if answer.data is None:
            raise PrometheusError(f"Prometheus refuses `{form['query']}`: {answer.error or answer.status}")
        return [
            Series(row.metric, [row.value] if row.value else row.values)
            for row in answer.data.result
            if row.value or row.values
        ]
