"""Lists that keep a bound: as many lines as have room, then how many were left out. Pure."""

from collections.abc import Callable, Iterable, Sequence


def fitting(lines: Sequence[str], room: int, left_out: Callable[[int], str]) -> list[str]:
    """Return the first lines that have room together, and a line about the others, such as `and 37 more`.

    `left_out` gets the number of lines that were kept. The result, joined by newlines, never has more than `room`
    letters, if that is enough for the line about the others.
    """
    if sum(len(line) + 1 for line in lines) <= room:
        return list(lines)
    kept: list[str] = []
    length = len(left_out(0)) + 1
    for line in lines:
        length += len(line) + 1
        if length > room:
            break
        kept.append(line)
    return [*kept, left_out(len(kept))]


def listed(texts: Iterable[str], shown: int) -> str:
    """Return the first texts with commas between, and how many more there are."""
    every = list(texts)
    more = len(every) - shown
    return ", ".join([*every[:shown], *([f"and {more} more"] if more > 0 else [])])
