"""Write the attempts of one create into the ledger, one after the other. Knows no rule of renting and never raises.

`renting` or `adopted` opens an attempt. Every later event belongs to it until one of the two is called again.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bootstrap.clock import Clock
from bootstrap.errors import BootstrapError, PreflightFailed
from providers.engine_watch import EngineGone
from providers.ledger.event import Event, Outcome, Reason
from providers.ledger.ledger import Ledger
from providers.vast.api import label
from providers.vast.api.errors import OfferGone, RentalFailed, VastError
from providers.vast.api.instance import Instance
from providers.vast.api.offer import Offer

MESSAGE_LETTERS = 600
PHASES = frozenset({"wait", "connect", "preflight", "install", "fetch weights", "start", "probe"})


class AttemptRecorder:
    """Write the events of one create. `mark`: the instance's label; `time_scale`: market seconds in one of ours."""

    def __init__(self, ledger: Ledger, clock: Clock, mark: str, time_scale: float = 1.0) -> None:
        self.ledger = ledger
        self._clock = clock
        self._time_scale = time_scale
        parts = label.parse(mark)
        who = (parts.stack_id, parts.name) if parts else ("unmarked", "instance")
        self._blank = Event(at=0, stack_id=who[0], name=who[1], attempt="0", step=0, outcome=Outcome.RENTING)
        self._last = self._blank
        self._began = self._paid_from = 0.0
        self._running_from: float | None = None  # when the market began to bill the GPU
        self._disk_usd_per_hour = 0.0
        self._passed: set[str] = set()

    def renting(
        self, offer: Offer, usd_per_hour: float, disk_usd_per_hour: float, image_usd: float, traffic_usd: float = 0.0
    ) -> None:
        """Open an attempt, right before the rent call for this offer.

        Until the instance runs it costs `disk_usd_per_hour`, and once `image_usd` for the image's traffic. `traffic_usd`
        is that of the weights.
        """
        self._open()
        self._disk_usd_per_hour = disk_usd_per_hour
        self._write(
            Outcome.RENTING,
            offer_id=offer.id,
            machine_id=offer.machine_id,
            host_id=offer.host_id,
            usd_per_hour=usd_per_hour,
            advertised_mbps=offer.inet_down,
            image_usd=round(image_usd, 6),
            traffic_usd=round(traffic_usd, 6),
            charged_usd_per_hour=round(offer.dph_base + disk_usd_per_hour, 6),
        )

    def taken(self, gone: OfferGone) -> None:
        """Close an attempt whose offer was gone; it cost nothing."""
        self._write(Outcome.TAKEN, reason=Reason.TAKEN, message=_short(str(gone)))

    def rented(self, instance_id: int) -> None:
        """Record the instance; from now on it costs money."""
        self._paid_from = self._clock.monotonic()
        self._write(Outcome.RENTED, instance_id=instance_id)

    def adopted(self, instance: Instance) -> None:
        """Open an attempt with an instance that already exists; its boot can no longer be measured."""
        self._open()
        self._paid_from = self._began
        self._running_from = self._began if instance.actual_status == "running" else None
        self._write(
            Outcome.ADOPTED,
            instance_id=instance.id,
            machine_id=instance.machine_id,
            usd_per_hour=instance.dph_total,
        )

    def passed(self, phase: str) -> None:
        """Record that a phase is complete. Repeats, and words that are no phase of an attempt, are ignored."""
        if phase in PHASES and phase not in self._passed:
            self._passed.add(phase)
            booted = None
            if phase == "wait":
                now = self._clock.monotonic()
                self._running_from = now if self._running_from is None else self._running_from
                booted = round((now - self._paid_from) * self._time_scale, 3) if self._was_rented() else None
            self._write(Outcome.PASSED, phase=phase, boot_seconds=booted)

    def served(self, download_mbps: float | None, phases: Mapping[str, float]) -> None:
        """Close an attempt that serves.

        `download_mbps`: measured rate of the weights, None if too little came to measure. `phases`: seconds that each took.
        The times of `passed` are those of a phase's first progress line.
        """
        measured = download_mbps if self._was_rented() else None
        self._write(Outcome.SERVED, download_mbps=measured, phases=dict(phases))

    def failed(self, error: BaseException) -> None:
        """Record why an attempt failed; the caller gives the instance back next."""
        mbps = error.mbps if isinstance(error, PreflightFailed) else None
        self._write(Outcome.FAILED, reason=reason_of(error), message=_short(str(error)), download_mbps=mbps)

    def keep(self, text: str) -> None:
        """Keep the log of the failed attempt's machine; an empty log is not written."""
        if text:
            self.ledger.keep(self._last, text)

    @contextmanager
    def giving_back(self, error: BaseException) -> Iterator[None]:
        """Record why an attempt failed, and after the block whether the instance is given back or still rented."""
        self.failed(error)
        try:
            yield
        except BaseException as still:
            self._write(Outcome.STILL_RENTED, message=_short(str(still)))
            raise
        self._write(Outcome.GIVEN_BACK)

    def _open(self) -> None:
        self._began = self._clock.monotonic()
        self._passed = set()
        self._running_from, self._disk_usd_per_hour = None, 0.0
        self._last = self._blank.model_copy(update={"attempt": secrets.token_hex(6)})

    def _paid(self, now: float, usd_per_hour: float) -> float:
        """Return $ since the rent: disk and the image's traffic until it runs, the whole price afterwards."""
        running_from = now if self._running_from is None else self._running_from
        loading = (running_from - self._paid_from) / 3600 * self._disk_usd_per_hour + self._last.image_usd
        return loading + (now - running_from) / 3600 * usd_per_hour

    def _was_rented(self) -> bool:
        return self._last.offer_id is not None

    def _write(self, outcome: Outcome, **known: object) -> None:
        """Append an event. Its facts are repeated in the attempt's later events, except `reason` and `message`."""
        now = self._clock.monotonic()
        last = self._last.model_copy(update={key: value for key, value in known.items() if value is not None})
        costs = last.instance_id is not None and last.usd_per_hour is not None
        event = last.model_copy(
            update={
                "at": self._clock.time(),
                "step": last.step + 1,
                "outcome": outcome,
                "seconds": round(now - self._began, 3),
                "usd": round(self._paid(now, last.usd_per_hour or 0.0), 6) if costs else 0.0,
            }
        )
        self._last = event.model_copy(update={"reason": None, "message": ""})
        self.ledger.append(event)


def reason_of(error: BaseException) -> Reason:
    """Return the Reason for an error that ended an attempt."""
    word = getattr(error, "reason", None)
    if isinstance(error, BootstrapError | RentalFailed) and word in {reason.value for reason in Reason}:
        return Reason(word)
    if isinstance(error, VastError):
        return Reason.MARKET
    # The engine has gone, or the operator pressed Ctrl-C.
    stopped = isinstance(error, EngineGone | KeyboardInterrupt | SystemExit)
    return Reason.INTERRUPTED if stopped else Reason.UNFORESEEN


def _short(text: str) -> str:
    return text if len(text) <= MESSAGE_LETTERS else f"{text[: MESSAGE_LETTERS - 1]}…"
