"""Makes metric families for a collector from values by label. The kit takes this file to hosts, so it imports little."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

Samples = Mapping[Any, float]  # value by the labels' values, a tuple of texts


def gauges(name: str, text: str, labels: tuple[str, ...], values: Samples) -> Metric:
    """Return a gauge with its values."""
    return _filled(GaugeMetricFamily(name, text, labels=labels), values)


def counters(name: str, text: str, labels: tuple[str, ...], values: Samples) -> Metric:
    """Return a counter with its values."""
    return _filled(CounterMetricFamily(name, text, labels=labels), values)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: Samples) -> Metric:
    for key, value in values.items():
        family.add_metric(key, float(value))
    return family
