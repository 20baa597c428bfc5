"""A provider whose creates end only when so many of them run at once in one process."""

import threading
from typing import Any

from pulumi.dynamic import ConfigureRequest, CreateResult, ResourceProvider

from providers.wide_pool import widen

GATHERED = 12  # three times what the SDK serves at once
_MET = threading.Barrier(GATHERED)


class GatheringProvider(ResourceProvider):
    """Needs GATHERED calls at once; `WIDE` says whether it makes room for them."""

    WIDE = True

    def configure(self, _req: ConfigureRequest) -> None:
        """Make room."""
        if self.WIDE:
            widen()

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Wait for the others; fails if they do not come."""
        _MET.wait(float(props["seconds"]))
        return CreateResult("met", dict(props))


class NarrowProvider(GatheringProvider):
    """Leaves the process as the SDK makes it."""

    WIDE = False
