"""The dashboard of elastic fleets: how many instances each should have and has, and what holds it up."""

from monitoring import queries
from monitoring.dashboards.panels import RATE, Dashboard, Panel, Query, age, single, trouble

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
            single(
                "Slots",
                "Slots of each elastic fleet now, by state.",
                queries.slots(),
                f"{FLEET} {{{{state}}}}",
                kind="bar",
                sparse=True,
                empty=NONE,
            ),
            single(
                "Changes",
                "Slots that started (rent), came back (reopen) or left (leave).",
                queries.changes(RATE),
                f"{FLEET} {{{{event}}}}",
                sparse=True,
                empty=NONE,
            ),
        ],
        "What holds it up": [
            trouble("Failed slots", "Slots that failed within the hour.", queries.slot_failures(), FLEET),
            trouble(
                "Stopped by the budget",
                "1 while the budget keeps a fleet from renting.",
                queries.spend_stopped(),
                FLEET,
            ),
            age(
                "Leases",
                "Time since the controller last renewed the lease of each slot's host.",
                queries.lease_age(),
                "{{name}}",
                queries.LEASE_SECONDS,
                sparse=True,
                empty=NONE,
            ),
            age(
                "Last tick",
                "Time since the controller last looked at its fleets and decided.",
                queries.since_tick(),
                "controller",
                120,
                sparse=True,
                empty=NONE,
            ),
        ],
    },
    shown_if=queries.controllers(),
)
