"""Model of one VastInstance's inputs, validated once and used by every method.

The engine passes numbers as floats and omits keys with None. So every field has its type here, and a default if it may
be absent.
"""

from dataclasses import replace
from typing import Any

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator

from bootstrap.gpu_names import all_market_names
from config.base import Section
from config.limits import LimitsConfig
from config.market import WrittenMarket
from config.monitoring import WrittenMetrics
from config.preflight import PreflightConfig
from config.requirements import RequirementsConfig
from config.state_defaults import with_state_defaults
from config.store import StorePlace
from providers import old_state
from providers.identity.metrics_credentials import KEY_LENGTH
from providers.vast.api.contract_end import DAY, WARNED_SECONDS
from providers.vast.api.errors import SettingsInvalid
from providers.vast.limits import Limits
from providers.vast.renting.registry_login import RegistryLogin
from providers.vast.search import start_time
from providers.vast.search.image_needs import NOTHING_NEEDED, Needs, needs_of
from providers.vast.search.memory_fit import Fit
from providers.vast.search.requirements import Requirements
from weights.manifest import Manifest
from weights.quantities import StartCost

GB = 1_000_000_000


class StoreSettings(StorePlace):
    """The bucket that the host fetches from.

    `endpoint`: the store's URL as hosts reach it; presigned URLs are signed for it. `own_endpoint`: its URL as this
    computer reaches it to write the ledger, empty if that is the same.
    """

    endpoint: str
    own_endpoint: str = Field("", alias="ownEndpoint")


class RequirementSettings(RequirementsConfig):
    """A fleet's requirements of its machines, in the units of stack config."""

    gpu_names: tuple[str, ...] = Field(alias="gpuNames", min_length=1)
    gpu_count: int = Field(1, alias="gpuCount", ge=1)
    gpu_ram_gb: float = Field(0, alias="gpuRamGb", ge=0)
    datacenter: bool = False

    @property
    def market_gpus(self) -> tuple[str, ...]:
        """Return the required GPUs as the market lists them; `gpu_names` are as the user wrote them."""
        return all_market_names(self.gpu_names)

    def min_seconds(self, time_scale: float) -> float:
        """Return how long an offer must last at least, in seconds of real time. A fast market has short days.

        The required days end before the last day, in which an instance is replaced.
        """
        return (self.min_days * DAY + WARNED_SECONDS) / time_scale if self.min_days else 0.0

    def to_requirements(
        self,
        disk_gb: float,
        weights_gb: float,
        expected_hours: float,
        fit: Fit | None,
        image: str = "",
        needs: Needs = NOTHING_NEEDED,
        instances: int = 1,
    ) -> Requirements:
        """Return the requirements in the market's units.

        Adds the disk to rent, the download to pay for, the memory that the model needs, and the needs of the image.
        """
        return Requirements(
            gpu_names=self.market_gpus,
            gpu_count=self.gpu_count,
            max_usd_per_hour=self.max_usd_per_hour,
            disk_gb=disk_gb,
            weights_gb=weights_gb,
            gpu_ram_mb=self.gpu_ram_gb * 1000,
            min_reliability=self.reliability,
            min_download_mbps=self.download_mbps,
            min_cuda=needs.cuda or 0,
            min_capability=needs.capability,
            cpu_cores=self.cpu_cores,
            memory_gb=self.memory_gb,
            datacenter=self.datacenter,
            instances=instances,
            regions=self.countries,
            verified_only=self.verified,
            expected_hours=expected_hours,
            fit=fit,
            image_gb=start_time.image_gb(image),
            needs=needs,
        )


class ServerSettings(Section):
    """Image, vLLM's own arguments and environment, and the name that clients use for the model."""

    image: str
    model_name: str = Field(alias="modelName")
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)
    port: int = 8443
    warm_start: bool = Field(False, alias="warmStart")
    warm_pins: dict[str, str] = Field(default_factory=dict, alias="warmPins")


class AccessSettings(Section):
    """Keys that open the instance. The private ones are secrets of the stack; their fields never print."""

    ssh_public_key: str = Field(alias="sshPublicKey")
    ssh_private_key: SecretStr = Field(alias="sshPrivateKey")
    ca_certificate: str = Field(alias="caCertificate")
    ca_key: SecretStr = Field(alias="caKey")
    token: SecretStr
    certificate_epoch: int = Field(0, alias="certificateEpoch")
    metrics_key: SecretStr = Field(SecretStr(""), alias="metricsKey")

    @field_validator("metrics_key")
    @classmethod
    def _long_enough(cls, key: SecretStr) -> SecretStr:
        if 0 < len(key.get_secret_value()) < KEY_LENGTH:
            raise ValueError(f"gpu-fleet:metricsKey has fewer than {KEY_LENGTH} characters")
        return key


class RolloutSettings(Section):
    """How many instances of the fleet may be down for a change at once. Older states do not have it."""

    fleet: str
    most_down: int = Field(1, alias="maxUnavailable", ge=1)


class SelfDestructSettings(Section):
    """When the host ends itself although it serves; None for no such limit."""

    idle_minutes: float | None = Field(None, alias="idleMinutes", gt=0)
    max_hours: float | None = Field(None, alias="maxHours", gt=0)
    lease_minutes: float | None = Field(None, alias="leaseMinutes", gt=0)


class BudgetSettings(Section):
    """The stack's budget in US dollars, which no rent may pass; 0 for none. Absent if none is enforced.

    `elastic`: fleets whose slots rent from the controller's computer. `controller_share`: their part of the budget if the
    store cannot keep one book for all computers.
    """

    usd_per_day: float = Field(0, alias="usdPerDay", ge=0)
    usd_per_month: float = Field(0, alias="usdPerMonth", ge=0)
    controller_share: float = Field(0.5, alias="controllerShare", gt=0, lt=1)
    elastic: tuple[str, ...] = ()

    @property
    def by_period(self) -> dict[str, float]:
        """The budgets that are set, in $ by period: `day`, `month`."""
        wanted = {"day": self.usd_per_day, "month": self.usd_per_month}
        return {period: usd for period, usd in wanted.items() if usd > 0}


class InstanceSettings(Section):
    """Inputs of a VastInstance."""

    name: str
    label: str
    turn: int = 0  # place in its fleet; no code uses it any more, but every state has it
    replicas: int = Field(1, ge=1)
    rollout: RolloutSettings | None = None
    market: WrittenMarket
    store: StoreSettings
    requirements: RequirementSettings = Field(alias="wishes")
    preflight: PreflightConfig = Field(default_factory=dict, validate_default=True)
    limits: LimitsConfig = LimitsConfig()
    server: ServerSettings
    disk_gb: int = Field(alias="diskGb", ge=1)
    model: Manifest
    kit: Manifest
    access: AccessSettings
    registry: RegistryLogin | None = None
    metrics: WrittenMetrics | None = None
    self_destruct: SelfDestructSettings | None = Field(None, alias="selfDestruct")
    budget: BudgetSettings | None = None
    # The name of a slot's main stack at the backend. Empty for an instance of the main stack itself.
    main_stack: str = Field("", alias="mainStack")
    # Texts of inputs that are secret leaves of stack config: no line and no stored log shows them.
    secrets: tuple[SecretStr, ...] = ()

    @field_validator("preflight", "requirements", mode="before")
    @classmethod
    def _as_states_mean_it(cls, value: Any, info: ValidationInfo) -> Any:
        return with_state_defaults(str(info.field_name), value)

    @classmethod
    def from_props(cls, props: dict[str, Any]) -> "InstanceSettings":
        """Read a program's inputs, and ignore the engine's own outputs beside them.

        Raises SettingsInvalid with one line a field.
        """
        try:
            return cls.model_validate(inputs_of(props))
        except ValidationError as error:
            raise invalid(error) from None

    @property
    def fleet(self) -> str:
        """Return the fleet's name in stack config. Older states have it only in the instance's name."""
        return self.rollout.fleet if self.rollout else self.name.rpartition("-")[0]

    @property
    def start_cost(self) -> StartCost:
        """Return the data that leaves the bucket when an instance starts."""
        return StartCost(self.model.total_bytes + self.kit.total_bytes)

    @property
    def fit(self) -> Fit | None:
        """Return the model's needs of a GPU, or None if its manifest does not describe the model."""
        return Fit.of(self.model.about, self.server.arguments, self.server.environment)

    @property
    def needs(self) -> Needs:
        """Return the needs of the image, vLLM's arguments and the model for driver and GPU."""
        return needs_of(self.server.image, self.server.arguments, self.model.about, self.requirements.min_cuda)

    def to_requirements(self) -> Requirements:
        """Return the requirements in the market's units."""
        weights_gb, hours = self.start_cost.bytes / GB, self.limits.expected_hours
        image = self.server.image
        hardware = self.disk_gb, weights_gb, hours, self.fit, image, self.needs, self.replicas
        least = self.requirements.min_seconds(self.market.time_scale)
        return replace(
            self.requirements.to_requirements(*hardware), min_seconds=least, time_scale=self.market.time_scale
        )

    def to_limits(self) -> Limits:
        """Return the bounds in seconds. Those that wait for the market's clock are scaled to it."""
        boot, connect = self.limits.boot_minutes * 60, self.limits.connect_minutes * 60
        weights_gb, host_key = self.start_cost.bytes / GB, Limits.host_key_seconds
        derived = start_time.longest_seconds(boot, connect, host_key, weights_gb, self.requirements.download_mbps)
        return Limits(
            attempts=self.limits.attempts,
            boot_seconds=boot,
            connect_seconds=connect,
            down_seconds=self.limits.down_minutes * 60,
            total_seconds=derived if self.limits.total_minutes is None else self.limits.total_minutes * 60,
        ).at(self.market.time_scale)


INPUT_KEYS = frozenset(field.alias or name for name, field in InstanceSettings.model_fields.items())
OUTPUT_KEYS = (
    "instanceId",
    "endpoint",
    "ssh",
    "usdPerHour",
    "chargedUsdPerHour",
    "hostKey",
    "machine",
    "certificateEnd",
    "phases",
    "attempts",
    "createdAt",
    "drift",
    "endsAt",
    "downSince",
    "warm",
    "account",
    old_state.WRITTEN_BY,
)


def invalid(error: ValidationError) -> SettingsInvalid:
    """Return an error with one line a field, without values."""
    rows = [f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors(include_input=False)]
    return SettingsInvalid("; ".join(rows))


def inputs_of(props: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs of a property map."""
    return {key: value for key, value in props.items() if key in INPUT_KEYS}
