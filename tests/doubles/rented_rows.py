"""Show tests the instances of the emulated market as rows, and let them change what the market says."""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Self

from sandbox.market.market import Market
from sandbox.market.records import instances
from sandbox.market.records.contracts import Contract


class Row(MutableMapping[str, Any]):
    """One instance. A read returns what the market shows; after a write the market says that in place of the truth."""

    def __init__(self, market: Market, contract: Contract) -> None:
        self._market, self.contract = market, contract

    @property
    def age(self) -> float:
        """Seconds since the rent."""
        return self._market.clock.now() - self.contract.born

    @property
    def runs(self) -> bool:
        """Whether it runs in truth."""
        self._market.tick()
        return self.contract.phase == "up"

    def says(self, words: Mapping[str, Any]) -> None:
        """Let the market say only this in place of the truth. An empty mapping brings the truth back."""
        self.contract.false_fields.clear()
        self.contract.false_fields.update(words)

    def _shown(self) -> dict[str, Any]:
        return instances.row(self.contract, self._market.clock)

    def __getitem__(self, name: str) -> Any:
        return self.contract.label if name == "label" and not self.contract.false_fields else self._shown()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.contract.false_fields[name] = value

    def __delitem__(self, name: str) -> None:
        del self.contract.false_fields[name]

    def __ior__(self, words: Mapping[str, Any]) -> Self:
        self.update(words)
        return self

    def __iter__(self) -> Iterator[str]:
        return iter(self._shown())

    def __len__(self) -> int:
        return len(self._shown())


class Rows(MutableMapping[int, Row]):
    """All instances of an account by id, also hidden ones. A test may take one out, and put it back."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def __getitem__(self, number: int) -> Row:
        return Row(self._market, self._market._contracts[number])

    def __setitem__(self, number: int, row: Row) -> None:
        row.contract.id = number
        self._market._contracts[number] = row.contract

    def __delitem__(self, number: int) -> None:
        del self._market._contracts[number]

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._market._contracts))

    def __len__(self) -> int:
        return len(self._market._contracts)

    def __repr__(self) -> str:
        return str({number: (row["label"], row["actual_status"], row["machine_id"]) for number, row in self.items()})
