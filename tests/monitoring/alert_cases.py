"""What each alert must fire on, and what it must stay silent on, as series of promtool's notation.

Samples come every 15 s; `at` is when is looked. Labels `W` are those of one host. promtool's time begins at the epoch, so the
UTC day and month of every case are 1970-01-01.
"""

from dataclasses import dataclass

W = 'instance_id="7",name="chat-0",fleet="chat"'
HOUR = "x240"
C, CONTROLLER, E = "vast_controller", 'job="controller",instance="c:8080"', 'fleet="chat"'


LEADS = {f"{C}_leads{{{CONTROLLER}}}": f"1{HOUR}"}


@dataclass(frozen=True)
class Case:
    """`fires` is how many alerts of that name fire at that moment."""

    alert: str
    about: str
    series: dict[str, str]
    fires: int
    at: str = "30m"


def host(metric: str, values: str, more: str = "") -> dict[str, str]:
    """One series of the host."""
    return {f"{metric}{{{W}{more and f',{more}'}}}": values}


def state(ready: str, starting: str = f"0{HOUR}") -> dict[str, str]:
    """What the host says of itself."""
    return host("vast_instance_state", ready, 'state="ready",stack_id="abc"') | host(
        "vast_instance_state", starting, 'state="starting",stack_id="abc"'
    )


def info(status: str = "running", values: str = f"1{HOUR}") -> dict[str, str]:
    """What the market says of the host."""
    return host("vast_instance_info", values, f'status="{status}",gpu_name="RTX 4090",machine_id="70"')


def knows(stack_id: str, learnt: str = "0+15x240") -> dict[str, str]:
    """An exporter that knows what a stack rents; `learnt` is when it learnt that."""
    exporter = 'job="exporter",instance="a:9101"'
    return {
        f'vast_exporter_stack_info{{{exporter},stack_id="{stack_id}"}}': f"1{HOUR}",
        f'vast_exporter_last_success_timestamp_seconds{{{exporter},source="inventory"}}': learnt,
    }


def latency(below: str, total: str) -> dict[str, str]:
    """Requests timed at most 1.5 s, and all of them, none above 5 s."""
    name, model = "vllm:e2e_request_latency_seconds", 'model_name="tiny",engine="0"'
    buckets = {"1.5": below, "2.0": below, "5.0": total, "+Inf": total}
    rows = {
        k: v for le, values in buckets.items() for k, v in host(f"{name}_bucket", values, f'{model},le="{le}"').items()
    }
    return rows | host(f"{name}_count", total, model)


def budget(period: str, spent: float, limit: float, usd_per_hour: float) -> dict[str, str]:
    """Spend and budget of a period, and one instance."""
    return {
        f'vast_spend_usd{{period="{period}"}}': f"{spent}x480",
        f'vast_budget_usd{{period="{period}"}}': f"{limit}x480",
    } | host("vast_instance_cost_per_hour", f"{usd_per_hour}x480")


def served(seconds: float, at: float) -> dict[str, str]:
    """When an instance came to serve, and how long it took."""
    return {
        'vast_instance_provisioning_last_seconds{name="chat-0",fleet="chat"}': f"{seconds}x600",
        'vast_instance_served_timestamp_seconds{name="chat-0",fleet="chat"}': f"{at}x600",
    }


def failed(values: str) -> dict[str, str]:
    """A counter of failed attempts."""
    return {'vast_instance_provision_failures_total{phase="wait",reason="boot"}': values}


def price(usd: float) -> dict[str, str]:
    """What an instance costs under a ceiling of half a dollar."""
    ceiling = {'vast_fleet_price_ceiling_usd_per_hour{fleet="chat"}': f"0.5{HOUR}"}
    return host("vast_instance_cost_per_hour", f"{usd}{HOUR}") | ceiling


def two_stacks() -> dict[str, str]:
    """Two exporters in one Prometheus: chat at $0.61 under a ceiling of 0.9, and chat at $0.61 under one of 0.5."""
    rows = {}
    for stack, ceiling in (("a:9101", 0.9), ("b:9101", 0.5)):
        labels = f'job="exporter",instance="{stack}",fleet="chat"'
        rows[f'vast_instance_cost_per_hour{{{labels},instance_id="{stack}",name="chat-0"}}'] = f"0.61{HOUR}"
        rows[f"vast_fleet_price_ceiling_usd_per_hour{{{labels}}}"] = f"{ceiling}{HOUR}"
    return rows


def elastic(desired: str, ready: str | None, most: int = 4, least: int = 0, ending: str = f"0{HOUR}") -> dict[str, str]:
    """What the controller tells of the fleet chat. Without `ready`, it tells no count of slots."""
    rows = {"desired_instances": desired, "max_instances": f"{most}{HOUR}", "min_instances": f"{least}{HOUR}"}
    told = LEADS | {f"{C}_{name}{{{CONTROLLER},{E}}}": values for name, values in rows.items()}
    # Another controller, which led until a moment ago, still tells what it wanted then.
    told |= {f'{C}_leads{{job="controller",instance="d:8080"}}': f"0{HOUR}"}
    told |= {f'{C}_desired_instances{{job="controller",instance="d:8080",{E}}}': f"4{HOUR}"}
    if ready is None:
        return told
    return told | {
        f'{C}_slots{{{CONTROLLER},{E},state="ready"}}': ready,
        f'{C}_slots{{{CONTROLLER},{E},state="renting"}}': f"1{HOUR}",
        f'{C}_slots{{{CONTROLLER},{E},state="ending"}}': ending,
    }


def grew_and_shrank(rent: str, leave: str) -> dict[str, str]:
    """How often slots of the fleet chat have started, and left."""
    both = {"rent": rent, "leave": leave, "served": rent}
    return {f'{C}_decisions_total{{{CONTROLLER},{E},event="{event}"}}': values for event, values in both.items()}


def ticked(age: str, up: str = f"1{HOUR}", leads: str = f"1{HOUR}") -> dict[str, str]:
    """A controller, how long ago it ticked, and whether it leads."""
    told = {f"{C}_last_tick_age_seconds{{{CONTROLLER}}}": age, f"{C}_leads{{{CONTROLLER}}}": leads}
    return {f"up{{{CONTROLLER}}}": up, **told}


def lease_age(values: str) -> dict[str, str]:
    """How long ago the controller renewed the lease of chat-0."""
    return LEADS | {f'{C}_lease_age_seconds{{{CONTROLLER},{E},name="chat-0"}}': values}


def stopped(values: str) -> dict[str, str]:
    """Whether the budget keeps the fleet chat from renting."""
    return LEADS | {f"{C}_spend_stopped{{{CONTROLLER},{E}}}": values}


SECOND = 'job="controller",instance="d:8080"'
STANDS_BY = {
    f"up{{{SECOND}}}": f"1{HOUR}",
    f"{C}_leads{{{SECOND}}}": f"0{HOUR}",
    f"{C}_last_tick_age_seconds{{{SECOND}}}": f"9{HOUR}",
}
READY = state(f"1{HOUR}")
# Its last word is that its gate is closed, and Prometheus believes a last word for five minutes.
DRAINED, DRAINED_AT = state("1x100 0x2 _x138", "0x102 _x138"), "28m"
GIVEN_BACK = info(values="1x104 stale _x136")
EXPORTER = 'up{job="exporter",instance="127.0.0.1:9101"}'

CASES = [
    Case("EndpointDown", "a host that serves", READY, 0),
    Case("EndpointDown", "vLLM gone", state("1x40 0x200"), 1),
    Case("EndpointDown", "a restart of a minute", state("1x100 0x4 1x136"), 0, "26m"),
    Case("EndpointDown", "a start, however long", state(f"0{HOUR}", f"1{HOUR}"), 0),
    Case(
        "EndpointDown",
        "rebooted, and closed until the next update",
        state(f"0{HOUR}") | host("vast_instance_state", f"1{HOUR}", 'state="closed"'),
        1,
    ),
    Case("EndpointDown", "vLLM gone, on an instance that is rented", DRAINED | info() | knows("abc"), 1, DRAINED_AT),
    Case("EndpointDown", "given back a minute after its gate was closed", DRAINED | GIVEN_BACK | knows("abc"), 0, DRAINED_AT),
    Case("EndpointDown", "nobody knows what its stack rents", DRAINED | GIVEN_BACK | knows("other"), 1, DRAINED_AT),
    Case(
        "EndpointDown",
        "the market has not answered for long, and this one may be new",
        DRAINED | GIVEN_BACK | knows("abc", "600x240"),
        1,
        DRAINED_AT,
    ),
    Case("EndpointDown", "nothing known", {}, 0),
    Case("HostSilent", "a host that reports", info() | READY, 0),
    Case("HostSilent", "a host that stopped reporting", info() | state("1x20"), 1),
    Case("HostSilent", "a host that never reported", info(), 1),
    Case("HostSilent", "an instance that still boots", info("loading"), 0),
    Case("HostSilent", "a gap of two minutes", info() | state("1x100 _x8 1x132"), 0, "27m"),
    Case("LatencyHigh", "fast answers", latency("0+3x240", "0+3x240"), 0),
    Case("LatencyHigh", "every second answer slow", latency("0+3x240", "0+6x240"), 1),
    Case("LatencyHigh", "one slow answer in a quiet hour", latency("0x240", "0x100 1x140"), 0),
    Case("LatencyHigh", "no traffic", latency("5x240", "9x240"), 0),
    Case("ProvisioningSlow", "two minutes", served(120, 600), 0),
    Case("ProvisioningSlow", "four minutes", served(240, 600), 1),
    Case("ProvisioningSlow", "four minutes, long ago", served(240, 600), 0, "80m"),
    Case("ProvisioningFailing", "one failure", failed("0x100 1x140"), 0),
    Case("ProvisioningFailing", "four failures", failed("0x100 4x140"), 1),
    Case("ProvisioningFailing", "four failures, more than an hour ago", failed("0x100 4x500"), 0, "110m"),
    Case("PriceOverCeiling", "under it", price(0.36), 0),
    Case("PriceOverCeiling", "above it", price(0.61), 1),
    Case("PriceOverCeiling", "two stacks with a fleet of one name", two_stacks(), 1),
    Case("PriceOverCeiling", "no ceiling", host("vast_instance_cost_per_hour", f"9{HOUR}"), 0),
    Case("BudgetDay", "within it", budget("day", 1, 12, 0.4), 0, "60m"),
    Case("BudgetDay", "above it by midnight", budget("day", 3, 12, 0.4), 1, "60m"),
    Case("BudgetDay", "no budget", {'vast_spend_usd{period="day"}': "99x480"}, 0, "60m"),
    Case("BudgetDay", "spent already, nothing rented", {
        'vast_spend_usd{period="day"}': "13x480", 'vast_budget_usd{period="day"}': "12x480"}, 1, "60m"),
    Case("BudgetDay", "above it by midnight of a market whose clock runs faster", budget("day", 1, 12, 0.4)
         | {"vast_market_time_scale": "3x480"}, 1, "60m"),
    Case("BudgetMonth", "within it", budget("month", 10, 320, 0.4), 0, "110m"),
    Case("BudgetMonth", "above it by the end of January", budget("month", 40, 320, 0.4), 1, "110m"),
    Case("SpendDrift", "a percent", {"vast_cost_drift_ratio": "0.01x480"}, 0, "110m"),
    Case("SpendDrift", "charged more", {"vast_cost_drift_ratio": "0.03x480"}, 1, "110m"),
    Case("SpendDrift", "charged less", {"vast_cost_drift_ratio": "-0.03x480"}, 1, "110m"),
    Case("SpendDrift", "for some minutes", {"vast_cost_drift_ratio": "0.03x100 0.01x380"}, 0, "110m"),
    Case("InstanceIdle", "busy", READY | host("vast_instance_idle_seconds", f"3{HOUR}"), 0),
    Case("InstanceIdle", "idle for long", READY | host("vast_instance_idle_seconds", "0+15x240"), 1, "40m"),
    Case("InstanceIdle", "a start is not idleness", state(f"0{HOUR}", f"1{HOUR}")
         | host("vast_instance_idle_seconds", "0+15x240"), 0, "40m"),
    Case("InstanceIdle", "silence is not idleness", state("1x20") | host("vast_instance_idle_seconds", "1700x20"), 0),
    Case("EndStuck", "one that ends in its time", host("vast_instance_ending_seconds", "0+15x8", 'reason="idle"'), 0, "3m"),
    Case("EndStuck", "one that is gone", host("vast_instance_ending_seconds", "0+15x8", 'reason="idle"'), 0),
    Case("EndStuck", "one that the market does not end", host("vast_instance_ending_seconds", "0+15x240", 'reason="idle"'),
         1),
    Case("InstanceOrphaned", "known", info(), 0),
    Case("InstanceOrphaned", "unknown", host("vast_instance_orphaned", f"1{HOUR}"), 1),
    Case("InstanceOrphaned", "for the moment of a rent call", host("vast_instance_orphaned", "1x20"), 0),
    Case("CertificateEnding", "in a month", host("vast_certificate_end_timestamp_seconds", "2592000x480"), 0, "90m"),
    Case("CertificateEnding", "in a week", host("vast_certificate_end_timestamp_seconds", "604800x480"), 1, "90m"),
    Case("ContractEnding", "in two days", host("vast_instance_contract_end_timestamp_seconds", "172800x480"), 0, "90m"),
    Case("ContractEnding", "in an hour", host("vast_instance_contract_end_timestamp_seconds", "9000x480"), 1, "90m"),
    Case("ContractEnding", "the market does not say when", info(), 0),
    Case("DiskFilling", "half full", host("vast_disk_free_bytes", f"50{HOUR}")
         | host("vast_disk_total_bytes", f"100{HOUR}"), 0),
    Case("DiskFilling", "nearly full", host("vast_disk_free_bytes", f"5{HOUR}")
         | host("vast_disk_total_bytes", f"100{HOUR}"), 1),
    Case("GpuThrottled", "its own power limit", host("vast_gpu_throttle_active", f"1{HOUR}",
         'uuid="u",reason="power_cap"'), 0),
    Case("GpuThrottled", "heat", host("vast_gpu_throttle_active", f"1{HOUR}", 'uuid="u",reason="hw_thermal"'), 1),
    Case("GpuThrottled", "heat for a minute", host("vast_gpu_throttle_active", "0x100 1x4 0x136",
         'uuid="u",reason="hw_thermal"'), 0, "26m"),
    Case("GpuBroken", "sound memory", host("vast_gpu_ecc_errors_total", f"2{HOUR}", 'uuid="u",type="uncorrected"'), 0),
    Case("GpuBroken", "an error", host("vast_gpu_ecc_errors_total", "0x100 1x140", 'uuid="u",type="uncorrected"'), 1),
    Case("GpuBroken", "an error that was corrected", host("vast_gpu_ecc_errors_total", "0x100 1x140",
         'uuid="u",type="corrected"'), 0),
    Case("ClockWrong", "right", host("vast_door_lag_seconds", f"3{HOUR}"), 0),
    Case("ClockWrong", "two minutes behind", host("vast_door_lag_seconds", f"120{HOUR}"), 1),
    Case("ClockWrong", "ahead", host("vast_door_lag_seconds", f"-40{HOUR}"), 1),
    Case("ClockWrong", "catching up after an outage", host("vast_door_lag_seconds", "3x60 500-10x49 3x130"), 0, "26m"),
    Case("ExporterStale", "read a moment ago", {
        'vast_exporter_last_success_timestamp_seconds{source="ledger"}': "0+15x240"}, 0),
    Case("ExporterStale", "market down", {
        'vast_exporter_last_success_timestamp_seconds{source="inventory"}': "0+15x80 1200x160"}, 1),
    Case("ExporterDown", "up", {EXPORTER: f"1{HOUR}"}, 0),
    Case("ExporterDown", "down", {EXPORTER: "1x40 0x200"}, 1),
    Case("ExporterDown", "gone", {}, 1),
    Case("DoorRefusing", "taking everything", {f'vast_door_refused_total{{{W},reason="label"}}': f"4{HOUR}"}, 0),
    Case("DoorRefusing", "refusing", {f'vast_door_refused_total{{{W},reason="label"}}': "0x100 7x140"}, 1),
    Case("ControllerSilent", "no elastic fleet, so no controller", {}, 0),
    Case("ControllerSilent", "one that ticks", ticked(f"9{HOUR}"), 0),
    Case("ControllerSilent", "it does not answer", ticked("9x40 _x200", "1x40 0x200", "1x40 _x200"), 1),
    Case("ControllerSilent", "it answers, and its loop hangs", ticked("9x40 9+15x200"), 1),
    Case("ControllerSilent", "it answers, and tells of no tick", {f"up{{{CONTROLLER}}}": f"1{HOUR}"}, 1),
    Case("ControllerSilent", "a restart of a minute", ticked("9x100 _x4 9x136", "1x100 0x4 1x136", "1x100 _x4 1x136"), 0,
         "27m"),
    Case("ControllerSilent", "a second one that stands by", ticked(f"9{HOUR}") | STANDS_BY, 0),
    Case("ControllerSilent", "nobody leads, because a lock is left", ticked(f"9{HOUR}", leads=f"0{HOUR}"), 1),
    Case("LeaseLapsed", "renewed each minute", lease_age("0 15 30 45 60x236"), 0),
    Case("LeaseLapsed", "nobody renews it, and the host does not tell", lease_age("0+15x240"), 1),
    Case("LeaseLapsed", "nobody renews it, by the host alone",
         host("vast_instance_lease_remaining_seconds", "900-15x240"), 1),
    Case("LeaseLapsed", "both tell of one host", lease_age("0+15x240")
         | host("vast_instance_lease_remaining_seconds", "900-15x240"), 1),
    Case("LeaseLapsed", "a longer lease, which the host knows", lease_age("0+15x240")
         | host("vast_instance_lease_remaining_seconds", "3600-15x240"), 0, "40m"),
    Case("LeaseLapsed", "the host ended itself", host("vast_instance_lease_remaining_seconds", "900-15x64 stale _x175"), 0),
    Case("DesiredNotReached", "as many as there should be", elastic(f"2{HOUR}", f"2{HOUR}"), 0),
    Case("DesiredNotReached", "at zero", elastic(f"0{HOUR}", f"0{HOUR}"), 0),
    Case("DesiredNotReached", "a start of five minutes", elastic("1x40 2x200", "1x60 2x180"), 0),
    Case("DesiredNotReached", "one of two for long", elastic(f"2{HOUR}", f"1{HOUR}"), 1),
    Case("DesiredNotReached", "the controller counts no slot", elastic(f"2{HOUR}", None), 1),
    Case("DesiredNotReached", "more than there should be, because they still serve", elastic(f"1{HOUR}", f"3{HOUR}"), 0),
    Case("SlotNotEnding", "one of a minute, then one of 26", elastic(f"1{HOUR}", f"1{HOUR}", ending="0x60 1x4 0x60 1x113"), 0,
         "58m"),
    Case("SlotNotEnding", "no slot ever ended", elastic(f"1{HOUR}", f"1{HOUR}"), 0),
    Case("SlotNotEnding", "its stack stays locked", elastic(f"1{HOUR}", f"1{HOUR}", ending="0x40 1x200"), 1, "50m"),
    Case("FleetAtMaximum", "below it", elastic(f"3{HOUR}", f"3{HOUR}"), 0, "50m"),
    Case("FleetAtMaximum", "at it for ten minutes", elastic("1x100 4x40 1x100", f"4{HOUR}"), 0, "36m"),
    Case("FleetAtMaximum", "at it for long", elastic(f"4{HOUR}", f"4{HOUR}"), 1, "50m"),
    Case("FleetAtMaximum", "bounds that leave no choice", elastic(f"4{HOUR}", f"4{HOUR}", least=4), 0, "50m"),
    Case("FleetAtMaximum", "a fleet that is to leave", elastic(f"0{HOUR}", f"0{HOUR}", most=0), 0, "50m"),
    Case("FleetFlapping", "an hour with one wave", grew_and_shrank("0x60 2x180", "0x120 2x120"), 0, "60m"),
    Case("FleetFlapping", "growing all the time", grew_and_shrank("0x20 1x40 3x40 5x40 7x100", f"0{HOUR}"), 0, "60m"),
    Case("FleetFlapping", "up and down, five times", grew_and_shrank(
        "0x20 1x40 2x40 3x40 4x40 6x60", "0x40 1x40 2x40 3x40 5x80"), 1, "60m"),
    Case("SpendStopped", "a budget that is wide enough", stopped(f"0{HOUR}"), 0),
    Case("SpendStopped", "a rent that does not fit", stopped("0x60 1x180"), 1),
    Case("SpendStopped", "until midnight, long ago", stopped("1x20 0x220"), 0),
    Case("Watchdog", "always", {}, 1),
    Case("Watchdog", "also where all is well", READY | info(), 1),
]  # fmt: skip
