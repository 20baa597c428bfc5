# Long because every PromQL expression is in this file.
"""Every PromQL expression of the project. Rules, alerts, dashboards, report and criteria take them from here.

Series of hosts have the labels `instance_id`, `name` and `fleet`, which the receiver sets. Series of the fleet exporter
have `job="exporter"`, those of the controller of elastic fleets `job="controller"`. Names and buckets are those of vLLM
0.20 to 0.33; docs/monitoring.md lists the others. A window is a PromQL duration. Without traffic an expression has no
value: neither 0 nor infinity.
"""

from collections.abc import Collection

ALL_PHASES = "all"  # the exporter's phase from the first attempt to an answered completion
HOST = "instance_id, name, fleet"
STACK = "job, instance"  # two stacks may have a fleet of one name, and each stack has its own exporter
SILENT_SECONDS = 180
STALE_SECONDS = 300
FRESH_SECONDS = 120
LEAST_TOKENS = 10_000  # with fewer, the price of a million would be the rent over a few answers
OURS = 'vast_instance_state{state="ready"}'  # each reporting host always has this series
CONTROLLER = "vast_controller"  # the prefix of the metrics of the process that owns the count of elastic fleets
GREW, SHRANK, FAILED = "rent|reopen", "leave", "broke|died"  # events of its slots
CONTROLLER_UP = 'max by (job) (up{job="controller"})'  # of two controllers of a stack, only the one that leads ticks
LEASE_SECONDS = 900  # the lease of an elastic fleet's hosts, unless its config says another


# --- the endpoints ---------------------------------------------------------------------------------------------------------


def latency(quantile: float, window: str = "5m", by: str = "model_name") -> str:
    """Seconds from a request's arrival at vLLM to its end. vLLM does not time aborted requests."""
    return _quantile(quantile, "vllm:e2e_request_latency_seconds", window, by)


def first_token(quantile: float, window: str = "5m", by: str = "model_name") -> str:
    """Seconds until the first token of an answer."""
    return _quantile(quantile, "vllm:time_to_first_token_seconds", window, by)


def token_gap(quantile: float, window: str = "5m", by: str = "model_name") -> str:
    """Seconds between two tokens of an answer."""
    return _quantile(quantile, "vllm:inter_token_latency_seconds", window, by)


def completions(window: str = "5m", by: str = "model_name") -> str:
    """Completed requests a second."""
    return f"sum by ({by}) (rate(vllm:request_success_total[{window}]))"


def timed_requests(window: str) -> str:
    """Number of requests behind `latency`."""
    return f"sum(increase(vllm:e2e_request_latency_seconds_count[{window}]))"


def generated_tokens(window: str = "5m", by: str = "model_name") -> str:
    """Generated tokens a second."""
    return f"sum by ({by}) (rate(vllm:generation_tokens_total[{window}]))"


def prompt_tokens(window: str = "5m", by: str = "model_name") -> str:
    """Prompt tokens a second, with cached ones."""
    return f"sum by ({by}) (rate(vllm:prompt_tokens_total[{window}]))"


def error_ratio(window: str = "5m") -> str:
    """Share of requests that ended in an error, 0 to 1: refused by the server, or cut after the first byte."""
    broken = f'sum by ({HOST}) (rate(vllm:request_success_total{{finished_reason="error"}}[{window}]))'
    refused = f'sum by ({HOST}) (rate(http_requests_total{{status="5xx",handler=~"/v1/.*"}}[{window}]))'
    every = f'sum by ({HOST}) (rate(http_requests_total{{handler=~"/v1/.*"}}[{window}]))'
    return f"({broken} + ({refused} or 0 * {broken})) / ({every} > 0)"


def waiting_requests() -> str:
    """Requests that vLLM has accepted and not started."""
    return f"sum by ({HOST}) (vllm:num_requests_waiting)"


def running_requests() -> str:
    """Requests in vLLM's batch."""
    return f"sum by ({HOST}) (vllm:num_requests_running)"


def cache_usage() -> str:
    """Share of the KV cache in use, 0 to 1."""
    return f"max by ({HOST}) (vllm:kv_cache_usage_perc)"


def not_serving() -> str:
    """Hosts that report, do not serve and are not starting.

    A host that was given back reports for some more minutes. If an exporter knows its stack's rentals, only those count.
    """
    given_back = f"({OURS} and on (stack_id) {known_stacks()} unless on (instance_id) {inventory()})"
    starting = 'vast_instance_state{state="starting"} == 1'
    return f"{OURS} == 0 unless on (instance_id) {starting} unless on (instance_id) {given_back}"


def slow_endpoints(seconds: float = 2.0, window: str = "5m", least: int = 5) -> str:
    """Models whose p95 is above a bound, if vLLM timed at least `least` requests."""
    enough = f"sum by (model_name) (increase(vllm:e2e_request_latency_seconds_count[{window}])) >= {least}"
    return f"{latency(0.95, window)} > {seconds:g} and on (model_name) {enough}"


# --- the hosts -------------------------------------------------------------------------------------------------------------


def silent_hosts() -> str:
    """Instances that run by the market's word, and whose agent has been silent for SILENT_SECONDS."""
    return f'vast_instance_info{{status="running"}} unless on (instance_id) (time() - timestamp({OURS}) < {SILENT_SECONDS})'


def idle_seconds() -> str:
    """Seconds since the last request, of hosts that serve."""
    return f"vast_instance_idle_seconds and on (instance_id) {OURS} == 1"


def unused_seconds(window: str = "60d") -> str:
    """Seconds in which each instance was ready and unused, as far back as Prometheus has samples."""
    return f"sum by (instance_id) (increase(vast_instance_unused_seconds_total[{window}]))"


def idle_hosts(seconds: float = 1800) -> str:
    """Hosts that serve and have had no request for longer than `seconds`."""
    return f"({idle_seconds()}) > {seconds:g}"


def stuck_ends(seconds: float = 300) -> str:
    """Hosts that have tried to end themselves for longer than `seconds`, with how long. A host that ended says nothing."""
    return f"vast_instance_ending_seconds > {seconds:g}"


def certificate_days() -> str:
    """Days until the gate's certificate ends."""
    return "(vast_certificate_end_timestamp_seconds - time()) / 86400"


def ending_contracts(hours: float = 24) -> str:
    """Hours until contracts end, of contracts that end within `hours`."""
    return f"(vast_instance_contract_end_timestamp_seconds - time()) / 3600 < {hours:g}"


def ending_certificates(days: float = 14) -> str:
    """Certificates that end within `days`."""
    return f"{certificate_days()} < {days:g}"


def disk_free_ratio() -> str:
    """Share of a host's disk that is free, 0 to 1."""
    return "vast_disk_free_bytes / vast_disk_total_bytes"


def full_disks(ratio: float = 0.1) -> str:
    """Hosts whose disk has less than `ratio` free."""
    return f"{disk_free_ratio()} < {ratio:g}"


def gpu_utilization() -> str:
    """Share of time in which a GPU ran a kernel, 0 to 1. It does not show the load within that time."""
    return "vast_gpu_utilization_ratio"


def gpu_memory_ratio() -> str:
    """Share of a GPU's memory in use, 0 to 1."""
    return "vast_gpu_memory_used_bytes / vast_gpu_memory_total_bytes"


def gpu_temperature() -> str:
    """Temperature of each GPU in degrees Celsius."""
    return "vast_gpu_temperature_celsius"


def throttled_gpus() -> str:
    """GPUs that heat or power of the machine slows down. Their own power limit does not count."""
    return 'max by (instance_id, name, fleet, uuid, reason) (vast_gpu_throttle_active{reason=~"hw_.*|sw_thermal"}) == 1'


def broken_gpus(window: str = "1h") -> str:
    """GPUs with memory errors that could not be corrected."""
    return f'increase(vast_gpu_ecc_errors_total{{type="uncorrected"}}[{window}]) > 0'


def wrong_clocks(behind: float = 60, ahead: float = 15) -> str:
    """Hosts with a wrong clock, in seconds behind ours. A host that catches up after an outage does not count."""
    lag = "vast_door_lag_seconds"
    return f"min_over_time({lag}[15m]) > {behind:g} or max_over_time({lag}[15m]) < -{ahead:g}"


# --- renting ---------------------------------------------------------------------------------------------------------------


def provisioning(quantile: float, phase: str = ALL_PHASES) -> str:
    """Seconds of a phase over the whole ledger. `all` includes failed attempts right before the one that served."""
    buckets = f'vast_instance_provisioning_duration_seconds_bucket{{phase="{phase}"}}'
    return f"histogram_quantile({quantile:g}, sum by (le) ({buckets})) and on () {provisioned(phase)} > 0"


def provisioned(phase: str = ALL_PHASES) -> str:
    """Number of instances behind `provisioning`."""
    return f'sum(vast_instance_provisioning_duration_seconds_count{{phase="{phase}"}})'


def phase_seconds() -> str:
    """Mean seconds of each phase over the whole ledger."""
    name = "vast_instance_provisioning_duration_seconds"
    return f"sum by (phase) ({name}_sum) / (sum by (phase) ({name}_count) > 0)"


def last_phases() -> str:
    """Seconds of each phase of each instance's latest provisioning."""
    return "vast_instance_phase_seconds"


def came_online(window: str = "1m") -> str:
    """Instances that have just answered their first completion after a `pulumi up`."""
    return f"changes(vast_instance_served_timestamp_seconds[{window}]) > 0"


def slow_provisioning(seconds: float = 180, for_seconds: float = 3600) -> str:
    """Instances that took longer than `seconds` to serve, shown for `for_seconds` after that."""
    fresh = f"time() - vast_instance_served_timestamp_seconds < {for_seconds:g}"
    return f"vast_instance_provisioning_last_seconds > {seconds:g} and on ({STACK}, name) {fresh}"


def failures(window: str = "1h") -> str:
    """Failed attempts by phase and reason; no value without failures."""
    return f"sum by (phase, reason) (increase(vast_instance_provision_failures_total[{window}])) > 0"


def failing(count: float = 3, window: str = "1h") -> str:
    """Number of failed attempts, if it is at least `count`."""
    return f"sum(increase(vast_instance_provision_failures_total[{window}])) >= {count:g}"


def worst_machines(count: int = 10) -> str:
    """Machines on which the smallest share of our attempts served."""
    return f"bottomk({count}, vast_host_score < 1)"


def orphans() -> str:
    """Billed instances for which the ledger does not account.

    No event names them, or an event says that they were given back, or they boot for longer than any create waits.
    """
    return "vast_instance_orphaned == 1"


# --- elastic fleets --------------------------------------------------------------------------------------------------------


def controllers() -> str:
    """Whether each controller of elastic fleets answers. A stack without one has no such series."""
    return 'up{job="controller"}'


def since_tick() -> str:
    """Seconds since the controller last looked at its fleets and decided; one that stands by looks whether it may."""
    return f"max by (job) ({CONTROLLER}_last_tick_age_seconds)"


def silent_controllers(seconds: float = 120) -> str:
    """Controllers that do not answer, that hang for `seconds`, that tell nothing of ticks, or none of which leads."""
    none_leads = f"max by (job) ({CONTROLLER}_leads) == 0"
    untold = f"{CONTROLLER_UP} unless on (job) {CONTROLLER}_last_tick_age_seconds"
    return f"{CONTROLLER_UP} == 0 or {since_tick()} > {seconds:g} or {none_leads} or {untold}"


def desired() -> str:
    """Instances that each elastic fleet should have, within its bounds and its budget, by the controller that leads."""
    return f"({CONTROLLER}_desired_instances and on ({STACK}) {CONTROLLER}_leads == 1)"


def most() -> str:
    """The most instances that each elastic fleet may have."""
    return f"{CONTROLLER}_max_instances"


def slots() -> str:
    """Slots of each elastic fleet by state."""
    return f'max by (fleet, state) ({CONTROLLER}_slots{{state!="absent"}})'


def ready() -> str:
    """Slots of each elastic fleet that serve; 0 if none does."""
    return f'(sum by ({STACK}, fleet) ({CONTROLLER}_slots{{state="ready"}}) or 0 * {desired()})'


def not_reached() -> str:
    """The number of instances that an elastic fleet should have, if fewer serve."""
    return f"{desired()} > on ({STACK}, fleet) {ready()}"


def not_ending() -> str:
    """The number of slots of an elastic fleet that are to end and are not gone. Each controller tells the same table."""
    return f'max by ({STACK}, fleet) ({CONTROLLER}_slots{{state="ending"}}) > 0'


def at_maximum() -> str:
    """The number of instances that an elastic fleet should have, if it is the most that config allows.

    A fleet whose least is its most is meant to stand there.
    """
    return f"{desired()} > 0 and {desired()} >= {most()} unless {CONTROLLER}_min_instances >= {most()}"


def changes(window: str = "1h") -> str:
    """Slots of each elastic fleet that started, came back or left in a window, by event."""
    return f'sum by (fleet, event) (increase({CONTROLLER}_decisions_total{{event=~"{GREW}|{SHRANK}"}}[{window}]))'


def flapping(count: float = 4, window: str = "1h") -> str:
    """How often a fleet grew in a window, if it grew and shrank at least `count` times each."""
    ways = [
        f'sum by (fleet) (increase({CONTROLLER}_decisions_total{{event=~"{events}"}}[{window}])) >= {count:g}'
        for events in (GREW, SHRANK)
    ]
    return " and on (fleet) ".join(ways)


def slot_failures(window: str = "1h") -> str:
    """Slots of each elastic fleet that failed in a window; no value without failures."""
    return f'sum by (fleet) (increase({CONTROLLER}_decisions_total{{event=~"{FAILED}"}}[{window}])) > 0'


def spend_stopped() -> str:
    """1 for each elastic fleet that the budget keeps from renting now."""
    return f"max by (fleet) ({CONTROLLER}_spend_stopped and on ({STACK}) {CONTROLLER}_leads == 1) == 1"


def lease_age() -> str:
    """Seconds since the controller last renewed the lease of each slot's host."""
    return f"max by (name, fleet) ({CONTROLLER}_lease_age_seconds and on ({STACK}) {CONTROLLER}_leads == 1)"


def lapsed_leases() -> str:
    """Seconds since the lease of a host lapsed, by the host; of a host that does not tell, by the controller."""
    remaining = "vast_instance_lease_remaining_seconds"
    return (
        f"-max by (name, fleet) ({remaining}) > 0 "
        f"or {lease_age()} - {LEASE_SECONDS} > 0 unless on (name, fleet) {remaining}"
    )


# --- money -----------------------------------------------------------------------------------------------------------------


def instances() -> str:
    """Number of rented instances, by fleet."""
    return "count by (fleet) (vast_instance_info)"


def inventory() -> str:
    """Rented instances."""
    return "vast_instance_info"


def priced_inventory() -> str:
    """Rented instances with their labels; the value is the price in $/h."""
    return f"vast_instance_info * on ({STACK}, instance_id) group_left () vast_instance_cost_per_hour"


def known_stacks() -> str:
    """Stacks whose rentals an exporter knows at this moment."""
    learnt = 'time() - vast_exporter_last_success_timestamp_seconds{source="inventory"}'
    return f"(vast_exporter_stack_info and on ({STACK}) {learnt} < {FRESH_SECONDS})"


def serving_seconds() -> str:
    """Seconds since each rented instance answered its first completion."""
    return f"(time() - vast_instance_served_timestamp_seconds) and on ({STACK}, name) vast_instance_info"


def usd_per_hour(by: str = "fleet") -> str:
    """$/h of all rented instances."""
    return f"sum by ({by}) (vast_instance_cost_per_hour)"


def dearest() -> str:
    """$/h of the most expensive instance."""
    return "max(vast_instance_cost_per_hour)"


def rented() -> str:
    """Number of instances behind `dearest`."""
    return "count(vast_instance_cost_per_hour)"


def over_ceiling() -> str:
    """Instances whose price is above their fleet's maxUsdPerHour."""
    return f"vast_instance_cost_per_hour > on ({STACK}, fleet) group_left () vast_fleet_price_ceiling_usd_per_hour"


def bill(window: str = "1d") -> str:
    """$ charged in a window, by kind."""
    return f"sum by (kind) (increase(vast_cost_usd_total[{window}]))"


def billed() -> str:
    """$ charged so far, by kind."""
    return "sum by (kind) (vast_cost_usd_total)"


def wasted() -> str:
    """$ charged so far for time without use, by kind."""
    return "sum by (kind) (vast_waste_usd_total)"


def waste_ratio() -> str:
    """Share of the bill for time without use, 0 to 1."""
    return "sum(vast_waste_usd_total) / (sum(vast_cost_usd_total) > 0)"


def usd_per_hour_by_model() -> str:
    """$/h of the instances that serve a model. Only instances that report count, because they name their model."""
    return _by_model("vast_instance_cost_per_hour")


def usd_per_million_tokens(window: str = "1h") -> str:
    """Price in $ of a million tokens of an instance, prompt and generated ones together, over the rent of the window.

    No value below LEAST_TOKENS in the window.
    """
    cost = f"sum by ({HOST}) ({_charged_in(window)})"
    return f"{cost} / on (instance_id) group_left () ((({_tokens(window)}) >= {LEAST_TOKENS}) / 1e6)"


def usd_per_million_tokens_by_model(window: str = "1h") -> str:
    """Price in $ of a million tokens of a model, over the rent of all instances that serve it, busy or not.

    No value below LEAST_TOKENS in the window.
    """
    return f"{_by_model(_charged_in(window))} / (({_by_model(_tokens(window))} >= {LEAST_TOKENS}) / 1e6)"


def answered(window: str, stacks: Collection[str] = ()) -> str:
    """Requests that ended in an answer, by fleet and model: neither in an error nor aborted."""
    series = _series("vllm:request_success_total", stacks, 'finished_reason!~"error|abort"')
    return f"sum by (fleet, model_name) (increase({series}[{window}]))"


def worked_tokens(kind: str, window: str, stacks: Collection[str] = ()) -> str:
    """Tokens by fleet and model. `kind`: `prompt`, with cached ones, or `generation`."""
    return f"sum by (fleet, model_name) (increase({_series(f'vllm:{kind}_tokens_total', stacks)}[{window}]))"


def ready_seconds(window: str, stacks: Collection[str] = ()) -> str:
    """Seconds in which each instance said that it is ready, to the minute."""
    ready = _series("vast_instance_state", stacks, 'state="ready"')
    return f"sum by (instance_id) (sum_over_time({ready}[{window}:1m])) * 60"


def model_seconds(window: str, stacks: Collection[str] = ()) -> str:
    """Seconds in which each instance named each model, to the minute."""
    return f"sum by (instance_id, model) (count_over_time({_series('vast_model_info', stacks)}[{window}:1m])) * 60"


def worth(name: str, by: str = "") -> str:
    """A figure of what the money bought, as the exporter works it out of ledger, use and list prices, over some days.

    `by`: labels to which the values are summed.
    """
    return f"sum by ({by}) (vast_worth_{name})" if by else f"vast_worth_{name}"


def spend() -> str:
    """$ of this UTC day and month so far."""
    return "vast_spend_usd"


def own_spend() -> str:
    """$ of this UTC day and month by our own count, from the ledger."""
    return "vast_spend_own_usd"


def budget() -> str:
    """$ that a UTC day and month may cost, if stack config has a budget."""
    return "vast_budget_usd"


def forecast(period: str) -> str:
    """$ of the whole UTC day or month, if all present instances stay until its end."""
    hours = "(24 - hour() - minute() / 60)"
    if period == "month":
        hours = f"((days_in_month() - day_of_month()) * 24 + {hours})"
    rate = f"(sum({_charged()}) or vector(0))"
    return f'sum(vast_spend_usd{{period="{period}"}}) + on () {rate} * on () {hours}'


def over_budget(period: str) -> str:
    """The forecast, if it is above the budget."""
    return f'({forecast(period)}) > on () group_left () sum(vast_budget_usd{{period="{period}"}})'


def drift() -> str:
    """Charges over our own count of the same instances, less 1."""
    return "vast_cost_drift_ratio"


def drifting(ratio: float = 0.02) -> str:
    """The drift, if it is larger than `ratio` either way."""
    return f"abs({drift()}) > {ratio:g}"


# --- monitoring itself ---------------------------------------------------------------------------------------------------


def stale_sources() -> str:
    """Sources that the exporter has not read for STALE_SECONDS."""
    return f"time() - vast_exporter_last_success_timestamp_seconds > {STALE_SECONDS}"


def no_exporter() -> str:
    """1 if no exporter answers."""
    return 'absent(up{job="exporter"} == 1)'


def refused_samples(window: str = "10m") -> str:
    """Samples and requests that the receiver refused, by sender and reason."""
    return f"sum by (instance_id, reason) (increase(vast_door_refused_total[{window}])) > 0"


def report_age() -> str:
    """Seconds since a host reported."""
    return f"time() - timestamp({OURS})"


def watched() -> str:
    """Number of scraped targets. Data begins with the first value of this expression."""
    return "count(up)"


def firing() -> str:
    """Firing alerts without the watchdog."""
    return 'ALERTS{alertstate="firing",alertname!="Watchdog"}'


def _charged() -> str:
    """$ charged for an instance in an hour of ours: more than the price if the market's clock runs faster."""
    price = "vast_instance_cost_per_hour"
    return f"(({price} * on ({STACK}) group_left () vast_market_time_scale) or {price})"


def _charged_in(window: str) -> str:
    """$ charged in a window. An instance that was rented for a part of it is charged for that part only."""
    return f"sum_over_time(({_charged()})[{window}:1m]) / 60"


def _tokens(window: str) -> str:
    return " + ".join(
        f"sum by ({HOST}) (increase(vllm:{kind}_tokens_total[{window}]))" for kind in ("prompt", "generation")
    )


def _series(name: str, stacks: Collection[str], *matchers: str) -> str:
    """Return a selector of hosts' series: of stacks by their ids, or of every stack if none is given."""
    found = [*matchers, *([f'stack_id=~"{"|".join(sorted(stacks))}"'] if stacks else [])]
    return f"{name}{{{','.join(found)}}}" if found else name


def _by_model(expression: str) -> str:
    # Models are on the many side: for minutes after a change in place, an instance has two.
    return f"sum by (model) (vast_model_info * on (instance_id) group_left () sum by (instance_id) ({expression}))"


def _quantile(quantile: float, histogram: str, window: str, by: str) -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({quantile:g}, sum by ({labels}) (rate({histogram}_bucket[{window}]))) >= 0"
