"""Plays the faults that spoil one row: a null, or a value of another form, in one field of an offer or instance."""

from typing import Any

from sandbox.faults import Armed, Faults, Occasion, Subject
from sandbox.faults.arming import in_scope

Row = dict[str, Any]
NUMBER_AS_LABEL = 4711


def spoil_offer(faults: Faults, rows: list[Row]) -> list[Row]:
    """Return the offers; if `odd-offer` strikes, the first one is spoilt."""
    armed = faults.take("odd-offer", Occasion((), "search")) if rows else None
    return [_spoilt(rows[0], armed), *rows[1:]] if armed else rows


def spoil_instance(faults: Faults, rows: list[Row]) -> list[Row]:
    """Return the instances; if `odd-instance` strikes, the one of its arming or the last one is spoilt."""
    for arming in faults.waiting("market"):
        meant = [row for row in rows if arming.name == "odd-instance" and in_scope(arming, _about(row))]
        armed = faults.take("odd-instance", _about(meant[-1])) if meant else None
        if armed is not None:
            return [_spoilt(row, armed) if row is meant[-1] else row for row in rows]
    return rows


def _about(row: Row) -> Occasion:
    return Occasion((Subject(row.get("id", 0), row.get("label")),), "list")


def _spoilt(row: Row, armed: Armed) -> Row:
    fields = armed.fault.fields
    field = armed.arming.field or fields[(armed.arming.seed + armed.tally.struck - 1) % len(fields)]
    if field == "label":
        return {**row, field: NUMBER_AS_LABEL}
    if field == "ports.HostPort":
        unmapped = {port: [{**one, "HostPort": ""} for one in bound] for port, bound in (row["ports"] or {}).items()}
        return {**row, "ports": unmapped or None}
    return {**row, field: None}
