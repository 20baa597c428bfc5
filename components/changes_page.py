"""Generates docs/changes.md: the effect of each config key's edit on a running instance.

The program's own rules compute the effects. `python -m components.changes_page` prints the page. A test compares it with
the committed page, and checks that the page has every key.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.instance_inputs import FleetParts, instance_inputs
from components.stand_ins import stand_ins
from config.cluster import BackupsConfig, ClusterConfig
from config.controller_kubernetes import ControllerKubernetesConfig
from config.kubernetes import KubernetesConfig
from config.policy import PolicyConfig
from config.stack import StackConfig
from providers.vast.changes import Machine, changes
from providers.vast.settings import InstanceSettings
from weights.manifest import File, Manifest

MACHINE = Machine("RTX 4090", 1, 48, 0.40, "US")
BASE: dict[str, Any] = {
    "market": {"url": "https://console.vast.ai"},
    "metrics": {"url": "https://metrics.example"},
    "store": {"endpoint": "https://fsn1.example", "region": "fsn1", "bucket": "weights"},
    "models": {"m": {"manifest": "models/m.json"}, "n": {"manifest": "models/n.json"}},
    "fleets": {"chat": {"model": "m", "gpu": {"name": "RTX 4090"}, "maxUsdPerHour": 0.5, "diskGb": 48}},
}


@dataclass(frozen=True)
class Edit:
    """A key set to a value. `when` tells two edits of one key apart.

    `says` is the effect of a key that instances do not have. `given` are keys, with values, that config has before.
    """

    key: str
    value: Any = None
    when: str = ""
    says: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)


FLEET = "fleets.<name>"
OF_CLUSTER = {  # the effect of an edit of each key
    "location": "none: refused while the cluster exists",
    "server": "nothing; the cluster's server is off for a minute or two, and monitoring with it",
    "admin_cidrs": "nothing; the firewall follows at once",
    "admin_cidrs_open": "nothing; the firewall follows at once",
    "volume_gb": "nothing; the volume grows; Hetzner shrinks none",
    "load_balancer": "in place: hosts report to another address",
    "receiver_port": "in place: hosts report to another port",
    "api_port": "nothing; firewall and port of the controller's API follow, and its pod starts anew",
    "protect": "nothing; a deletion is allowed, or refused",
    "network": "none: refused while the cluster exists",
    "name": "nothing; the cluster's resources get other names",
    "api_url": "none: refused while the cluster exists",
}
EDITS = (
    Edit(f"{FLEET}.replicas", says="instances are added, or given back from the highest number down; the others stay"),
    *(
        Edit(f"{FLEET}.replicas.{key}", says="nothing; the controller follows it once `up` has applied it")
        for key in ("min", "max", "requestsPerInstance", "downSeconds", "idleSeconds", "maxRequestMinutes")
    ),
    Edit(
        f"{FLEET}.without",
        says="the named instances are given back, and as many with other numbers come; the others stay",
    ),
    Edit(f"{FLEET}.rollout.maxUnavailable", says="nothing; the next change uses it"),
    Edit(f"{FLEET}.model", "n"),
    Edit(f"{FLEET}.gpu.name", "H100 SXM", "the running GPU is no longer named"),
    Edit(f"{FLEET}.gpu.name", ["RTX 4090", "H100 SXM"], "the running GPU is still named"),
    Edit(f"{FLEET}.gpu.name", "rtx_4090", "the same GPU in another spelling"),
    Edit(f"{FLEET}.gpu.count", 2),
    Edit(f"{FLEET}.gpu.ramGb", 48),
    Edit(f"{FLEET}.maxUsdPerHour", 0.3, "the instance costs more"),
    Edit(f"{FLEET}.maxUsdPerHour", 0.45, "it costs no more"),
    Edit(f"{FLEET}.overCeiling", "replace", "the landlord's price is no higher than `maxUsdPerHour`"),
    Edit(f"{FLEET}.image", "vllm/vllm-openai:v9"),
    *(
        Edit(f"{FLEET}.registry.{key}", says="written down")  # a secret, which no generated page may hold
        for key in ("server", "user", "password")
    ),
    Edit(f"{FLEET}.vllmArguments", ["--max-model-len", "512"]),
    Edit(f"{FLEET}.environment", {"VLLM_LOGGING_LEVEL": "DEBUG"}),
    Edit(f"{FLEET}.warmStart", True),
    Edit(f"{FLEET}.reliability", 0.99),
    Edit(f"{FLEET}.downloadMbps", 900),
    Edit(f"{FLEET}.minCuda", 12.4),
    Edit(f"{FLEET}.hosting", "datacenter"),
    Edit(f"{FLEET}.cpuCores", 8),
    Edit(f"{FLEET}.memoryGb", 32),
    Edit(f"{FLEET}.preflight.cpuCores", 4),
    Edit(f"{FLEET}.preflight.memoryGb", 16),
    Edit(f"{FLEET}.preflight.diskMbps", 2000),
    Edit(f"{FLEET}.preflight.clockSeconds", 30),
    Edit(f"{FLEET}.preflight.gpuCelsius", 60),
    Edit(f"{FLEET}.regions", ["DE"], "the machine stands elsewhere"),
    Edit(f"{FLEET}.regions", ["usa", "Germany"], "it stands in one of them"),
    Edit(f"{FLEET}.verified", False),
    Edit(f"{FLEET}.minDays", 7),
    Edit(f"{FLEET}.diskGb", 100, "more than was rented"),
    Edit(f"{FLEET}.diskGb", 30, "less"),
    Edit(f"{FLEET}.idleMinutes", 30),
    Edit(f"{FLEET}.maxHours", 12),
    Edit(f"{FLEET}.lease.minutes", 60),
    Edit("models.<name>.manifest", "models/other.json"),
    Edit("models.<name>.source", says="nothing; missing blobs are uploaded from there"),
    Edit("models.<name>.comparedWith", says="nothing; `gpu-fleet worth` compares with these list prices"),
    Edit("store.bucket", "others"),
    Edit("store.endpoint", "https://nbg1.example"),
    Edit("store.hostEndpoint", "https://hosts.example"),
    Edit("store.region", "nbg1"),
    Edit("store.referenceUrl", "https://files.example/100MB.bin"),
    Edit("store.onDestroy", says="nothing; a destroy of the stack uses it"),
    Edit("store.verify", says="nothing; the next refresh checks more or less of the blobs"),
    Edit("store.versioning", says="nothing; the bucket gets it"),
    Edit("limits.attempts", 5),
    Edit("limits.bootMinutes", 20),
    Edit("limits.connectMinutes", 9),
    Edit("limits.totalMinutes", 60),
    Edit("limits.expectedHours", 24),
    Edit("limits.downMinutes", 30),
    Edit("limits.rentsPerHour", 50),
    Edit("budget.usdPerDay", 5),
    Edit("budget.usdPerMonth", 50),
    Edit("budget.enforce", says="written down, if the stack has a budget"),
    Edit("budget.controllerShare", says="written down, if the stack has a budget and an elastic fleet"),
    *(
        Edit(f"policy.{field.alias or name}", says="nothing; reviews follow it once the base branch has it")
        for name, field in PolicyConfig.model_fields.items()
    ),
    Edit("metrics.url", "https://other.example"),
    Edit("metrics.intervalSeconds", 5),
    *(
        Edit(f"cluster.{field.alias or name}", says=OF_CLUSTER[name])
        for name, field in ClusterConfig.model_fields.items()
        if name not in ("k3s", "backups")
    ),
    *(
        Edit(f"cluster.k3s.{key}", says="nothing; the server gets that k3s over SSH, a snapshot first")
        for key in ("version", "sha256", "url")
    ),
    *(
        Edit(f"cluster.backups.{field.alias or name}", says="nothing; k3s restarts with it")
        for name, field in BackupsConfig.model_fields.items()
    ),
    *(
        Edit(f"kubernetes.{field.alias or name}", says="nothing; the cluster's objects are changed")
        for name, field in KubernetesConfig.model_fields.items()
    ),
    Edit("controller.backend", says="nothing; the controller uses it from its next start"),
    Edit("controller.kubernetes", says="nothing; the controller's objects are made, or removed"),
    *(
        Edit(f"controller.kubernetes.{field.alias or name}", says="nothing; the controller's objects are changed")
        for name, field in ControllerKubernetesConfig.model_fields.items()
    ),
    *(
        Edit(f"clients.<name>.{key}", says="nothing; the controller follows it once `up` has applied it")
        for key in ("scopes", "maxInstances", "maxTtlMinutes", "keyEpoch")
    ),
    Edit("rotation.tokens", 1),
    Edit("rotation.ssh", 1),
    Edit("rotation.certificates", 1),
    Edit("rotation.ca", 1),
    Edit("market.url", "https://market.example"),
    Edit("market.hostUrl", "https://market.example", "no host of the fleet ends itself"),
    Edit(
        "market.hostUrl",
        "https://market.example",
        "hosts of the fleet end themselves",
        given={f"{FLEET}.idleMinutes": 30},
    ),
    Edit("market.timeScale", 2),
)


INTRODUCTION = """
The table shows the effect on a running instance. The program's own rules compute it. `pulumi preview` says the same in
words: with the instance's name, and in one line for each fleet how many endpoints close, for about how long, what the
fleet costs now and then, the best offer, and what it takes of the budget.

- **in place**: over SSH, on the rented machine. The host fetches new weights while the old model serves. An endpoint
  that restarts is closed (503) until a completion proves it. If it does not serve, the old settings come back.
- **another machine**: the program gives the old machine back first, then rents another under the same name.
- **written down**: nothing changes now; the next rent uses the value.

Changes that close an endpoint or take another machine go in waves. A wave has `rollout.maxUnavailable` instances of a
fleet. The next wave begins when the last one serves. If an instance fails, the rest stays as it is.
"""
DRIFT = """
The next `up` repairs drift that `pulumi refresh` finds. It starts a stopped machine. It waits for a machine that is
offline or shows another SSH host key, for `limits.downMinutes` from the refresh that found it down. After that another
machine takes its place, unless its endpoint answers. `up` and `preview` look again before they say so.

`up` also waits for a machine that the market reports as `unknown`, `loading` or `rebooting`, or without its address. It
never replaces a machine for that. It replaces a machine whose contract ends within a day; a machine that runs past its
contract's end stays.

`up` repairs in place: a moved address, other vLLM arguments or weights, a gate or a token changed by hand, a certificate
that ends within 30 days, and a second instance under the same label. If an instance is gone, `up` creates it again.
"""


def page() -> str:
    """Return docs/changes.md."""
    rows = [f"| `{edit.key}` | {edit.when} | {edit.says or effect(edit)} |" for edit in EDITS]
    table = "\n".join(["| key | if | effect |", "| --- | --- | --- |", *rows])
    return f"# What an edit of stack config does\n{INTRODUCTION}\n{table}\n{DRIFT}"


def effect(edit: Edit) -> str:
    """Return the effect of an edit in a few words."""
    found = changes(settings_of(Edit("", given=edit.given)), settings_of(edit), MACHINE)
    if found.replace:
        return "another machine"
    if found.in_place:
        return "in place"
    return "written down" if found.recorded else "nothing"


def settings_of(edit: Edit) -> InstanceSettings:
    """Return the settings of the instance `chat-0` after an edit."""
    parts = fleet_parts(edit)
    return InstanceSettings.from_props(instance_inputs(parts, stand_ins(parts.stack, "chat-0"), "chat-0", 0))


def fleet_parts(edit: Edit) -> FleetParts:
    """Return config and files of the fleet `chat` after an edit."""
    stack = StackConfig.model_validate(_edited(edit))
    fleet = stack.fleets["chat"]
    manifests = {name: _manifest(model.manifest) for name, model in stack.models.items()}
    return FleetParts(name="chat", fleet=fleet, stack=stack, model=manifests[fleet.model], kit=_manifest("kit"))


def _edited(edit: Edit) -> dict[str, Any]:
    config = copy.deepcopy(BASE)
    for key, value in {**edit.given, **({edit.key: edit.value} if edit.key else {})}.items():
        *parents, last = key.replace(FLEET, "fleets.chat").replace("models.<name>", "models.m").split(".")
        place = config
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return config


def _manifest(path: str) -> Manifest:
    mark = f"{sum(path.encode()):064x}"
    return Manifest(name="m", files=(File(path="a", size=1, sha256=mark, parts=(mark,)),))


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 -- the page is this command's output
