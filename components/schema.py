"""What a stack may say, as frozen models: every key with its type, default and meaning; anything else is refused.

The docs page docs/config.md is generated from them.
"""

import itertools
from typing import Any

from pydantic import BaseModel, Field, field_validator

from components.machine import Gpu, Preflight, Registry
from components.section import Section
from components.watching import Budget, Kubernetes, Metrics
from components.waves import Rollout
from providers.vast.regions import is_understood

FURTHEST_INDEX = 1_000_000


class Market(Section):
    """Where to rent."""

    url: str = Field("https://console.vast.ai", description="Base URL of the vast.ai API.")
    host_url: str = Field(
        "", alias="hostUrl", description="The same API as the instances reach it, where that is another URL."
    )
    time_scale: float = Field(
        1.0,
        alias="timeScale",
        gt=0,
        description="How many market seconds pass in one of ours; 1 on the real market, more in the sandbox.",
    )


class Store(Section):
    """The bucket that holds weights, kit and ledger."""

    endpoint: str = Field(description="URL of the S3 API as this machine reaches it.")
    host_endpoint: str | None = Field(
        None,
        alias="hostEndpoint",
        description="URL of the same store as the hosts reach it; presigned URLs are signed for it. Default: `endpoint`.",
    )
    region: str = Field(description="Region of the bucket, for example fsn1, nbg1 or hel1.")
    reference_url: str = Field(
        "",
        alias="referenceUrl",
        pattern=r"^(https?://[^\s@]+)?$",
        description="URL of a file of 10 MB or more, not in the store and near it. A host whose download is slow fetches "
        "a part of it: a good rate says that the store is slow, and the host is kept. Default: the host is compared with "
        "this machine.",
    )
    bucket: str = Field(
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="Name of the bucket; unique in the whole store.",
    )
    on_destroy: str = Field(
        "keep",
        alias="onDestroy",
        pattern="^(keep|empty)$",
        description="`keep` leaves bucket and blobs when the stack is destroyed (they go on costing); `empty` deletes "
        "them, and those of a model that is taken out of config.",
    )
    verify: str = Field(
        "sample",
        pattern="^(sizes|sample|full)$",
        description="What a refresh reads of the blobs: their sizes, one part of 64 MiB at random, or everything (egress).",
    )
    versioning: bool = Field(
        False, description="Whether the bucket keeps what was overwritten or deleted; it goes on costing."
    )


class Model(Section):
    """Weights by manifest."""

    manifest: str = Field(description="Path of the committed manifest, relative to the project.")
    source: str | None = Field(
        None,
        description="Folder with the files, from which missing blobs are uploaded. Default: beside the manifest.",
    )


class Fleet(Section):
    """A named group of like instances."""

    replicas: int = Field(1, ge=0, le=500, description="How many instances; 0 parks the fleet.")
    without: tuple[int, ...] = Field(
        (),
        description="Numbers that no instance has: `[1]` retires number 1. The count stays: 4 without 1 is 0, 2, 3 and 4.",
    )
    rollout: Rollout = Field(Rollout(), description="How changes go from one instance to the next.")
    model: str = Field(
        description="Which of `models` is served; clients ask for it by this name, which may be one such as `Org/Name:tag`."
    )
    gpu: Gpu = Field(description="Which GPUs.")
    max_usd_per_hour: float = Field(
        alias="maxUsdPerHour",
        gt=0,
        description="Most that one instance may cost an hour, all-in (GPU, disk, weights' download).",
    )
    over_ceiling: str = Field(
        "report",
        alias="overCeiling",
        pattern="^(report|replace)$",
        description="What follows if a landlord raises the price past `maxUsdPerHour`: `report` says so, `replace` takes "
        "another machine with the next `up`. A ceiling that you lower always replaces what costs more.",
    )
    image: str = Field(
        "vllm/vllm-openai:v0.32.0",
        description="Container image with vLLM; `NAME:TAG@sha256:DIGEST` pins it.",
    )
    registry: Registry | None = Field(None, description="Login for the registry of a private image.")
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
    reliability: float = Field(0.95, ge=0, le=1, description="Least reliability that the market reports, 0 to 1.")
    download_mbps: float = Field(
        200,
        alias="downloadMbps",
        ge=0,
        description="Least download rate in Mb/s, advertised and then measured.",
    )
    min_cuda: float = Field(
        0,
        alias="minCuda",
        ge=0,
        description="Least CUDA version that the driver supports; 0: what the image needs, as far as its name says.",
    )
    hosting: str = Field(
        "any", pattern="^(any|datacenter)$", description="`datacenter`: only machines in data centres, by the market."
    )
    cpu_cores: float = Field(
        0, alias="cpuCores", ge=0, description="Least processors of the rented slice, advertised and then seen."
    )
    memory_gb: float = Field(
        0, alias="memoryGb", ge=0, description="Least memory of the rented slice in GB, advertised and then seen."
    )
    preflight: Preflight = Field(Preflight(), description="What a machine must show before the download.")
    regions: tuple[str, ...] = Field(
        (),
        description="Countries in which a machine may stand: two letters in any case, English names, or `EU`; empty: "
        "anywhere.",
    )
    verified: bool = Field(True, description="Only machines that the market has verified.")
    min_days: float = Field(
        1,
        alias="minDays",
        ge=0,
        description="Least days that an instance may stay. Offers last one day more, as it is replaced in its last day; 0: "
        "no bound.",
    )
    disk_gb: int | None = Field(
        None,
        alias="diskGb",
        ge=8,
        description="Disk in GB, fixed for life. Default: twice the weights plus 16.",
    )

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


class Limits(Section):
    """Bounds of bringing one instance online."""

    attempts: int = Field(3, ge=1, le=25, description="Offers that are tried before giving up.")
    boot_minutes: float = Field(
        40,
        alias="bootMinutes",
        gt=0,
        description="From rent to running; half as long again while the market's message about the boot still changes.",
    )
    connect_minutes: float = Field(5, alias="connectMinutes", gt=0, description="From running to the first SSH login.")
    total_minutes: float | None = Field(
        None,
        alias="totalMinutes",
        gt=0,
        description="All attempts together. Default: by the weights' size and `downloadMbps`, 120 at least.",
    )
    expected_hours: float = Field(
        8, alias="expectedHours", gt=0, description="Hours over which the download's price is spread."
    )
    down_minutes: float = Field(
        15,
        alias="downMinutes",
        gt=0,
        description="How long a machine that is down is waited for; then another takes its place, if its endpoint is silent.",
    )
    rents_per_hour: int = Field(
        200,
        alias="rentsPerHour",
        ge=1,
        description="Most rents an hour on the account, all stacks and computers together; past it renting stops.",
    )


class Rotation(Section):
    """Counters; raising one renews what it names, in place."""

    tokens: int = Field(0, ge=0, description="Bearer tokens of all instances.")
    ssh: int = Field(0, ge=0, description="The stack's SSH key; the `up` after it locks the old one out.")
    certificates: int = Field(0, ge=0, description="Leaf certificates of all instances.")
    ca: int = Field(
        0,
        ge=0,
        description="Certificate of the stack's CA, under the same key: clients with the old one go on until it ends. In its "
        "last half year any update renews it.",
    )


class StackConfig(Section):
    """Everything that a stack may say."""

    market: Market = Field(Market(), description="Where to rent.")
    store: Store = Field(description="The bucket for weights, kit and ledger.")
    models: dict[str, Model] = Field(default_factory=dict, description="Models by name.")
    fleets: dict[str, Fleet] = Field(default_factory=dict, description="Fleets by name.")
    limits: Limits = Field(Limits(), description="Bounds of bringing one instance online.")
    budget: Budget = Field(Budget(), description="What the fleets may cost.")
    metrics: Metrics | None = Field(None, description="Where hosts report to.")
    kubernetes: Kubernetes | None = Field(None, description="The cluster that monitors.")
    rotation: Rotation = Field(Rotation(), description="Counters that renew secrets in place.")


SECTIONS: dict[str, type[BaseModel]] = {  # by the path of their keys
    "market": Market,
    "store": Store,
    "models.<name>": Model,
    "fleets.<name>": Fleet,
    "fleets.<name>.gpu": Gpu,
    "fleets.<name>.rollout": Rollout,
    "fleets.<name>.registry": Registry,
    "fleets.<name>.preflight": Preflight,
    "limits": Limits,
    "budget": Budget,
    "metrics": Metrics,
    "kubernetes": Kubernetes,
    "rotation": Rotation,
}
