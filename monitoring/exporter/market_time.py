"""A market's time against ours, pure. The wire carries real moments; what the market charges and allots is in its own hours,
which are shorter than ours where its clock runs faster, as in the sandbox. Everything that compares the two asks here;
PromQL does, by the gauge that tells the scale.
"""

from dataclasses import dataclass

from prometheus_client.metrics_core import Metric

from monitoring.metric_families import gauges


@dataclass(frozen=True)
class MarketTime:
    """How many seconds of the market pass in one of ours: 1 on the real market."""

    scale: float = 1.0

    def charged(self, usd: float) -> float:
        """Return what the market charges, in $, where a price an hour over hours of ours comes to `usd`."""
        return usd * self.scale

    def shown_end(self, now: float, ends_at: float) -> float:
        """Return the moment as far from `now` as the market's own time says it is; unix seconds of ours, all three."""
        return now + (ends_at - now) * self.scale

    def metric(self) -> Metric:
        """Return the gauge by which queries convert prices an hour into charges."""
        text = "Seconds of the market in one of ours, in which it charges; 1 on the real market."
        return gauges("vast_market_time_scale", text, (), {(): self.scale})
