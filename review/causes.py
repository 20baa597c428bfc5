"""Names the keys of stack config that cause a change, with their old and new values. Pure.

The rules of `up` name inputs of an instance, such as `wishes.gpuNames`. A reviewer knows the keys of config, `gpu.name`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from config.masking import HIDDEN, masked
from config.rotation import RotationConfig
from providers.vast.settings import InstanceSettings
from review.report import Cause
from review.revision import StackRevision

NOT_SHOWN = "(not shown)"  # the values of environment variables
CONFIG_KEYS = {"gpuNames": "gpu.name", "gpuCount": "gpu.count", "gpuRamGb": "gpu.ramGb", "datacenter": "hosting"}
WITHOUT_KEY = {"drift": "what a refresh found; the update looks again"}
Texts = dict[str, str]  # key of config -> its value as a text


class ConfigTexts:
    """The values of one instance at one revision, by the keys of config, for each key of the rules."""

    def __init__(
        self, settings: InstanceSettings, revision: StackRevision, rotation: RotationConfig | None = None
    ) -> None:
        self._settings, self._revision = settings, revision
        self._rotation = rotation or revision.config.rotation

    def of(self, rule: str) -> Texts:
        """Return the values that a key of the rules depends on. A secret's text only tells whether it was set anew."""
        section, _, last = rule.partition(".")
        if section == "wishes":
            wishes = _texts(self._settings.requirements.model_dump(by_alias=True), CONFIG_KEYS)
            key = CONFIG_KEYS.get(last, last)
            return {key: wishes[key]} if last else wishes
        return READERS[rule](self) if rule in READERS else {}

    def shown(self, key: str, values: Texts) -> str | None:
        """Return a value as a reviewer may see it; None if the key is absent."""
        if key not in values:
            return None
        text = values[key]
        if text.startswith(HIDDEN) or text in self._revision.file.secret_leaves.values:
            return HIDDEN
        return NOT_SHOWN if key.startswith("environment.") else masked(text)

    def image(self) -> Texts:
        """Return the image."""
        return {"image": self._settings.server.image}

    def disk(self) -> Texts:
        """Return the disk, whether the model's size says it, and the model."""
        fleet = self._revision.config.fleets.get(self._settings.fleet)
        by_model = " by the model's size" if fleet and fleet.disk_gb is None else ""
        return {"diskGb": f"{self._settings.disk_gb}{by_model}", **self.model()}

    def model(self) -> Texts:
        """Return the model's name, and the digest of its manifest."""
        name = self._settings.server.model_name
        return {"model": name, f"models.{name}.manifest": f"sha256:{self._settings.model.digest[:12]}"}

    def server(self) -> Texts:
        """Return what vLLM is started with."""
        server = self._settings.server
        return {
            "model": server.model_name,
            "vllmArguments": " ".join(server.arguments),
            "warmStart": str(server.warm_start).lower(),
            **{f"environment.{name}": value for name, value in server.environment.items()},
        }

    def access(self) -> Texts:
        """Return what renews keys, token and certificate."""
        counters = {f"rotation.{name}": str(value) for name, value in self._rotation.model_dump().items()}
        return {**counters, "metricsKey": f"{HIDDEN} {self._revision.file.secrets.get('metricsKey')}"}

    def self_destruct(self) -> Texts:
        """Return when the host ends itself."""
        limits = self._settings.self_destruct
        names = {"leaseMinutes": "lease.minutes"}
        own = _texts(limits.model_dump(by_alias=True, exclude_none=True), names) if limits else {}
        return {**own, "market.hostUrl": self._settings.market.url_of_hosts}

    def section(self, name: str) -> Texts:
        """Return a section of the settings."""
        found = getattr(self._settings, name)
        return _texts(found.model_dump(by_alias=True), {}, f"{name}.") if found is not None else {}

    def store(self) -> Texts:
        """Return the object store."""
        store = self._revision.config.store
        return _texts(store.model_dump(by_alias=True, exclude_none=True), {}, "store.")

    def budget(self) -> Texts:
        """Return the budget as config has it: inputs leave out one that is not enforced."""
        return _texts(self._revision.config.budget.model_dump(by_alias=True), {}, "budget.")

    def registry(self) -> Texts:
        """Return the registry's login."""
        login = self._settings.registry
        if login is None:
            return {}
        password = login.password.get_secret_value()
        return {
            "registry.server": login.server,
            "registry.user": login.user,
            "registry.password": f"{HIDDEN} {password}",
        }

    def kit(self) -> Texts:
        """Return the program's mark."""
        return {"program (kit)": f"sha256:{self._settings.kit.digest[:12]}"}


READERS: Mapping[str, Callable[[ConfigTexts], Texts]] = {
    "server.image": ConfigTexts.image,
    "diskGb": ConfigTexts.disk,
    "model": ConfigTexts.model,
    "server": ConfigTexts.server,
    "access": ConfigTexts.access,
    "kit": ConfigTexts.kit,
    "selfDestruct": ConfigTexts.self_destruct,
    "metrics": lambda one: one.section("metrics"),
    "market.url": lambda one: {"market.url": one.section("market")["market.url"]},
    "market": lambda one: one.section("market"),
    "limits": lambda one: one.section("limits"),
    "budget": ConfigTexts.budget,
    "preflight": lambda one: one.section("preflight"),
    "store": ConfigTexts.store,
    "registry": ConfigTexts.registry,
}


def causes(rules: Sequence[str], old: ConfigTexts, new: ConfigTexts) -> tuple[Cause, ...]:
    """Return the keys of config behind keys of the rules, with old and new values."""
    found: dict[str, Cause] = {}
    for rule in dict.fromkeys(rules):
        before, after = old.of(rule), new.of(rule)
        differing = [key for key in dict.fromkeys([*before, *after]) if before.get(key) != after.get(key)]
        for key in _without_manifests(differing):
            found.setdefault(key, Cause(key=key, old=old.shown(key, before), new=new.shown(key, after)))
        if not differing:
            name = rule.rpartition(".")[2]
            found.setdefault(name, Cause(key=name, new=WITHOUT_KEY.get(name)))
    return tuple(found.values())


def _without_manifests(keys: list[str]) -> list[str]:
    """Leave the manifests out if the model's name says the change already."""
    return [key for key in keys if not key.startswith("models.")] if "model" in keys else keys


def _texts(values: Mapping[str, Any], names: Mapping[str, str], prefix: str = "") -> Texts:
    return {names.get(key, f"{prefix}{key}"): _text(key, value) for key, value in values.items()}


def _text(key: str, value: Any) -> str:
    if key == "datacenter":
        return "datacenter" if value else "any"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "any"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
