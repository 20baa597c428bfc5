"""The dashboard of money: charges, waste and forecast, and what the money bought."""

from monitoring import queries
from monitoring.dashboards.panels import Dashboard, Panel, Query, single

NAME = "{{name}}"
KIND = "{{kind}}"
BY_MODEL = "{{fleet}} {{model}}"
NOT_BOUGHT = "No instance served in 30 days, or no exporter asks this Prometheus."
NOT_COMPARED = "No model has comparedWith, or too few tokens came in 30 days."
FEW_TOKENS = f"Fewer than {queries.LEAST_TOKENS:,} tokens in an hour: too few for a price."

MONEY = Dashboard(
    "gpu-fleet-money",
    "Money",
    "Charges, waste and forecast.",
    {
        "Charged": [
            single("Bill", "Charges of the market, by kind.", queries.billed(), KIND, "usd"),
            single("Waste", "Charges for time without use, by kind.", queries.wasted(), KIND, "usd"),
            single("Waste, share", "Share of the bill for time without use.", queries.waste_ratio(), "share", "ratio"),
            Panel(
                "Spent",
                "Charges of this UTC day and month; the budget beside them, if stack config has one.",
                [
                    Query(queries.spend(), "{{period}}"),
                    Query(queries.own_spend(), "{{period}} by our own count"),
                    Query(queries.budget(), "{{period}}'s budget", limit_of="{{period}}"),
                ],
                "usd",
                "bar",
            ),
        ],
        "To come": [
            Panel(
                "Forecast",
                "Cost of the whole UTC day and month, if all present instances stay; the budget beside it.",
                [
                    Query(queries.forecast("day"), "day"),
                    Query(queries.forecast("month"), "month"),
                    Query(queries.budget(), "{{period}}'s budget", limit_of="{{period}}"),
                ],
                "usd",
                "bar",
            ),
            single(
                "Dearest",
                "Price of the most expensive instance.",
                queries.dearest(),
                "dearest",
                "usd_per_hour",
                bound=0.5,
            ),
            single(
                "Models",
                "Price of an hour now, by model; of instances that report.",
                queries.usd_per_hour_by_model(),
                "{{model}}",
                "usd_per_hour",
                kind="bar",
            ),
            single(
                "A million tokens",
                "The last hour's rent of a model's instances, over all its tokens: prompts and answers.",
                queries.usd_per_million_tokens_by_model(),
                "{{model}}",
                "usd",
                sparse=True,
                empty=FEW_TOKENS,
            ),
            single(
                "A million tokens, by instance",
                "The same for each instance.",
                queries.usd_per_million_tokens(),
                NAME,
                "usd",
                sparse=True,
                empty=FEW_TOKENS,
            ),
            single(
                "Drift",
                "The market's charges over our own count of the same instances, less 1.",
                queries.drift(),
                "drift",
                "ratio",
            ),
        ],
        "Worth, of 30 days": [
            single(
                "Paid for",
                "What was paid, by what it bought: failed, starting, idle, used, or unseen.",
                queries.worth("usd"),
                f"{BY_MODEL} {{{{part}}}}",
                "usd",
                kind="bar",
                sparse=True,
                empty=NOT_BOUGHT,
            ),
            Panel(
                "On demand, always on",
                "What was paid, and what the most instances that served at once cost always on.",
                [
                    Query(queries.worth("usd", "fleet, model"), f"{BY_MODEL} paid"),
                    Query(queries.worth("always_on_usd"), f"{BY_MODEL} always on"),
                ],
                "usd",
                "bar",
                sparse=True,
                empty=NOT_BOUGHT,
            ),
            single(
                "A request",
                "All that was paid, over the answered requests.",
                queries.worth("usd_per_request"),
                BY_MODEL,
                "usd",
                kind="bar",
                sparse=True,
                empty=NOT_BOUGHT,
            ),
            single(
                "A million tokens, of 30 days",
                "All that was paid, over the tokens of both kinds, and laid on the prompts' or the answers' alone.",
                queries.worth("usd_per_million_tokens"),
                f"{BY_MODEL} {{{{side}}}}",
                "usd",
                kind="bar",
                sparse=True,
                empty=FEW_TOKENS.replace("an hour", "30 days"),
            ),
            Panel(
                "The same tokens elsewhere",
                "What was paid, and what hosted APIs ask for the same tokens by list prices.",
                [
                    Query(queries.worth("usd", "fleet, model"), f"{BY_MODEL} paid"),
                    Query(queries.worth("api_usd"), f"{BY_MODEL} {{{{compared_with}}}}"),
                ],
                "usd",
                "bar",
                sparse=True,
                empty=NOT_COMPARED,
            ),
            Panel(
                "Break-even",
                "Tokens in an hour of an instance, and from how many on it is cheaper than a hosted API.",
                [
                    Query(queries.worth("tokens_per_hour"), f"{BY_MODEL} had"),
                    Query(queries.worth("break_even_tokens_per_hour"), f"{BY_MODEL} {{{{compared_with}}}}"),
                ],
                "count",
                "bar",
                sparse=True,
                empty=NOT_COMPARED,
            ),
        ],
    },
)
