"""Draws charts as SVG with matplotlib: lines over time, bars of the latest values, and each instance's phases in a row."""

import functools
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from textwrap import fill
from typing import ParamSpec

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from monitoring.report.quantities import shown, tick_step

WIDTH, HEIGHT = 5.6, 2.6  # inches
COLOURS = ("#2563eb", "#ea580c", "#16a34a", "#9333ea", "#0891b2", "#ca8a04", "#db2777", "#475569")
BOUND = "#dc2626"
MOST_NAMED = 8  # series in a legend
LONGEST_NAME = 34  # letters of a bar's name in one line, so that the bars keep half of the width
FARTHEST_BOUND = 2.5  # times the highest value; a bound farther away would flatten the values
Points = Sequence[tuple[float, float]]  # unix seconds, value
Given = ParamSpec("Given")


def styled(draw: Callable[Given, str]) -> Callable[Given, str]:
    """Give a drawing function our style. Without a context, matplotlib would keep the style for the whole process."""

    @functools.wraps(draw)
    def drawn(*given: Given.args, **named: Given.kwargs) -> str:
        # Dollar signs must not start a formula. The browser's fonts draw the characters that this machine's fonts lack.
        with rc_context({"text.parse_math": False, "svg.fonttype": "none"}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph", UserWarning)
            return draw(*given, **named)

    return drawn


@styled
def lines(series: Mapping[str, Points], unit: str, window: tuple[float, float], bound: float | None = None) -> str:
    """Draw series over time (UTC). `window` is the axis of time in unix seconds; `bound` is a dashed line.

    A bound far above every value is named in the legend only.
    """
    figure, axes = _figure()
    for number, (name, points) in enumerate(series.items()):
        times = [datetime.fromtimestamp(at, UTC) for at, _ in points]
        label = name if number < MOST_NAMED else None
        colour = COLOURS[number % len(COLOURS)]
        mark = "o" if len(points) == 1 else None
        axes.plot(times, [value for _, value in points], color=colour, linewidth=1.4, label=label, marker=mark)  # type: ignore[arg-type]
    highest = max((value for points in series.values() for _, value in points), default=0.0)
    if bound is not None and bound <= FARTHEST_BOUND * highest:
        axes.axhline(bound, color=BOUND, linewidth=1, linestyle="--", label=f"bound {shown(bound, unit)}")
    elif bound is not None:
        axes.plot(
            [], [], color=BOUND, linewidth=1, linestyle="--", label=f"bound {shown(bound, unit)}, above the chart"
        )
    axes.set_xlim(*(date2num(datetime.fromtimestamp(at, UTC)) for at in window))
    locator = AutoDateLocator(tz=UTC)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, unit)))
    low, high = axes.get_ylim()
    lowest = min((value for points in series.values() for _, value in points), default=0.0)
    axes.set_ylim(0.0 if lowest >= 0 else low, high * 1.05 if high > 0 else 1.0)
    _round_ticks(axes.yaxis, unit)
    _legend(axes)
    return _svg(figure)


@styled
def bars(
    values: Mapping[str, float], unit: str, bound: float | None = None, limits: Mapping[str, float] | None = None
) -> str:
    """Draw one bar a name, with its value beside it.

    `limits` has the limit of a name, if it has one. The text beside the bar names it, and a mark shows it if it is near.
    """
    names = list(values)
    titles = [fill(name, LONGEST_NAME, break_on_hyphens=False) for name in names]
    row = 0.32 + 0.14 * max((title.count("\n") for title in titles), default=0)
    figure, axes = _figure(max(1.2, 0.5 + row * len(values)))
    drawn = axes.barh(range(len(names)), [values[name] for name in names], color=COLOURS[0], height=0.6)
    axes.set_yticks(range(len(names)), titles)
    axes.invert_yaxis()
    limits = limits or {}
    texts = [
        shown(values[name], unit) + (f" of {shown(limits[name], unit)}" if name in limits else "") for name in names
    ]
    axes.bar_label(drawn, texts, padding=3, fontsize=8)
    axes.margins(x=0.35 if limits else 0.18)
    highest = max(values.values(), default=0.0)
    for place, name in enumerate(names):
        if name in limits and limits[name] <= FARTHEST_BOUND * highest:
            axes.plot([limits[name]] * 2, [place - 0.4, place + 0.4], color=BOUND, linewidth=1.4)
    if bound is not None and bound <= FARTHEST_BOUND * highest:
        axes.axvline(bound, color=BOUND, linewidth=1, linestyle="--")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, unit)))
    _round_ticks(axes.xaxis, unit)
    return _svg(figure)


@styled
def timeline(phases: Mapping[str, Mapping[str, float]], order: Sequence[str], bound: float) -> str:
    """Draw the phases of each instance (name -> phase -> seconds) one behind the other, in the order of `order`."""
    figure, axes = _figure(max(1.4, 0.9 + 0.34 * len(phases)), WIDTH * 2)
    names = list(phases)
    left = [0.0] * len(names)
    for number, phase in enumerate(order):
        lengths = [phases[name].get(phase, 0.0) for name in names]
        axes.barh(range(len(names)), lengths, left=left, label=phase, color=COLOURS[number % len(COLOURS)], height=0.6)
        left = [start + length for start, length in zip(left, lengths, strict=True)]
    for place, total in enumerate(left):
        axes.text(total, place, f" {shown(total, 'seconds')}", va="center", fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    if max(left, default=0) > bound / 2:
        axes.axvline(bound, color=BOUND, linewidth=1, linestyle="--")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, "seconds")))
    _round_ticks(axes.xaxis, "seconds")
    axes.legend(fontsize=7, frameon=False, ncols=len(order), loc="upper center", bbox_to_anchor=(0.5, -0.25))
    return _svg(figure)


def _figure(height: float = HEIGHT, width: float = WIDTH) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="both", color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    return figure, axes


def _round_ticks(axis: Axis, unit: str) -> None:
    low, high = axis.get_view_interval()
    if step := tick_step(high - low, unit):
        axis.set_major_locator(MultipleLocator(step))


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=7, frameon=False, loc="best")


def _svg(figure: Figure) -> str:
    target = io.StringIO()
    figure.savefig(target, format="svg", metadata={"Date": None})
    text = target.getvalue()
    return text[text.index("<svg") :]
