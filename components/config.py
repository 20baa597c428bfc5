"""Stack config as frozen models: every key with its type, default, meaning and advice; anything else is refused.

The docs page docs/config.md is generated from these models. Secrets are not here: they are read apart (`secrets`), because
one secure leaf would make its whole key secret.
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bootstrap.spec import argument_problems, variable_problems

PROJECT = "gpu-fleet"
FLEET_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")


class ConfigError(Exception):
    """Stack config that cannot be used; the message names each key, what is wrong with it, and what to do."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, strict=False)


class Market(_Section):
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


class Store(_Section):
    """The bucket that holds weights, kit and ledger."""

    endpoint: str = Field(description="URL of the S3 API as this machine reaches it.")
    host_endpoint: str | None = Field(
        None,
        alias="hostEndpoint",
        description="URL of the same store as the hosts reach it; presigned URLs are signed for it. Default: `endpoint`.",
    )
    region: str = Field(description="Region of the bucket, for example fsn1, nbg1 or hel1.")
    bucket: str = Field(
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="Name of the bucket; unique in the whole store.",
    )
    on_destroy: str = Field(
        "keep",
        alias="onDestroy",
        pattern="^(keep|empty)$",
        description="`keep` leaves bucket and blobs when the stack is destroyed (they go on costing); `empty` deletes them.",
    )


class Model(_Section):
    """Weights by manifest."""

    manifest: str = Field(description="Path of the committed manifest, relative to the project.")
    source: str | None = Field(
        None,
        description="Folder with the files, from which missing blobs are uploaded. Default: beside the manifest.",
    )


class Gpu(_Section):
    """Which GPUs an instance has."""

    name: tuple[str, ...] = Field(
        description="GPU name as the market spells it, such as `RTX 4090`, or a list of them."
    )
    count: int = Field(1, ge=1, description="GPUs an instance.")
    ram_gb: float = Field(0, alias="ramGb", ge=0, description="Least memory a GPU, in GB.")

    @field_validator("name", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class Fleet(_Section):
    """A named group of like instances."""

    replicas: int = Field(1, ge=0, le=500, description="How many instances; 0 parks the fleet.")
    model: str = Field(description="Which of `models` is served.")
    gpu: Gpu = Field(description="Which GPUs.")
    max_usd_per_hour: float = Field(
        alias="maxUsdPerHour",
        gt=0,
        description="Most that one instance may cost an hour, all-in (GPU, disk, weights' download).",
    )
    image: str = Field("vllm/vllm-openai:v0.32.0", description="Container image with vLLM.")
    vllm_arguments: tuple[str, ...] = Field(
        (), alias="vllmArguments", description="Arguments for vLLM beyond model, host and port."
    )
    environment: dict[str, str] = Field(default_factory=dict, description="Environment for vLLM; no secrets here.")
    reliability: float = Field(0.95, ge=0, le=1, description="Least reliability that the market reports, 0 to 1.")
    download_mbps: float = Field(
        200,
        alias="downloadMbps",
        ge=0,
        description="Least download rate in Mb/s, advertised and then measured.",
    )
    min_cuda: float = Field(0, alias="minCuda", ge=0, description="Least CUDA version that the driver supports.")
    regions: tuple[str, ...] = Field(
        (), description="Two-letter countries in which a machine may stand; empty: anywhere."
    )
    verified: bool = Field(True, description="Only machines that the market has verified.")
    disk_gb: int | None = Field(
        None,
        alias="diskGb",
        ge=8,
        description="Disk in GB, fixed for life. Default: twice the weights plus 16.",
    )


class Limits(_Section):
    """Bounds of bringing one instance online."""

    attempts: int = Field(3, ge=1, le=25, description="Offers that are tried before giving up.")
    boot_minutes: float = Field(15, alias="bootMinutes", gt=0, description="From rent to running.")
    connect_minutes: float = Field(5, alias="connectMinutes", gt=0, description="From running to the first SSH login.")
    total_minutes: float = Field(45, alias="totalMinutes", gt=0, description="All attempts together.")
    expected_hours: float = Field(
        8, alias="expectedHours", gt=0, description="Hours over which the download's price is spread."
    )
    rents_per_hour: int = Field(
        200,
        alias="rentsPerHour",
        ge=1,
        description="Most rents an hour on the account, all stacks of this machine together; past it renting stops.",
    )


class Rotation(_Section):
    """Counters; raising one renews what it names, in place."""

    tokens: int = Field(0, ge=0, description="Bearer tokens of all instances.")
    ssh: int = Field(0, ge=0, description="The stack's SSH key.")
    certificates: int = Field(0, ge=0, description="Leaf certificates of all instances.")


class StackConfig(_Section):
    """Everything that a stack may say."""

    market: Market = Field(Market(), description="Where to rent.")
    store: Store = Field(description="The bucket for weights, kit and ledger.")
    models: dict[str, Model] = Field(default_factory=dict, description="Models by name.")
    fleets: dict[str, Fleet] = Field(default_factory=dict, description="Fleets by name.")
    limits: Limits = Field(Limits(), description="Bounds of bringing one instance online.")
    rotation: Rotation = Field(Rotation(), description="Counters that renew secrets in place.")


SECRETS = {
    "vastApiKey": "Key of the vast.ai account (scopes: misc, instance_read, instance_write, user_read).",
    "storeAccessKey": "Access key of the object store.",
    "storeSecretKey": "Secret key of the object store.",
}


class Source(Protocol):
    """What is needed of `pulumi.Config`."""

    def get(self, key: str) -> str | None:
        """Return a plain value."""

    def get_object(self, key: str) -> Any:
        """Return a structured value."""


def load(source: Source, known: set[str], project: Path) -> StackConfig:
    """Read and validate the whole stack config.

    `known` are the project's own config keys that are set (without namespace), so that a misspelt one is refused. Raises
    ConfigError.
    """
    sections = set(StackConfig.model_fields)
    mistakes = [_unknown(key, sections | set(SECRETS)) for key in sorted(known - sections - set(SECRETS))]
    raw: dict[str, Any] = {}
    for key in sorted(sections & known):
        try:
            raw[key] = source.get_object(key)
        except Exception:  # noqa: BLE001 -- pulumi raises its own type, which this room's callers need not know
            mistakes.append(f"{PROJECT}:{key} must be a structured value (YAML mapping), not {source.get(key)!r}.")
    try:
        config = StackConfig.model_validate(raw)
    except ValidationError as error:
        mistakes += [
            _mistake(row) for row in error.errors() if row["loc"][0] not in {m.split(":")[-1] for m in mistakes}
        ]
    else:
        mistakes += _contradictions(config, project)
    if mistakes:
        raise ConfigError(_told(mistakes))
    return config


def given_keys(config: Mapping[str, str]) -> set[str]:
    """Return which of our keys a stack gives a value, from its whole config by key, namespaces included."""
    own = f"{PROJECT}:"
    return {key.removeprefix(own) for key, value in config.items() if key.startswith(own) and value}


def refusals(present: set[str], market_url: str, passphrase: str | None) -> list[str]:
    """Return a sentence, with the exact command, for each secret that the stack lacks or that everybody knows."""
    found = [
        f"{PROJECT}:{key} is not set. {meaning} Set it with: pulumi config set --secret {PROJECT}:{key}"
        for key, meaning in SECRETS.items()
        if key not in present
    ]
    host = urlsplit(market_url).hostname or ""
    if passphrase == "sandbox" and host not in {"127.0.0.1", "localhost", "::1"}:  # noqa: S105 -- public by design
        found.append(
            "PULUMI_CONFIG_PASSPHRASE is the sandbox's, which everybody knows, and this stack rents on a real market. Choose "
            "one of your own: export PULUMI_CONFIG_PASSPHRASE=..., then pulumi stack change-secrets-provider passphrase"
        )
    return found


def _told(mistakes: list[str]) -> str:
    if len(mistakes) == 1:
        return f"Stack config: {mistakes[0]}"
    return "\n".join(["Stack config has mistakes:", *(f"  {mistake}" for mistake in mistakes)])


def _unknown(key: str, known: set[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {PROJECT}:{near[0]}?" if near else f"known keys are {', '.join(sorted(known))}."
    return f"{PROJECT}:{key} is not a known key; {hint}"


def _mistake(row: Any) -> str:
    *parents, last = row["loc"]
    path = f"{PROJECT}:" + ".".join(str(part) for part in row["loc"])
    if row["type"] == "extra_forbidden":
        model = _model_at([str(part) for part in parents])
        names = {field.alias or name for name, field in model.model_fields.items()} if model else set()
        near = difflib.get_close_matches(str(last), names, n=1, cutoff=0.5)
        return f"{path} is not a known key; " + (
            f"did you mean {near[0]}?" if near else f"known keys here are {', '.join(sorted(names))}."
        )
    if row["type"] == "missing":
        return f"{path} is missing; set it with: pulumi config set --path '{path}' VALUE"
    shown = row["input"] if isinstance(row["input"], str | int | float | bool) else type(row["input"]).__name__
    return f"{path} is {shown!r}: {row['msg'][0].lower()}{row['msg'][1:]}."


def _model_at(path: list[str]) -> type[BaseModel] | None:
    steps: dict[str, type[BaseModel]] = {
        "market": Market,
        "store": Store,
        "limits": Limits,
        "rotation": Rotation,
    }
    if not path:
        return StackConfig
    if path[0] == "models":
        return Model
    if path[0] == "fleets":
        return Gpu if path[-1] == "gpu" else Fleet
    return steps.get(path[0])


def _contradictions(config: StackConfig, project: Path) -> list[str]:
    mistakes = []
    for name, fleet in config.fleets.items():
        path = f"{PROJECT}:fleets.{name}"
        if not FLEET_NAME.match(name) or len(name) > 40:
            mistakes.append(f"{path}: a fleet's name is lower-case letters, digits and single dashes, at most 40.")
        if fleet.model not in config.models:
            known = ", ".join(sorted(config.models)) or "none yet"
            mistakes.append(
                f"{path}.model is {fleet.model!r}, which {PROJECT}:models does not name (known: {known}). "
                "Make a manifest with `python -m providers.store.manifest FOLDER` and add it to models."
            )
        problems = [*argument_problems(fleet.vllm_arguments), *variable_problems(tuple(fleet.environment.items()))]
        mistakes += [f"{path}: {problem}" for problem in problems]
    for name, model in config.models.items():
        if not (project / model.manifest).is_file():
            mistakes.append(
                f"{PROJECT}:models.{name}.manifest is {model.manifest!r}, and there is no such file in the project. "
                "Make it with `python -m providers.store.manifest FOLDER`."
            )
    return mistakes
