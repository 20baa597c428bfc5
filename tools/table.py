"""Columns for a terminal."""

from __future__ import annotations


def plain(value: object) -> str:
    """Write a value as a person would: four decimals at most, since prices an hour need no more."""
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def lines(rows: list[list[str]]) -> str:
    """Align the rows in columns, two blanks between them."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() + "\n" for row in rows)
