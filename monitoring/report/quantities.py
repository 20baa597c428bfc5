"""Formats numbers for people, by the unit of a panel."""

SECOND_STEPS = ((3600.0, "h"), (60.0, "min"))
TICKS = tuple(
    float(count * unit)
    for unit, counts in ((1, (1, 2, 5, 10, 15, 30)), (60, (1, 2, 5, 10, 15, 30)), (3600, (1, 2, 6, 12, 24, 48, 168)))
    for count in counts
)


def shown(value: float, unit: str) -> str:
    """Return a value with its unit.

    >>> shown(0.1202, "usd_per_hour"), shown(95, "seconds"), shown(0.034, "ratio"), shown(2e9, "bytes")
    ('$0.120/h', '1.6 min', '3.4%', '2.0 GB')
    """
    if unit == "seconds":
        return _seconds(value)
    if unit in ("usd", "usd_per_hour"):
        digits = 2 if abs(value) >= 1 or value == 0 else 3 if abs(value) >= 0.01 else 4
        return f"${value:,.{digits}f}{'/h' if unit == 'usd_per_hour' else ''}"
    plain = {
        "ratio": lambda: f"{value * 100:.3g}%",
        "per_second": lambda: f"{value:.3g}/s",
        "celsius": lambda: f"{value:.3g} °C",
        "watts": lambda: f"{value:.3g} W",
        "days": lambda: f"{value:.3g} d",
        "bytes": lambda: _bytes(value),
    }
    return plain[unit]() if unit in plain else f"{value:.4g}"


def tick_step(span: float, unit: str, most: int = 6) -> float | None:
    """Return a round distance between ticks, so that `span` has at most `most` of them. None if decimal ticks are round.

    >>> tick_step(1800, "seconds"), tick_step(100, "seconds"), tick_step(1, "seconds"), tick_step(90, "usd")
    (300.0, 30.0, None, None)
    """
    if unit != "seconds" or span < most:
        return None
    return next((step for step in TICKS if span / step <= most), None)


def _seconds(value: float) -> str:
    for step, word in SECOND_STEPS:
        if abs(value) >= step:
            return f"{f'{value / step:.1f}'.removesuffix('.0')} {word}"
    return f"{value:.3g} s" if abs(value) >= 1 or value == 0 else f"{value * 1000:.3g} ms"


def _bytes(value: float) -> str:
    for power, word in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(value) >= power:
            return f"{value / power:.1f} {word}"
    return f"{value:.0f} B"
