"""Makes Grafana's documents of the dashboards with Grafana's own builders: schema 42, read-only, UTC.

The data source is a variable, so that a dashboard works in any Grafana. Links lead to the other dashboards and keep the time.
"""

import json
from collections.abc import Callable
from typing import Any

from grafana_foundation_sdk.builders import bargauge, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import common as commons
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring import queries
from monitoring.dashboards.panels import Dashboard, Panel, Query

TAG = "gpu-fleet"
SOURCE = "datasource"
WIDTH, HEIGHT = 8, 8  # of a panel, of 24 columns
GRAFANA_UNITS = {
    "seconds": "s",
    "ratio": "percentunit",
    "usd": "currencyUSD",
    "usd_per_hour": "currencyUSD",
    "count": "none",
    "per_second": "ops",
    "bytes": "bytes",
    "celsius": "celsius",
    "watts": "watt",
    "days": "d",
}
GOOD, BAD = "green", "red"
KINDS: dict[str, Callable[[], Any]] = {
    "line": timeseries.Panel,
    "bar": bargauge.Panel,
    "number": stat.Panel,
    "table": table.Panel,
}


def document(board: Dashboard) -> str:
    """Return a dashboard as JSON with sorted keys, so that equal boards give equal texts."""
    made = (
        builders.Dashboard(board.title)
        .uid(board.uid)
        .description(board.about)
        .tags([TAG])
        .timezone("utc")
        .time("now-6h", "now")
        .refresh("30s")
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(_to_the_others())
        .annotation(_came_online())
        .with_variable(builders.DatasourceVariable(SOURCE).label("Data source").type("prometheus"))
    )
    for heading, panels in board.rows.items():
        made = made.with_row(builders.Row(heading))
        for panel in panels:
            made = made.with_panel(_panel(panel))
    return json.dumps(made.build(), cls=JSONEncoder, sort_keys=True, indent=1) + "\n"


def _panel(panel: Panel) -> Any:
    made = (
        KINDS[panel.kind]()
        .title(panel.title)
        .description(panel.about)
        .datasource(_source())
        .unit(GRAFANA_UNITS[panel.unit])
        .no_value(panel.empty or "No data")
        .span(WIDTH)
        .height(HEIGHT)
    )
    for number, query in enumerate(panel.queries):
        made = made.with_target(_target(query, chr(ord("A") + number), panel.kind))
    if panel.bound is not None:
        steps = [models.Threshold(value=None, color=GOOD), models.Threshold(value=panel.bound, color=BAD)]
        made = made.thresholds(builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
        if panel.kind == "line":
            made = made.thresholds_style(
                commons.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
            )
    return made


def _target(query: Query, ref: str, kind: str) -> Any:
    made = prometheus.Dataquery().expr(query.expression).legend_format(query.legend).ref_id(ref).datasource(_source())
    if kind == "line":
        return made.range()
    made = made.instant()
    return made.format(PromQueryFormat.TABLE) if kind == "table" else made


def _came_online() -> Any:
    return (
        builders.AnnotationQuery()
        .name("came online")
        .datasource(_source())
        .enable(True)
        .icon_color("blue")
        .expr(queries.came_online())
    )


def _to_the_others() -> Any:
    kind = models.DashboardLinkType.DASHBOARDS
    return (
        builders.DashboardLink("gpu-fleet").type(kind).tags([TAG]).include_vars(True).keep_time(True).as_dropdown(True)
    )


def _source() -> Any:
    return common.DataSourceRef(type_val="prometheus", uid=f"${{{SOURCE}}}")
