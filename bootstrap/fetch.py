"""Fetch a manifest's files onto a host from a store that may be slow or down. Gives up only on a host with a bad line.

A machine is given back after two accusations in a row, because other hosts' downloads come and go between two measurements.
Accusations expire: enough bytes since then prove that the store was up, and a line that did well starts at zero.
A download that began while the store was in trouble accuses no machine. Trouble of the store withdraws earlier accusations.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from bootstrap.clock import Clock
from bootstrap.context import HostContext
from bootstrap.download import RATE_AFTER_SECONDS, Fetched, download, reference_mbps
from bootstrap.errors import FetchFailed, PreflightFailed, StoreDown, TookTooLong
from bootstrap.host import Host
from bootstrap.services import Store
from bootstrap.slow_download import FAR_LESS, Rates, store_to_blame
from bootstrap.spec import EndpointSpec
from weights.manifest import Manifest

ACCUSATIONS = 2  # in a row, then the machine is given back
AGAIN_AFTER_SECONDS = 60.0  # before the rate of a download through a slow store is judged again
OUTAGE = 10  # times the patience, 15 minutes by default: how long to wait for a store that is down
PAUSE_SECONDS = 1.0
SIGN_OF_LIFE_MBPS = 1.0  # over AGAIN_AFTER_SECONDS; a store in trouble gives a few blocks now and then


def fetch_model(context: HostContext) -> None:
    """Fetch the weights into a folder of their own, beside those of another version."""
    fetch_manifest(context, "fetch weights", context.spec.model, context.spec.model_folder)


def fetch_manifest(context: HostContext, phase: str, manifest: Manifest, target: str) -> None:
    """Fetch a manifest's files into the folder `target` and note the download rate. Raises as HostTransfer.to does."""

    def report_progress(text: str) -> None:
        context.report_progress(phase, text)

    transfer = HostTransfer(context.host, context.spec, manifest, context.services, context.clock, report_progress)
    done = transfer.to(target)
    context.download_mbps = done.mbps or context.download_mbps
    report_progress(done.text)


@dataclass
class HostTransfer:
    """Carry one manifest to one host. `report_progress` takes one line for people."""

    host: Host
    spec: EndpointSpec
    manifest: Manifest
    store: Store
    clock: Clock
    report_progress: Callable[[str], None]
    accusations: int = 0  # of this machine, in a row
    store_problem: str = ""  # why the store is to blame at the moment
    down_since: float | None = None  # when the store stopped answering, in monotonic seconds

    def to(self, target: str) -> Fetched:
        """Fetch into a folder of the host. Raises the errors of `download`, and StoreDown."""
        least, patience = self.spec.preflight.download_mbps, self.spec.store_patience_seconds
        presign = self.store.presign
        try:
            while True:
                after = AGAIN_AFTER_SECONDS if self.store_problem else RATE_AFTER_SECONDS
                try:
                    done = download(self.host, self.spec.name, self.manifest, presign, target, least, patience, after)
                    return done if self._measures_line(done.mbps) else replace(done, mbps=None)
                except PreflightFailed as error:
                    self._handle_slow(error)
                except FetchFailed as error:
                    self._handle_broken(error)
                self.clock.sleep(PAUSE_SECONDS)
        except TookTooLong as error:
            if not self.store_problem:
                raise
            raise StoreDown(
                f"{self.spec.name}: {error}. Until then the store was in the way: {self.store_problem}"
            ) from None

    def _expire(self, came_bytes: int) -> None:
        """Withdraw the outage and the accusations if enough bytes came since."""
        rate = came_bytes * 8 / 1e6 / AGAIN_AFTER_SECONDS
        if rate >= SIGN_OF_LIFE_MBPS:
            self.down_since = None
        if rate >= max(SIGN_OF_LIFE_MBPS, self.spec.preflight.download_mbps):
            self.accusations = 0

    def _measures_line(self, mbps: float | None) -> bool:
        """Return whether a rate measures the host's line: not if it is far below the advertised and the store may be why."""
        least = self.spec.advertised_mbps / FAR_LESS
        if self.store_problem or mbps is None or mbps >= least:
            return not self.store_problem
        return not self._blame_of_store(mbps, least)

    def _blame_of_store(self, mbps: float, least: float) -> str:
        """Measure a reference and, if there is none, the store from here; return why the store is to blame, or empty."""
        largest = max(self.manifest.files, key=lambda file: file.size)
        elsewhere = reference_mbps(self.host, self.spec.reference_url)
        here = self.store.store_mbps(largest.sha256, largest.size) if elsewhere is None else None
        return store_to_blame(Rates(mbps, least, elsewhere, here))

    def _handle_slow(self, error: PreflightFailed) -> None:
        if error.reason != "slow" or error.mbps is None:
            raise error
        self._expire(error.came_bytes)
        if why := self._blame_of_store(error.mbps, self.spec.preflight.download_mbps):
            self._blame_store(why)
            self.report_progress(
                f"slow, {error.mbps:.1f} Mb/s, and the store may be why: {self.store_problem}; the host is kept"
            )
        else:
            self._accuse(error)

    def _handle_broken(self, error: FetchFailed) -> None:
        if not error.line:
            raise error
        self._expire(error.came_bytes)
        trouble = self.store.store_trouble()
        if not trouble and not error.store_said:
            self._accuse(error)
            return
        self._blame_store(trouble or "it answers the host with errors")
        now = self.clock.monotonic()
        if self.down_since is None:
            self.down_since = now
        if now - self.down_since >= OUTAGE * self.spec.store_patience_seconds:
            raise StoreDown(f"{error}. {trouble}".rstrip(" .") + ".")
        self.report_progress(f"{error}. The store is in trouble: the host is kept, and asks again")

    def _blame_store(self, why: str) -> None:
        self.store_problem, self.accusations = why, 0

    def _accuse(self, error: PreflightFailed | FetchFailed) -> None:
        if self.store_problem:
            self.report_progress(
                f"{error}; when it began, the store was in the way: {self.store_problem}; the host is kept"
            )
            self.store_problem = ""
            return
        self.accusations += 1
        if self.accusations == ACCUSATIONS:
            raise error
        self.report_progress(f"{error}; tried once more before the machine is given back")
