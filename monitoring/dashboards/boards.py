"""The dashboards: Fleet, Endpoint, Money, Cold start, Elastic fleets."""

from monitoring import queries
from monitoring.dashboards.elastic import ELASTIC
from monitoring.dashboards.panels import RATE, Dashboard, Panel, Query

NAME = "{{name}}"
MODEL = "{{model_name}}"
KIND = "{{kind}}"
FEW_TOKENS = f"Fewer than {queries.LEAST_TOKENS:,} tokens in an hour: too few for a price."

FLEET = Dashboard(
    "gpu-fleet-fleet",
    "Fleet",
    "Instances, their place, age and price, and failures.",
    {
        "Now": [
            Panel(
                "Instances",
                "Rented instances, by fleet (the market's inventory).",
                [Query(queries.instances(), "{{fleet}}")],
                "count",
                "bar",
            ),
            Panel(
                "Price",
                "Price of an hour now, by fleet.",
                [Query(queries.usd_per_hour(), "{{fleet}}")],
                "usd_per_hour",
            ),
            Panel(
                "Inventory",
                "Every rented instance, with its machine, status and price.",
                [Query(queries.priced_inventory(), NAME)],
                "usd_per_hour",
                "table",
                columns=("name", "instance_id", "gpu_name", "machine_id", "location", "status"),
                value_column="price",
            ),
        ],
        "Hosts": [
            Panel(
                "Serving for",
                "Time since each rented instance answered its first completion.",
                [Query(queries.serving_seconds(), NAME)],
                "seconds",
                "bar",
            ),
            Panel(
                "Idle",
                "Time since the last request of each serving host. A silent host does not count as idle.",
                [Query(queries.idle_seconds(), NAME)],
                "seconds",
                bound=1800,
            ),
            Panel(
                "Last heard",
                "Seconds since a host reported.",
                [Query(queries.report_age(), NAME)],
                "seconds",
                bound=180,
            ),
            Panel(
                "GPU in use",
                "Share of time in which the GPU ran a kernel.",
                [Query(queries.gpu_utilization(), NAME)],
                "ratio",
            ),
            Panel(
                "GPU memory", "Share of the GPU's memory in use.", [Query(queries.gpu_memory_ratio(), NAME)], "ratio"
            ),
            Panel("GPU temperature", "Of each GPU.", [Query(queries.gpu_temperature(), NAME)], "celsius", bound=85),
            Panel("Disk", "Share of the disk that is free.", [Query(queries.disk_free_ratio(), NAME)], "ratio"),
            Panel(
                "Certificates",
                "Days until each gate's certificate ends.",
                [Query(queries.certificate_days(), NAME)],
                "days",
            ),
        ],
        "Trouble": [
            Panel(
                "Failed attempts",
                "Attempts to bring an instance online that failed within the hour.",
                [Query(queries.failures(), "{{phase}} {{reason}}")],
                "count",
                sparse=True,
            ),
            Panel(
                "Orphans",
                "Billed instances for which no event accounts.",
                [Query(queries.orphans(), NAME)],
                "count",
                "table",
                sparse=True,
                columns=("name", "instance_id"),
            ),
            Panel(
                "Refused by the receiver",
                "Samples and requests of hosts that the receiver refused.",
                [Query(queries.refused_samples(), "{{instance_id}} {{reason}}")],
                "count",
                sparse=True,
            ),
        ],
    },
)

ENDPOINT = Dashboard(
    "gpu-fleet-endpoint",
    "Endpoint",
    "Latency, throughput, and the queue and cache that limit them.",
    {
        "Latency": [
            Panel(
                "Latency",
                "From a request's arrival at vLLM to its end, without aborted requests (vllm:e2e_request_latency_seconds).",
                [Query(queries.latency(share, RATE), f"p{share * 100:g} {MODEL}") for share in (0.5, 0.95, 0.99)],
                "seconds",
                bound=2,
            ),
            Panel(
                "First token",
                "Time to the first token of an answer (vllm:time_to_first_token_seconds).",
                [Query(queries.first_token(share, RATE), f"p{share * 100:g} {MODEL}") for share in (0.5, 0.95)],
                "seconds",
            ),
            Panel(
                "Waiting",
                "Requests that vLLM has accepted and not started.",
                [Query(queries.waiting_requests(), NAME)],
                "count",
            ),
        ],
        "Work": [
            Panel("Completed", "Completed requests a second.", [Query(queries.completions(RATE), MODEL)], "per_second"),
            Panel(
                "Tokens",
                "Tokens a second: generated, and read from prompts.",
                [
                    Query(queries.generated_tokens(RATE), f"generated {MODEL}"),
                    Query(queries.prompt_tokens(RATE), f"read {MODEL}"),
                ],
                "per_second",
            ),
            Panel("Running", "Requests in the batch.", [Query(queries.running_requests(), NAME)], "count"),
            Panel("KV cache", "Share of the KV cache in use.", [Query(queries.cache_usage(), NAME)], "ratio"),
            Panel(
                "Errors",
                "Share of requests that ended in an error.",
                [Query(queries.error_ratio(RATE), NAME)],
                "ratio",
                sparse=True,
            ),
        ],
    },
)

MONEY = Dashboard(
    "gpu-fleet-money",
    "Money",
    "Charges, waste and forecast.",
    {
        "Charged": [
            Panel("Bill", "Charges of the market, by kind.", [Query(queries.billed(), KIND)], "usd"),
            Panel("Waste", "Charges for time without use, by kind.", [Query(queries.wasted(), KIND)], "usd"),
            Panel(
                "Waste, share",
                "Share of the bill for time without use.",
                [Query(queries.waste_ratio(), "share")],
                "ratio",
            ),
            Panel(
                "Spent",
                "Charges of this UTC day and month; the budget beside them, if stack config has one.",
                [
                    Query(queries.spend(), "{{period}}"),
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
            Panel(
                "Dearest",
                "Price of the most expensive instance.",
                [Query(queries.dearest(), "dearest")],
                "usd_per_hour",
                bound=0.5,
            ),
            Panel(
                "Models",
                "Price of an hour now, by model; of instances that report.",
                [Query(queries.usd_per_hour_by_model(), "{{model}}")],
                "usd_per_hour",
                "bar",
            ),
            Panel(
                "A million tokens",
                "The last hour's rent of a model's instances, over all its tokens: prompts and answers.",
                [Query(queries.usd_per_million_tokens_by_model(), "{{model}}")],
                "usd",
                sparse=True,
                empty=FEW_TOKENS,
            ),
            Panel(
                "A million tokens, by instance",
                "The same for each instance.",
                [Query(queries.usd_per_million_tokens(), NAME)],
                "usd",
                sparse=True,
                empty=FEW_TOKENS,
            ),
            Panel(
                "Drift",
                "The market's charges over our own count of the same instances, less 1.",
                [Query(queries.drift(), "drift")],
                "ratio",
            ),
        ],
    },
)

COLD_START = Dashboard(
    "gpu-fleet-cold-start",
    "Cold start",
    "Time until an instance serves, by phase.",
    {
        "All": [
            Panel(
                "Provisioning",
                "From the first attempt to an answered completion, with failed attempts right before.",
                [Query(queries.provisioning(share), f"p{share * 100:g}") for share in (0.5, 0.95)],
                "seconds",
                bound=180,
            ),
            Panel(
                "Counted",
                "Number of instances behind these figures.",
                [Query(queries.provisioned(), "instances")],
                "count",
                "number",
            ),
            Panel("Phases", "Mean of each phase.", [Query(queries.phase_seconds(), "{{phase}}")], "seconds", "bar"),
        ],
        "Each": [
            Panel(
                "Latest",
                "Each phase of each instance's latest provisioning.",
                [Query(queries.last_phases(), "{{name}} {{phase}}")],
                "seconds",
                "bar",
            ),
            Panel(
                "Worst machines",
                "Machines on which the smallest share of our attempts served.",
                [Query(queries.worst_machines(), "{{machine_id}}")],
                "ratio",
                "bar",
                sparse=True,
            ),
        ],
    },
)

BOARDS = (FLEET, ENDPOINT, MONEY, COLD_START, ELASTIC)
