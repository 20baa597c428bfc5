"""Files onto a host, through a store that is slow or in trouble: a machine is given back only where its own line is at fault.

A machine is accused twice before it is given back, because what other hosts fetch comes and goes between two measurements.
What was long ago does not count: a store that gave something in between was up, and a line that did well is accused anew.
What began while the store was in trouble accuses nobody, and trouble of the store takes back what was said before it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from bootstrap.clock import Clock
from bootstrap.errors import FetchFailed, PreflightFailed, StoreDown, TookTooLong
from bootstrap.fetch import RATE_AFTER_SECONDS, Fetched, fetch, reference_mbps
from bootstrap.host import Host
from bootstrap.slow_download import FAR_LESS, Rates, store_to_blame
from bootstrap.spec import EndpointSpec
from weights.manifest import Manifest

ACCUSATIONS = 2
AGAIN_AFTER_SECONDS = 60.0  # a download that is slow through the store is judged again after this long
OUTAGE = 10  # times the patience, which is 15 minutes: so long a store that is down is waited for
PAUSE_SECONDS = 1.0
SIGN_OF_LIFE_MBPS = 1.0  # over a minute; a store in trouble gives a few blocks now and then


class Store(Protocol):
    """What is asked about the store besides URLs."""

    def presign(self, sha256: str, seconds: int) -> str:
        """Return a URL by which a host may fetch a blob for some seconds."""

    def store_trouble(self) -> str:
        """Say why this machine cannot reach the store either; empty where it can."""

    def store_mbps(self, sha256: str, size: int) -> float | None:
        """Return the rate in Mb/s at which this machine gets a blob of the store; None where it gets nothing."""


@dataclass
class HostTransfer:
    """One manifest on its way to one host. `say` takes one line for people."""

    host: Host
    spec: EndpointSpec
    manifest: Manifest
    store: Store
    clock: Clock
    say: Callable[[str], None]
    accused: int = 0
    blamed: str = ""  # why the store is to blame at the moment
    down_since: float | None = None

    def to(self, target: str) -> Fetched:
        """Fetch into a folder of the host. Raises what `fetch` raises, and StoreDown."""
        least, patience = self.spec.preflight.download_mbps, self.spec.store_patience_seconds
        try:
            while True:
                after = AGAIN_AFTER_SECONDS if self.blamed else RATE_AFTER_SECONDS
                try:
                    done = fetch(
                        self.host, self.spec.name, self.manifest, self.store.presign, target, least, patience, after
                    )
                    return done if self._is_of_the_line(done.mbps) else replace(done, mbps=None)
                except PreflightFailed as error:
                    self._slow(error)
                except FetchFailed as error:
                    self._broken(error)
                self.clock.sleep(PAUSE_SECONDS)
        except TookTooLong as error:
            if not self.blamed:
                raise
            raise StoreDown(f"{self.spec.name}: {error}. Until then the store was in the way: {self.blamed}") from None

    def _forget(self, came_bytes: int) -> None:
        """Forget troubles after which so much came."""
        rate = came_bytes * 8 / 1e6 / AGAIN_AFTER_SECONDS
        if rate >= SIGN_OF_LIFE_MBPS:
            self.down_since = None
        if rate >= max(SIGN_OF_LIFE_MBPS, self.spec.preflight.download_mbps):
            self.accused = 0

    def _is_of_the_line(self, mbps: float | None) -> bool:
        """Say whether a rate tells of the host's line: not if it is far below the advertised, and the store may be why."""
        least = self.spec.advertised_mbps / FAR_LESS
        if self.blamed or mbps is None or mbps >= least:
            return not self.blamed
        return not self._why_the_store(mbps, least)

    def _why_the_store(self, mbps: float, least: float) -> str:
        largest = max(self.manifest.files, key=lambda file: file.size)
        elsewhere = reference_mbps(self.host, self.spec.reference_url)
        here = self.store.store_mbps(largest.sha256, largest.size) if elsewhere is None else None
        return store_to_blame(Rates(mbps, least, elsewhere, here))

    def _slow(self, error: PreflightFailed) -> None:
        if error.reason != "slow" or error.mbps is None:
            raise error
        self._forget(error.came_bytes)
        if why := self._why_the_store(error.mbps, self.spec.preflight.download_mbps):
            self._blame(why)
            self.say(f"slow, {error.mbps:.1f} Mb/s, and the store may be why: {self.blamed}; the host is kept")
        else:
            self._accuse(error)

    def _broken(self, error: FetchFailed) -> None:
        if not error.line:
            raise error
        self._forget(error.came_bytes)
        trouble = self.store.store_trouble()
        if not trouble and not error.store_said:
            self._accuse(error)
            return
        self._blame(trouble or "it answers the host with errors")
        now = self.clock.monotonic()
        if self.down_since is None:
            self.down_since = now
        if now - self.down_since >= OUTAGE * self.spec.store_patience_seconds:
            raise StoreDown(f"{error}. {trouble}".rstrip(" .") + ".")
        self.say(f"{error}. The store is in trouble: the host is kept, and asks again")

    def _blame(self, why: str) -> None:
        self.blamed, self.accused = why, 0

    def _accuse(self, error: PreflightFailed | FetchFailed) -> None:
        if self.blamed:
            self.say(f"{error}; when it began, the store was in the way: {self.blamed}; the host is kept")
            self.blamed = ""
            return
        self.accused += 1
        if self.accused == ACCUSATIONS:
            raise error
        self.say(f"{error}; tried once more before the machine is given back")
