"""The section `policy` of stack config: the rules by which a review judges an edit."""

from typing import Literal

from pydantic import Field, field_validator

from config.base import Section
from config.regions import countries, is_understood

Budget = Literal["ignore", "warn", "refuse"]


class PolicyConfig(Section):
    """Rules for edits of stack config. A review takes them from the base branch. Without this section it judges nothing.

    The review refuses an edit that makes something worse. It only warns of faults that the base branch has already.
    """

    verified_hosts: bool = Field(
        False, alias="verifiedHosts", description="Whether each fleet must ask for verified machines."
    )
    pinned_images: bool = Field(
        False, alias="pinnedImages", description="Whether each fleet's image must be `NAME:TAG@sha256:DIGEST`."
    )
    regions: tuple[str, ...] = Field(
        (),
        description="Regions that fleets may ask for, spelled as in a fleet; each fleet must then name its own. Empty: any.",
    )
    gpus: tuple[str, ...] = Field(
        (), description="GPUs that fleets may ask for, in any spelling; a family such as `H100` is fine. Empty: any."
    )
    max_usd_per_hour: float | None = Field(
        None, alias="maxUsdPerHour", gt=0, description="Highest `maxUsdPerHour` of a fleet. Default: any."
    )
    max_fleet_usd_per_hour: float | None = Field(
        None,
        alias="maxFleetUsdPerHour",
        gt=0,
        description="Most that one fleet may cost an hour, if each instance costs its `maxUsdPerHour`. Default: any.",
    )
    max_replicas: int | None = Field(
        None,
        alias="maxReplicas",
        ge=0,
        description="Most instances of one fleet; `replicas.max` of an elastic one. Default: any.",
    )
    manifests: bool = Field(
        False,
        description="Whether each served model's manifest must be committed, say what the model is, and hold no file that "
        "runs code when vLLM loads it.",
    )
    budget: Budget = Field(
        "warn", description="What follows if the fleets, each at its ceiling, would cost more than `budget` allows."
    )

    @property
    def countries(self) -> frozenset[str]:
        """The allowed regions as the market's two-letter countries; empty for any."""
        return frozenset(countries(self.regions))

    @field_validator("regions")
    @classmethod
    def _understood(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        if strange := [region for region in regions if not is_understood(region)]:
            raise ValueError(f"{', '.join(strange)} is not understood; write countries such as US or Germany, or EU")
        return regions
