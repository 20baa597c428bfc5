"""Edits of a stack's config as colleagues make them, chosen by a seed, which the sandbox's market can fulfil."""

import copy
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

Fleet = dict[str, Any]
Config = dict[str, Any]
GPUS = ("RTX 4090", "RTX 3090")
COUNTRIES = ("US", "DE", "PL", "CZ", "NL", "GB", "SE", "FR", "CA", "ES", "NO", "FI")


def _toggled(key: str, *values: Any) -> Callable[[Random, Fleet], None]:
    """Return an edit that gives a key another one of these values; None takes the key out."""

    def edit(random: Random, fleet: Fleet) -> None:
        *parents, last = key.split(".")
        place = fleet
        for parent in parents:
            place = place.setdefault(parent, {})
        value = random.choice([one for one in values if one != place.get(last)])
        if value is None:
            place.pop(last, None)
        else:
            place[last] = copy.deepcopy(value)

    return edit


def _regions(random: Random, fleet: Fleet) -> None:
    """Name countries, so that the machine stands in one of them or not, as an edit in a pull request does."""
    if "regions" in fleet and random.random() < 0.5:
        del fleet["regions"]
    else:
        fleet["regions"] = random.sample(COUNTRIES, 7)


def _replicas(random: Random, fleet: Fleet) -> None:
    fleet["replicas"] = random.choice([count for count in (0, 1, 2) if count != fleet.get("replicas", 1)])


def _without(random: Random, fleet: Fleet) -> None:
    if fleet.pop("without", None) is None:
        fleet["without"] = [random.choice((0, 1))]


OF_FLEET: Mapping[str, Callable[[Random, Fleet], None]] = {
    "replicas": _replicas,
    "without": _without,
    "regions": _regions,
    "gpu.name": _toggled("gpu.name", *GPUS, list(GPUS), ["rtx_4090", "RTX 3090"], ["RTX 3090", "H100 SXM", "RTX 4090"]),
    "gpu.ramGb": _toggled("gpu.ramGb", None, 20, 24),
    "maxUsdPerHour": _toggled("maxUsdPerHour", 1.2, 1.6, 2.0),
    "overCeiling": _toggled("overCeiling", None, "replace"),
    "diskGb": _toggled("diskGb", 18, 20, 24, 30, None),
    "image": _toggled("image", "vllm/vllm-openai-cpu:v0.31.0", "vllm/vllm-openai-cpu:v0.32.0"),
    "model": _toggled("model", "tiny", "other"),
    "vllmArguments": _toggled(
        "vllmArguments", ["--max-model-len", "256"], ["--max-model-len", "512", "--dtype", "float16"], None
    ),
    "environment": _toggled("environment", None, {"VLLM_LOGGING_LEVEL": "DEBUG"}, {"VLLM_CPU_KVCACHE_SPACE": "1"}),
    "warmStart": _toggled("warmStart", None, True),
    "idleMinutes": _toggled("idleMinutes", None, 600, 900),
    "maxHours": _toggled("maxHours", None, 48, 72),
    "lease": _toggled("lease", None, {"minutes": 600}),
    "reliability": _toggled("reliability", None, 0.5, 0.7),
    "downloadMbps": _toggled("downloadMbps", 40, 50, 60),
    "verified": _toggled("verified", None, False),
    "minDays": _toggled("minDays", None, 0.5, 0),
    "minCuda": _toggled("minCuda", None, 12.1),
    "cpuCores": _toggled("cpuCores", None, 1),
    "memoryGb": _toggled("memoryGb", None, 1),
    "preflight": _toggled("preflight", None, {"diskMbps": 1, "clockSeconds": 400}),
    "rollout": _toggled("rollout", None, {"maxUnavailable": 2}),
}
OF_STACK: Mapping[str, Callable[[Random, Config], None]] = {
    f"{section}.{key}": _toggled(f"gpu-fleet:{section}.{key}", *values)
    for section, key, values in (
        ("rotation", "tokens", (1, 2, 3)),
        ("rotation", "certificates", (1, 2, 3)),
        ("rotation", "ca", (1, 2, 3)),
        ("rotation", "ssh", (1, 2, 3)),
        ("limits", "attempts", (3, 4, 5)),
        ("limits", "expectedHours", (8, 9, 10)),
        ("limits", "downMinutes", (15, 16, 17)),
        ("budget", "usdPerDay", (20_000, 21_000, 22_000)),  # the market of the sandbox charges as fast as its clock
        ("store", "verify", ("sizes", "sample")),
        ("market", "hostUrl", ("http://market.sandbox.internal", "http://market.sandbox.internal/")),
    )
}


def edited(config: Config, random: Random, lanes: int) -> tuple[Config, dict[str, str]]:
    """Return the config after one edit of each fleet, some of the stack, and the edited keys by fleet or `stack`.

    `lanes`: how many fleets are edited at most.
    """
    after = copy.deepcopy(config)
    fleets = after["gpu-fleet:fleets"]
    chosen = {}
    for name in random.sample(sorted(fleets), min(lanes, len(fleets))):
        chosen[name] = random.choice(sorted(OF_FLEET))
        OF_FLEET[chosen[name]](random, fleets[name])
    if random.random() < 0.3:
        chosen["stack"] = random.choice(sorted(OF_STACK))
        OF_STACK[chosen["stack"]](random, after)
    return after, chosen
