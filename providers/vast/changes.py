"""Decide how to apply changed settings: record them, apply them in place, or replace the machine. Pure rules.

requirement that the running machine violates   replace   (image, GPU, disk, region, price ceiling)
software and access on the machine              in place  (model, vLLM's arguments, keys, certificates, kit, metrics,
                                                           when it ends itself)
requirement that matters only for the next rent recorded  (reliability, download rate, limits, endpoints)
name or label                                   replace   (another identity)
another market                                  replace   (given back there, rented here)
"""

from dataclasses import dataclass, field

from providers.vast.charged_price import REPLACE, has_risen
from providers.vast.settings import InstanceSettings

CONVERGED = ("model", "kit", "server", "access", "metrics", "selfDestruct")  # software and access; applied in place


@dataclass(frozen=True)
class Machine:
    """A rented machine as the state recorded it; a fact is empty or 0 if the market did not give it.

    `usd_per_hour` is the all-in price at the rent. `charged_usd_per_hour` is the market's present charge, None if
    unknown.
    """

    gpu_name: str
    gpu_count: int
    disk_gb: float
    usd_per_hour: float
    country: str
    charged_usd_per_hour: float | None = None


@dataclass(frozen=True)
class Changes:
    """Input keys by the effect of their change."""

    replace: list[str] = field(default_factory=list)
    in_place: list[str] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """Describe the effect of an update, with the inputs that cause it."""
        if self.replace:
            return f"another machine, and this one is given back first, because of {_named(self.replace)}"
        if self.in_place:
            return f"in place, because of {_named(self.in_place)}"
        return f"nothing on the machine; {_named(self.recorded)} is written down for the next rent"

    @property
    def any(self) -> bool:
        """Return whether there is anything to do or to record."""
        return bool(self.replace or self.in_place or self.recorded)


def changes(old: InstanceSettings, new: InstanceSettings, machine: Machine) -> Changes:
    """Compare two settings of one instance, given the machine it runs on."""
    found = Changes()
    if (old.name, old.label) != (new.name, new.label):
        found.replace.append("label")
    if old.market.url != new.market.url:
        found.replace.append("market.url")
    if old.server.image != new.server.image:
        found.replace.append("server.image")
    found.replace.extend(_violated(old, new, machine))
    before, after = _what_runs(old), _what_runs(new)
    found.in_place.extend(key for key, value in before.items() if value != after[key])
    compared = {"name", "label", "replicas", "rollout", "model", "kit", "server", "access", "metrics", "secrets"}
    compared |= {"self_destruct"}
    for name, declared in InstanceSettings.model_fields.items():
        if name not in compared and getattr(old, name) != getattr(new, name):
            found.recorded.append(declared.alias or name)
    return found


def _named(keys: list[str]) -> str:
    """Format keys as config spells them: `maxUsdPerHour` instead of `wishes.maxUsdPerHour`."""
    words = {
        "access": "access (token, key or certificate)",
        "server": "vLLM's arguments",
        "selfDestruct": "when it ends itself",
    }
    return ", ".join(words.get(key, key.rpartition(".")[2]) for key in dict.fromkeys(keys))


def _what_runs(settings: InstanceSettings) -> dict[str, object]:
    server = settings.server
    return {
        "model": settings.model.digest,
        "kit": settings.kit.digest,
        "server": (server.model_name, server.arguments, server.environment, server.port, server.warm_start),
        "access": settings.access,
        "metrics": settings.metrics,
        # The host asks the market itself, under the market's address for hosts.
        "selfDestruct": settings.self_destruct and (settings.self_destruct, settings.market.url_of_hosts),
    }


def _violated(old: InstanceSettings, new: InstanceSettings, machine: Machine) -> list[str]:
    """Return the keys of the requirements that the machine violates.

    Only an edit replaces a machine. A fact that the market left out does not, nor does one that it names later.
    """
    was, wanted = old.requirements, new.requirements
    rules = {
        "wishes.gpuNames": was.gpu_names == wanted.gpu_names
        or not machine.gpu_name
        or machine.gpu_name in wanted.market_gpus,
        "wishes.gpuCount": was.gpu_count == wanted.gpu_count or machine.gpu_count in {0, wanted.gpu_count},
        "wishes.maxUsdPerHour": not _is_too_dear(old, new, machine),
        "wishes.regions": was.regions == wanted.regions
        or not wanted.regions
        or not machine.country
        or machine.country.upper() in wanted.countries,
        "diskGb": old.disk_gb == new.disk_gb or not machine.disk_gb or machine.disk_gb + 0.5 >= new.disk_gb,
    }
    return [key for key, holds in rules.items() if not holds]


def _is_too_dear(old: InstanceSettings, new: InstanceSettings, machine: Machine) -> bool:
    """Return whether the price replaces the machine.

    A ceiling that the user lowered below the price replaces it. A landlord's increase past the ceiling replaces it only
    if the fleet says so.
    """
    ceiling, rented, charged = (
        new.requirements.max_usd_per_hour + 1e-9,
        machine.usd_per_hour,
        machine.charged_usd_per_hour,
    )
    if (rented if charged is None else charged) <= ceiling:
        return False
    lowered = new.requirements.max_usd_per_hour < old.requirements.max_usd_per_hour
    return rented > ceiling or lowered or (new.requirements.over_ceiling == REPLACE and has_risen(rented, charged))
