"""Read the rows of the market's lists one by one. A row that does not parse is set aside and fails no other row.

Lists hold rows of strangers and of the market itself, with nulls and other types in any field. A row that is set aside
still counts for the completeness of its list. If it has one of our labels, only its own instance is in doubt.
"""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

MARK = "odd"  # no market field has this name; only rows in our own cache have it
NAMED = 3  # how many fields a sentence names

Row = TypeVar("Row", bound=BaseModel)


class Odd(BaseModel):
    """A row that did not parse. `odd` names its invalid fields; `id` and `label` are set if they are readable.

    An empty `label` means that the row has no label.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    odd: str
    id: int | None = None
    label: str | None = None

    @property
    def description(self) -> str:
        """Say which row this is and which fields are invalid."""
        return f"row of {'an unknown id' if self.id is None else self.id} of another shape, at: {self.odd}"


class Listing(list[Row], Generic[Row]):
    """The rows that parsed, in the market's order. `odd` holds the rows that did not."""

    def __init__(self, rows: Iterable[Row] = (), odd: Iterable[Odd] = ()) -> None:
        super().__init__(rows)
        self.odd = tuple(odd)

    def dumped(self) -> list[dict[str, Any]]:
        """Return all rows as JSON values for other processes; `read` restores them."""
        everything: list[BaseModel] = [*self, *self.odd]
        return [row.model_dump(mode="json") for row in everything]


def read(rows: Iterable[Any], model: type[Row]) -> Listing[Row]:
    """Validate the market's rows, or rows that `dumped` returned."""
    good: list[Row] = []
    odd: list[Odd] = []
    for row in rows:
        if isinstance(row, dict) and MARK in row:
            odd.append(Odd.model_validate(row))
            continue
        try:
            good.append(model.model_validate(row))
        except ValidationError as error:
            odd.append(_odd(row, error))
    return Listing(good, odd)


def set_aside(rows: Iterable[object]) -> tuple[Odd, ...]:
    """Return the rows of a list that did not parse; empty for a list that did not come from the market."""
    return rows.odd if isinstance(rows, Listing) else ()


def describe_odd_rows(odd: tuple[Odd, ...], kind: str) -> str:
    """Say how many rows were left out, and why; empty if none. `kind` is the singular noun for a row."""
    if not odd:
        return ""
    fields = list(dict.fromkeys(field for one in odd for field in one.odd.split(", ")))
    many = f"1 {kind} is" if len(odd) == 1 else f"{len(odd)} {kind}s are"
    return f"{many} left out, because the market's answer has no usable {', '.join(fields[:NAMED])}"


def _odd(row: Any, error: ValidationError) -> Odd:
    fields = ", ".join(dict.fromkeys(str(one["loc"][0]) if one["loc"] else "row" for one in error.errors()))
    values = row if isinstance(row, dict) else {}
    number, label = values.get("id"), _label(values)
    readable = isinstance(number, int) and not isinstance(number, bool)
    return Odd(odd=fields, id=number if readable else None, label=label)


def _label(row: dict[str, Any]) -> str | None:
    value = row.get("label")
    if value is None and row:
        return ""
    return str(value) if isinstance(value, str | int | float) else None
