"""The model of `standing.json`: the instances that a stack runs and their cost, without any secret.

`apply` publishes it after each update, so that a review needs neither the stack's state nor a passphrase. It holds an
allow-list of fields. Environment values, tokens, keys and addresses are not among them.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from providers.vast.changes import Machine
from providers.vast.settings import InstanceSettings, RequirementSettings
from review.marks import marks_of

VERSION = 1
MOST_BYTES = 8 * 2**20


class StandingUnreadable(ValueError):
    """The file is no `standing.json`. The message is a sentence for the operator."""


class Part(BaseModel):
    """A part of the file. It leaves aside what a newer version wrote."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Recorded(Part):
    """The settings with which an instance was made or last changed.

    `marks`: digests of further groups of settings. `kit_bytes`: the size of its kit; None in a file of an older version.
    """

    wishes: dict[str, Any]
    disk_gb: int
    image: str
    model: str
    model_digest: str
    kit_digest: str = ""
    kit_bytes: int | None = None
    certificate_epoch: int = 0
    marks: dict[str, str] = Field(default_factory=dict)


class StandingInstance(Part):
    """One instance of state. A fact is None, empty or 0 if unknown. Prices in US dollars an hour, disk in GB.

    `usd_per_hour` is the price at the rent, `charged_usd_per_hour` the present one. `phases`: seconds of the last start.
    `replaced_by_drift` and `mended_by_drift`: what the next `up` does because of what a refresh found.
    """

    name: str = Field(min_length=1, max_length=100)
    fleet: str = Field(min_length=1, max_length=100)
    slot: bool = False
    instance_id: int | None = None
    machine_id: int | None = None
    gpu_name: str = ""
    gpu_count: int = 0
    disk_gb: float = 0.0
    country: str = ""
    usd_per_hour: float | None = None
    charged_usd_per_hour: float | None = None
    phases: dict[str, float] = Field(default_factory=dict)
    created_at: float | None = None
    ends_at: float | None = None
    drift: tuple[str, ...] = ()
    replaced_by_drift: bool = False
    mended_by_drift: bool = False
    recorded: Recorded | None = None

    @property
    def pays(self) -> float | None:
        """The instance's cost in US dollars an hour: the charge, else the price at the rent."""
        return self.usd_per_hour if self.charged_usd_per_hour is None else self.charged_usd_per_hour

    @property
    def machine(self) -> Machine:
        """The machine in the terms of the rules of `up`."""
        return Machine(
            self.gpu_name,
            self.gpu_count,
            self.disk_gb,
            self.usd_per_hour or 0.0,
            self.country,
            self.charged_usd_per_hour,
        )


class Standing(Part):
    """The instances that a stack runs. `at`: unix seconds when it was written. `rotation`: the counters as last applied.

    `kit` is the digest of the kit's sources, `program` that of the program; empty if unknown. `spent_this_month`: US dollars
    of the UTC month of `at`, None if unknown. `machines`: ids of the machines that the ledger knows; None if it was not
    read. `unreadable` counts rows that were left aside.
    """

    version: Literal[1] = 1
    stack: str = Field(min_length=1)
    at: float = Field(ge=0)
    kit: str = ""
    program: str = ""
    rotation: dict[str, int] = Field(default_factory=dict)
    spent_this_month: float | None = None
    machines: tuple[int, ...] | None = None
    instances: tuple[StandingInstance, ...] = ()
    unreadable: int = 0

    @property
    def by_name(self) -> Mapping[str, StandingInstance]:
        """The instances by name."""
        return {one.name: one for one in self.instances}

    @property
    def known_machines(self) -> frozenset[int] | None:
        """The machines that the stack has rented; None if the ledger was not read."""
        if self.machines is None:
            return None
        return frozenset(self.machines) | {one.machine_id for one in self.instances if one.machine_id is not None}

    @property
    def kit_bytes(self) -> int | None:
        """The size of the kit that a start fetches, the largest of those that run; None if unknown."""
        sizes = [
            one.recorded.kit_bytes for one in self.instances if one.recorded and one.recorded.kit_bytes is not None
        ]
        return max(sizes, default=None)

    def to_json(self) -> str:
        """Return the text of the file."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), indent=1) + "\n"


def read_standing(text: str) -> Standing:
    """Read a file. One bad row is left aside and counted. Raises StandingUnreadable."""
    if len(text) > MOST_BYTES:
        raise StandingUnreadable(f"it has more than {MOST_BYTES // 2**20} MB")
    try:
        found = json.loads(text)
        rows = found.pop("instances", [])
        instances = [row for row in map(_row, rows if isinstance(rows, list) else []) if row]
        left = len(rows) - len(instances) if isinstance(rows, list) else 1
        return Standing.model_validate(
            {**found, "instances": instances, "unreadable": left + int(found.get("unreadable") or 0)}
        )
    except ValidationError as error:
        raise StandingUnreadable("; ".join(map(_sentence, _rows(error)))) from None
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise StandingUnreadable("it is no JSON object of `gpu-fleet standing`") from None


def _rows(error: ValidationError) -> Any:
    return error.errors(include_input=False, include_url=False)


def _sentence(row: Any) -> str:
    return f"{'.'.join(map(str, row['loc']))}: {row['msg']}"


def _row(row: Any) -> StandingInstance | None:
    try:
        return StandingInstance.model_validate(row)
    except ValidationError:
        return None


def recorded_of(settings: InstanceSettings) -> Recorded:
    """Return what a state's settings say, without secrets."""
    return Recorded(
        wishes=settings.requirements.model_dump(mode="json", by_alias=True),
        disk_gb=settings.disk_gb,
        image=settings.server.image,
        model=settings.server.model_name,
        model_digest=settings.model.digest,
        kit_digest=settings.kit.digest,
        kit_bytes=settings.kit.total_bytes,
        certificate_epoch=settings.access.certificate_epoch,
        marks=marks_of(settings),
    )


def wishes_of(recorded: Recorded) -> RequirementSettings | None:
    """Return the recorded requirements; None if this version cannot read them."""
    try:
        return RequirementSettings.model_validate(recorded.wishes)
    except ValidationError:
        return None
