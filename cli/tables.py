"""Tables and quantities as commands print them: plain columns, so that a table survives a pipe and a copy."""

from collections.abc import Sequence

from tools.table import lines

MINUTE, HOUR, DAY = 60, 3600, 86400


def columns(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Align rows below their titles, two blanks between columns."""
    return lines([list(titles), *map(list, rows)]).splitlines()


def money(usd: float) -> str:
    """Write dollars with three decimals: hours of cheap GPUs differ by tenths of a cent."""
    return f"${usd:.3f}"


def since(seconds: float) -> str:
    """Write a duration with its two largest units: 3 d 4 h, 5 h 10 min, 12 min, 40 s."""
    whole = max(0, round(seconds))
    if whole >= DAY:
        return f"{whole // DAY} d {whole % DAY // HOUR} h"
    if whole >= HOUR:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
    return f"{whole // MINUTE} min" if whole >= MINUTE else f"{whole} s"
