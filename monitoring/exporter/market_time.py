"""Converts between the market's hours and ours.

API rows carry real moments. Charges and contract lengths are in the market's hours. These are shorter than ours if the
market's clock runs faster, as in the sandbox. PromQL converts by the gauge that this module exports.
"""

from dataclasses import dataclass

from prometheus_client.metrics_core import Metric

from monitoring.metric_families import gauges


@dataclass(frozen=True)
class MarketTime:
    """`scale`: seconds of the market in one of ours, 1 on the real market."""

    scale: float = 1.0

    def charged(self, usd: float) -> float:
        """Return the market's charge in $, if a price an hour comes to `usd` over our hours."""
        return usd * self.scale

    def shown_end(self, now: float, ends_at: float) -> float:
        """Return when `ends_at` comes, counted from `now` in the market's seconds. All three are unix seconds of ours."""
        return now + (ends_at - now) * self.scale

    def metric(self) -> Metric:
        """Return the gauge by which queries convert prices an hour into charges."""
        text = "Seconds of the market in one of ours, in which it charges; 1 on the real market."
        return gauges("vast_market_time_scale", text, (), {(): self.scale})
