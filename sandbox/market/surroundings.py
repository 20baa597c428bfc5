"""What every host of a market gets besides what was rented."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Surroundings:
    """See HostSpec for both."""

    inward: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    ca_pem: str = ""
