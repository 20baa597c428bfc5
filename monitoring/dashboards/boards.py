"""The dashboards: Fleet, Endpoint, Money, Cold start, Elastic fleets."""

from monitoring import queries
from monitoring.dashboards.elastic import ELASTIC
from monitoring.dashboards.money import MONEY
from monitoring.dashboards.panels import RATE, Dashboard, Panel, Query, age, single, trouble

NAME = "{{name}}"
MODEL = "{{model_name}}"

FLEET = Dashboard(
    "gpu-fleet-fleet",
    "Fleet",
    "Instances, their place, age and price, and failures.",
    {
        "Now": [
            single(
                "Instances",
                "Rented instances, by fleet (the market's inventory).",
                queries.instances(),
                "{{fleet}}",
                kind="bar",
            ),
            single("Price", "Price of an hour now, by fleet.", queries.usd_per_hour(), "{{fleet}}", "usd_per_hour"),
            single(
                "Inventory",
                "Every rented instance, with its machine, status and price.",
                queries.priced_inventory(),
                NAME,
                "usd_per_hour",
                kind="table",
                columns=("name", "instance_id", "gpu_name", "machine_id", "location", "status"),
                value_column="price",
            ),
        ],
        "Hosts": [
            single(
                "Serving for",
                "Time since each rented instance answered its first completion.",
                queries.serving_seconds(),
                NAME,
                "seconds",
                kind="bar",
            ),
            age(
                "Idle",
                "Time since the last request of each serving host. A silent host does not count as idle.",
                queries.idle_seconds(),
                NAME,
                1800,
            ),
            age("Last heard", "Seconds since a host reported.", queries.report_age(), NAME, 180),
            single(
                "GPU in use", "Share of time in which the GPU ran a kernel.", queries.gpu_utilization(), NAME, "ratio"
            ),
            single("GPU memory", "Share of the GPU's memory in use.", queries.gpu_memory_ratio(), NAME, "ratio"),
            single("GPU temperature", "Of each GPU.", queries.gpu_temperature(), NAME, "celsius", bound=85),
            single("Disk", "Share of the disk that is free.", queries.disk_free_ratio(), NAME, "ratio"),
            single(
                "Certificates", "Days until each gate's certificate ends.", queries.certificate_days(), NAME, "days"
            ),
        ],
        "Trouble": [
            trouble(
                "Failed attempts",
                "Attempts to bring an instance online that failed within the hour.",
                queries.failures(),
                "{{phase}} {{reason}}",
            ),
            trouble(
                "Orphans",
                "Billed instances for which no event accounts.",
                queries.orphans(),
                NAME,
                kind="table",
                columns=("name", "instance_id"),
            ),
            trouble(
                "Refused by the receiver",
                "Samples and requests of hosts that the receiver refused.",
                queries.refused_samples(),
                "{{instance_id}} {{reason}}",
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
            single("Waiting", "Requests that vLLM has accepted and not started.", queries.waiting_requests(), NAME),
        ],
        "Work": [
            single("Completed", "Completed requests a second.", queries.completions(RATE), MODEL, "per_second"),
            Panel(
                "Tokens",
                "Tokens a second: generated, and read from prompts.",
                [
                    Query(queries.generated_tokens(RATE), f"generated {MODEL}"),
                    Query(queries.prompt_tokens(RATE), f"read {MODEL}"),
                ],
                "per_second",
            ),
            single("Running", "Requests in the batch.", queries.running_requests(), NAME),
            single("KV cache", "Share of the KV cache in use.", queries.cache_usage(), NAME, "ratio"),
            single(
                "Errors",
                "Share of requests that ended in an error.",
                queries.error_ratio(RATE),
                NAME,
                "ratio",
                sparse=True,
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
            single(
                "Counted",
                "Number of instances behind these figures.",
                queries.provisioned(),
                "instances",
                kind="number",
            ),
            single("Phases", "Mean of each phase.", queries.phase_seconds(), "{{phase}}", "seconds", kind="bar"),
        ],
        "Each": [
            single(
                "Latest",
                "Each phase of each instance's latest provisioning.",
                queries.last_phases(),
                "{{name}} {{phase}}",
                "seconds",
                kind="bar",
            ),
            single(
                "Worst machines",
                "Machines on which the smallest share of our attempts served.",
                queries.worst_machines(),
                "{{machine_id}}",
                "ratio",
                kind="bar",
                sparse=True,
            ),
        ],
    },
)

BOARDS = (FLEET, ENDPOINT, MONEY, COLD_START, ELASTIC)
