"""The section `fleets` of stack config."""

import itertools
from typing import Any

from pydantic import Field, field_validator, model_validator

from config.elastic import Elastic, Replicas
from config.gpu import GpuConfig
from config.lease import LeaseConfig
from config.preflight import PreflightConfig
from config.regions import is_understood
from config.registry import RegistryConfig
from config.requirements import RequirementsConfig
from config.rollout import RolloutConfig

FURTHEST_INDEX = 1_000_000
SLOT_LEASE_MINUTES = 15.0


class FleetConfig(RequirementsConfig):
    """A named group of like instances."""

    replicas: Replicas = Field(
        1,
        description="How many instances; 0 parks the fleet. Bounds (`min`, `max`) in place of a number make the fleet "
        "elastic: the controller starts and ends its instances.",
    )
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
        description="Keep vLLM's compiled files for the next start on the same machine, or on any if their digest is pinned.",
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
        description="A host without a request for so long ends itself, and costs nothing any more; the next `up` rents "
        "another. Default: never.",
    )
    max_hours: float | None = Field(
        None,
        alias="maxHours",
        gt=0,
        description="A host ends itself so long after it was rented, busy or not. Default: never.",
    )
    lease: LeaseConfig | None = Field(
        None,
        description="Let an idle host end itself unless somebody renews its lease. Default: never, and 15 minutes in an "
        "elastic fleet, whose controller renews it.",
    )

    @property
    def elastic(self) -> Elastic | None:
        """The bounds of an elastic fleet; None for a fixed one."""
        return self.replicas if isinstance(self.replicas, Elastic) else None

    @property
    def most(self) -> int:
        """How many instances the fleet has, or may have if it is elastic."""
        return self.replicas.max if isinstance(self.replicas, Elastic) else self.replicas

    @property
    def indexes(self) -> tuple[int, ...]:
        """The numbers of a fixed fleet's instances, ascending: the first ones that `without` does not name.

        An elastic fleet has none: the controller numbers its instances.
        """
        if self.elastic:
            return ()
        kept = (index for index in itertools.count() if index not in self.without)
        return tuple(itertools.islice(kept, self.most))

    @property
    def lease_minutes(self) -> float | None:
        """How long a lease of a host lasts; None if its hosts need none."""
        if self.lease:
            return self.lease.minutes
        return SLOT_LEASE_MINUTES if self.elastic else None

    @model_validator(mode="after")
    def _numbers_are_of_fixed_fleets(self) -> "FleetConfig":
        if self.elastic and self.without:
            raise ValueError("without is for a fleet with a number of replicas; the controller numbers an elastic one")
        return self

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
