"""Marks in memory, written as a store with conditions writes them."""

from collections.abc import Callable

from providers.vast.renting.serving_marks import MarkUnknown, ServingMark


class FakeMarks:
    """Satisfies `Marks`. `before` is called at each step, with its name; a step is unknown while `silent` says so."""

    lasting = True

    def __init__(
        self, before: Callable[[str], None] = lambda _step: None, silent: Callable[[], bool] = lambda: False
    ) -> None:
        self.held: dict[str, ServingMark] = {}
        self.silent = silent
        self._before, self._count = before, 0

    def read(self, label: str) -> ServingMark | None:
        self._step("read")
        return self.held.get(label)

    def write(self, label: str, held: ServingMark, seen: ServingMark | None) -> None:
        self._step("write")
        if self.held.get(label) == seen:
            self._count += 1
            self.held[label] = ServingMark(held.instance, held.by, str(self._count))

    def clear(self, label: str, instance_id: int) -> None:
        self._step("clear")
        held = self.held.get(label)
        if held and held.instance == instance_id:
            del self.held[label]

    def _step(self, name: str) -> None:
        self._before(name)
        if self.silent():
            raise MarkUnknown("the store does not answer for its mark")
