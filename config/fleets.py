"""The section `fleets` of stack config."""

import itertools
from typing import Any

from pydantic import Field, field_validator

from config.gpu import GpuConfig
from config.lease import LeaseConfig
from config.preflight import PreflightConfig
from config.regions import is_understood
from config.registry import RegistryConfig
from config.requirements import RequirementsConfig
from config.rollout import RolloutConfig

FURTHEST_INDEX = 1_000_000


class FleetConfig(RequirementsConfig):
    """A named group of like instances."""

    replicas: int = Field(1, ge=0, le=500, description="How many instances; 0 parks the fleet.")
    without: tuple[int, ...] = Field(
        (),
        description="Numbers that no instance has: `[1]` retires number 1. The count stays: 4 without 1 is 0, 2, 3 and 4.",
    )
    rollout: RolloutConfig = Field(RolloutConfig(), description="How changes go from one instance to the next.")
    model: str = Field(
        description="Which of `models` is served; clients ask for it by this name, which may be one such as `Org/Name:tag`."
    )
    gpu: GpuConfig = Field(description="Which GPUs.")
    image: str = Field(
        "vllm/vllm-openai:v0.32.0",
        description="Container image with vLLM; `NAME:TAG@sha256:DIGEST` pins it.",
    )
    registry: RegistryConfig | None = Field(None, description="Login for the registry of a private image.")
    vllm_arguments: tuple[str, ...] = Field(
        (),
        alias="vllmArguments",
        description="Arguments for vLLM beyond model, host and port; each item is one option or one value.",
    )
    environment: dict[str, str] = Field(
        default_factory=dict,
        description="Environment for vLLM; set secret ones by `pulumi config set --secret --path`.",
    )

    warm_start: bool = Field(
        False,
        alias="warmStart",
        description="Keep what vLLM compiled for the next start on the same machine, or on any where its digest is pinned.",
    )
    hosting: str = Field(
        "any", pattern="^(any|datacenter)$", description="`datacenter`: only machines in data centres, by the market."
    )
    preflight: PreflightConfig = Field(PreflightConfig(), description="What a machine must show before the download.")
    disk_gb: int | None = Field(
        None,
        alias="diskGb",
        ge=8,
        description="Disk in GB, fixed for life. Default: twice the weights plus 16.",
    )

    idle_minutes: float | None = Field(
        None,
        alias="idleMinutes",
        gt=0,
        description="A host that served nobody for so long ends itself, and costs nothing any more; the next `up` rents "
        "another. Default: never.",
    )
    max_hours: float | None = Field(
        None,
        alias="maxHours",
        gt=0,
        description="A host ends itself so long after it was rented, busy or not. Default: never.",
    )
    lease: LeaseConfig | None = Field(None, description="Let an idle host end itself unless somebody renews its lease.")

    @property
    def indexes(self) -> tuple[int, ...]:
        """The numbers of the instances, ascending: the first ones that `without` does not name."""
        kept = (index for index in itertools.count() if index not in self.without)
        return tuple(itertools.islice(kept, self.replicas))

    @field_validator("without")
    @classmethod
    def _numbers(cls, without: tuple[int, ...]) -> tuple[int, ...]:
        if strange := [index for index in without if not 0 <= index < FURTHEST_INDEX]:
            raise ValueError(
                f"{', '.join(map(str, strange))} is no number of an instance; chat-1 has the number 1, and the first has 0"
            )
        return without

    @field_validator("regions")
    @classmethod
    def _understood(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        if strange := [region for region in regions if not is_understood(region)]:
            raise ValueError(
                f"{', '.join(strange)} is not understood; write two-letter countries such as US, names such as Germany, or EU"
            )
        return regions

    @field_validator("environment", mode="before")
    @classmethod
    def _switches_are_words(cls, value: Any) -> Any:
        """`pulumi config set --path` takes `true` for a switch; a variable is a text."""
        if not isinstance(value, dict):
            return value
        return {name: str(item).lower() if isinstance(item, bool) else item for name, item in value.items()}
