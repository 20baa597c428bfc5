"""Plays the faults that falsify the list of instances."""

from collections.abc import Mapping
from typing import Any

from sandbox.faults import Faults, Occasion, Subject
from sandbox.faults.arming import in_scope
from sandbox.market.faults.odd import spoil_instance
from sandbox.market.protocol import pages

Row = dict[str, Any]


class Lists:
    """Answers lists, and keeps the last one for the fault that repeats it. Only one thread may call it."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._before: list[Row] = []

    def page(self, rows: list[Row], query: Mapping[str, str]) -> dict[str, Any]:
        """Return one page of the list. Raises FilterInvalid. A fault without a visible effect stays armed."""
        before, self._before = self._before, rows
        about = _about(*rows)
        if _seen(rows) != _seen(before) and self._faults.take("stale-list", about):
            rows = before
        elif rows and self._faults.take("lying-empty-list", about):
            rows = []
        answer = pages.page(rows, query)
        if answer["next_token"] is not None and self._faults.take("list-page-missing", about):
            answer["next_token"] = None
        if answer["instances"]:
            answer["instances"] = spoil_instance(self._faults, self._short(answer["instances"]))
            answer["instances_found"] = len(answer["instances"])
        return answer

    def _short(self, shown: list[Row]) -> list[Row]:
        """Leave out the instance of the fault's arming, or else the last one."""
        for arming in self._faults.waiting("market"):
            meant = [row for row in shown if arming.name == "list-row-missing" and in_scope(arming, _about(row))]
            if meant and self._faults.take(arming.name, _about(meant[-1])):
                return [row for row in shown if row is not meant[-1]]
        return shown


def _about(*rows: Row) -> Occasion:
    return Occasion(tuple(Subject(row.get("id", 0), row.get("label")) for row in rows), "list")


def _seen(rows: list[Row]) -> list[tuple[Any, ...]]:
    return [(row["id"], row["label"], row["actual_status"]) for row in rows]
