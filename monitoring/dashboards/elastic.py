"""The dashboard of elastic fleets: how many instances each should have and has, and what holds it up."""

from monitoring import queries
from monitoring.dashboards.panels import RATE, Dashboard, Panel, Query

FLEET = "{{fleet}}"
NONE = "No elastic fleet has told."

ELASTIC = Dashboard(
    "gpu-fleet-elastic",
    "Elastic fleets",
    "What the controller wants of each elastic fleet, what is there, and what holds it up.",
    {
        "Count": [
            Panel(
                "Wanted",
                "Instances that each elastic fleet should have, those that serve, and the most that config allows.",
                [
                    Query(queries.desired(), f"{FLEET} should have"),
                    Query(queries.ready(), f"{FLEET} serve"),
                    Query(queries.most(), f"{FLEET} at most"),
                ],
                "count",
                sparse=True,
                empty=NONE,
            ),
            Panel(
                "Slots",
                "Slots of each elastic fleet now, by state.",
                [Query(queries.slots(), f"{FLEET} {{{{state}}}}")],
                "count",
                "bar",
                sparse=True,
                empty=NONE,
            ),
            Panel(
                "Changes",
                "Slots that started (rent), came back (reopen) or left (leave).",
                [Query(queries.changes(RATE), f"{FLEET} {{{{event}}}}")],
                "count",
                sparse=True,
                empty=NONE,
            ),
        ],
        "What holds it up": [
            Panel(
                "Failed slots",
                "Slots that failed within the hour.",
                [Query(queries.slot_failures(), FLEET)],
                "count",
                sparse=True,
            ),
            Panel(
                "Stopped by the budget",
                "1 while the budget keeps a fleet from renting.",
                [Query(queries.spend_stopped(), FLEET)],
                "count",
                sparse=True,
            ),
            Panel(
                "Leases",
                "Time since the controller last renewed the lease of each slot's host.",
                [Query(queries.lease_age(), "{{name}}")],
                "seconds",
                bound=queries.LEASE_SECONDS,
                sparse=True,
                empty=NONE,
            ),
            Panel(
                "Last tick",
                "Time since the controller last looked at its fleets and decided.",
                [Query(queries.since_tick(), "controller")],
                "seconds",
                bound=120,
                sparse=True,
                empty=NONE,
            ),
        ],
    },
    shown_if=queries.controllers(),
)
